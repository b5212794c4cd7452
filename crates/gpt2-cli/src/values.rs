//! Parsers of arguments' values.

use std::num::{IntErrorKind, ParseIntError};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::builder::{PathBufValueParser, TypedValueParser};
use gpt2_task::catalogue::{self, Choice};
use gpt2_task::samplers::SamplerConfig;
use gpt2_task::{LearningRate, StopTokenIds, TokenId};
use indicatif::HumanCount;

/// Value of `--sampler`.
#[derive(Debug, Clone)]
pub struct Sampler {
    /// Name in the library.
    pub name: String,
    /// Names of the given arguments.
    pub arguments: Vec<String>,
    /// Config of the sampler.
    pub config: SamplerConfig,
}

/// Parses a sampler. `Top-P` is accepted for `top_p`.
///
/// # Errors
///
/// A message with all samplers and their arguments.
pub fn parse_sampler(text: &str) -> Result<Sampler, String> {
    let (name, arguments) = text.split_once(':').unwrap_or((text, ""));
    let name = name.trim().to_ascii_lowercase().replace('-', "_");
    let choices = catalogue::samplers();
    if !choices.iter().any(|choice| choice.name == name) {
        return Err(unknown("sampler", &name, &choices));
    }
    let config = format!("{name}:{arguments}").parse::<SamplerConfig>();
    let config = config.map_err(|error| error.to_string())?;
    let given = arguments.split(',').filter_map(|argument| argument.split_once('='));
    let arguments = given.map(|(argument, _)| argument.trim().to_owned()).collect();
    Ok(Sampler { name, arguments, config })
}

/// Parses `--optimizer`: checks it and returns its text. `AdamW` is accepted for `adamw`.
///
/// # Errors
///
/// A message with all optimizers and their arguments.
pub fn parse_optimizer(text: &str) -> Result<String, String> {
    let (name, arguments) = text.split_once(':').unwrap_or((text, ""));
    let name = name.trim().to_ascii_lowercase();
    let choices = catalogue::optimizers();
    if !choices.iter().any(|choice| choice.name == name) {
        return Err(unknown("optimizer", &name, &choices));
    }
    let text = if arguments.is_empty() { name } else { format!("{name}:{arguments}") };
    match gpt2_task::optimizers::get(&text) {
        Ok(_) => Ok(text),
        Err(error) => Err(error.to_string()),
    }
}

/// Parses `--schedule`: checks it and returns its text.
///
/// # Errors
///
/// A message with all schedules and their arguments.
pub fn parse_schedule(text: &str) -> Result<String, String> {
    let (name, _) = text.split_once(':').unwrap_or((text, ""));
    let name = name.trim();
    let choices = catalogue::schedules();
    if name.parse::<f64>().is_err() && !choices.iter().any(|choice| choice.name == name) {
        return Err(unknown("schedule", name, &choices));
    }
    // The learning rate and the steps of the training are not known yet; any will do for a check.
    match LearningRate::from_text_for_steps(text, 1.0, 1) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Message for an unknown name, with all valid ones.
fn unknown(what: &str, name: &str, choices: &[Choice]) -> String {
    let names: Vec<&str> = choices.iter().map(|choice| choice.name).collect();
    let near = nearest(name, &names).map(|near| format!("; did you mean `{near}`?"));
    let list: Vec<String> = choices.iter().map(|choice| format!("  {choice}")).collect();
    format!(
        "no {what} has the name `{name}`{}\n{what}s, with the defaults of their arguments:\n{}",
        near.unwrap_or_default(),
        list.join("\n")
    )
}

/// The name most similar to `name`, if it is similar enough.
pub fn nearest<'a>(name: &str, names: &[&'a str]) -> Option<&'a str> {
    let plain = |text: &str| text.replace(['_', '-'], "").to_ascii_lowercase();
    let given = plain(name);
    let near = names.iter().map(|known| (distance(&given, &plain(known)), *known));
    let (distance, known) = near.min_by_key(|(distance, _)| *distance)?;
    (distance * 3 <= given.chars().count()).then_some(known)
}

/// Edit distance: number of characters to insert, drop or replace.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (index, character) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, candidate) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(*candidate != character);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

/// Parses `auto`, `none`, or ids between commas.
///
/// # Errors
///
/// A message for anything else.
pub fn parse_stop_token_ids(text: &str) -> Result<StopTokenIds, String> {
    match text {
        "auto" => Ok(StopTokenIds::Auto),
        "none" => Ok(StopTokenIds::None),
        ids => {
            let ids: Result<Vec<TokenId>, _> = ids.split(',').map(|id| id.trim().parse()).collect();
            ids.map(StopTokenIds::Ids)
                .map_err(|_| "expected `auto`, `none`, or token ids such as `13,198`".to_owned())
        }
    }
}

/// Parses a whole number.
///
/// # Errors
///
/// A message for anything else, and for a number that is negative or too large.
pub fn parse_whole_number<N: FromStr<Err = ParseIntError>>(text: &str) -> Result<N, String> {
    text.parse().map_err(|error: ParseIntError| match error.kind() {
        IntErrorKind::PosOverflow => format!("expected a smaller number, found {text}"),
        _ => format!("expected a whole number from 0, found {text}"),
    })
}

/// Parses a number.
///
/// # Errors
///
/// A message for anything else, and for infinity and NaN.
pub fn parse_number<N: FromStr + Copy + Into<f64>>(text: &str) -> Result<N, String> {
    match text.parse::<N>() {
        Ok(number) if number.into().is_finite() => Ok(number),
        _ => Err(format!("expected a number, found {text}")),
    }
}

/// Parser of the path of a file or folder with texts. Refuses standard input, and patterns that
/// the shell did not expand.
pub fn text_path() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(check_text_path)
}

fn check_text_path(path: PathBuf) -> Result<PathBuf, String> {
    let text = path.to_string_lossy();
    if text == "-" {
        Err("texts must be files, because they are read several times; write standard input to a \
             file, and pass that"
            .to_owned())
    } else if text.contains(['*', '?']) && !path.exists() {
        Err("no file has this name; leave the quotes off, so that the shell replaces the pattern \
             by the names of files"
            .to_owned())
    } else {
        drop(text);
        Ok(path)
    }
}

/// Parses a number of gigabytes, of 10^9 bytes each. Returns bytes.
///
/// # Errors
///
/// A message for anything else.
pub fn parse_gigabytes(text: &str) -> Result<u64, String> {
    match text.parse::<f64>() {
        Ok(size) if size > 0.0 && size.is_finite() => Ok((size * 1e9).ceil() as u64),
        _ => Err("expected a number of gigabytes above 0, such as 5 or 0.5".to_owned()),
    }
}

/// A number with its noun: `1 token`, `1,024 tokens`.
pub fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", HumanCount(number))
}

/// A size in gigabytes, or in megabytes below a tenth of a gigabyte.
pub fn size(bytes: u64) -> String {
    if bytes >= 100_000_000 {
        format!("{:.1} GB", bytes as f64 / 1e9)
    } else {
        format!("{:.0} MB", bytes as f64 / 1e6)
    }
}

/// A path, relative to the home folder if it is inside.
pub fn short_path(path: &Path) -> String {
    let home = std::env::home_dir();
    match home.as_deref().and_then(|home| path.strip_prefix(home).ok()) {
        Some(rest) => Path::new("~").join(rest).display().to_string(),
        None => path.display().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_a_sampler_are_accepted() {
        for text in ["top_p:p=0.9", "top-p:p=0.9", "TOP_P:p=0.9"] {
            let sampler = parse_sampler(text).unwrap();
            assert_eq!((sampler.name.as_str(), sampler.arguments.len()), ("top_p", 1));
        }
    }

    #[test]
    fn mistakes_list_what_exists() {
        let message = parse_sampler("topk").unwrap_err();
        assert!(message.contains("did you mean `top_k`?"), "{message}");
        assert!(message.contains("  beam:num_beams="), "{message}");
        let message = parse_sampler("top_k:q=3").unwrap_err();
        assert!(message.ends_with("expected one of `k`, `temperature`, `seed`"), "{message}");
        let message = parse_optimizer("adamw:wd=0.1").unwrap_err();
        assert!(message.contains("`beta_1`, `beta_2`, ") && message.contains("`weight_decay`"));
        assert_eq!(message.matches("expected").count(), 1, "one list: {message}");
        assert!(parse_schedule("cosin").unwrap_err().contains("did you mean `cosine`?"));
        assert!(parse_schedule("cosine:foo=1").unwrap_err().contains("argument `foo`, expected"));
        assert!(parse_schedule("1e-3").is_ok() && parse_schedule("linear").is_ok());
    }

    #[test]
    fn numbers_are_refused_in_plain_words() {
        let count = parse_whole_number::<usize>;
        assert_eq!(count("12"), Ok(12));
        for text in ["-5", "1e3", "", "2.5", "many"] {
            let expected = format!("expected a whole number from 0, found {text}");
            assert_eq!(count(text), Err(expected));
        }
        let message = parse_whole_number::<u64>("18446744073709551616").unwrap_err();
        assert!(message.starts_with("expected a smaller number"), "{message}");
        assert_eq!((parse_number("1e-3"), parse_number("-1")), (Ok(1e-3f64), Ok(-1f32)));
        for text in ["nan", "inf", "abc", ""] {
            assert_eq!(parse_number::<f64>(text), Err(format!("expected a number, found {text}")));
        }
    }

    #[test]
    fn texts_are_files() {
        let check = |path: &str| check_text_path(path.into());
        assert!(check("-").unwrap_err().contains("read several times"));
        assert!(check("no/*.txt").unwrap_err().contains("leave the quotes off"));
        assert_eq!(check("absent.txt"), Ok("absent.txt".into()));
    }

    #[test]
    fn nouns_agree_with_their_numbers() {
        assert_eq!([counted(1, "token"), counted(1024, "token")], ["1 token", "1,024 tokens"]);
    }

    #[test]
    fn sizes_are_short() {
        assert_eq!([size(497_759_232), size(8_004_096)], ["0.5 GB", "8 MB"]);
    }
}
