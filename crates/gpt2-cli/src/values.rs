//! Parsers of arguments' values.

use std::path::Path;

use gpt2_task::catalogue::{self, Choice};
use gpt2_task::samplers::SamplerConfig;
use gpt2_task::{StopTokenIds, TokenId};

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
    let Some(choice) = choices.iter().find(|choice| choice.name == name) else {
        return Err(unknown("sampler", &name, &choices));
    };
    let config = format!("{name}:{arguments}").parse::<SamplerConfig>();
    let config = config.map_err(|error| wrong_argument(choice, &error.to_string()))?;
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
    let Some(choice) = choices.iter().find(|choice| choice.name == name) else {
        return Err(unknown("optimizer", &name, &choices));
    };
    let text = if arguments.is_empty() { name } else { format!("{name}:{arguments}") };
    match gpt2_task::optimizers::get(&text) {
        Ok(_) => Ok(text),
        Err(error) => {
            let settings = catalogue::optimizer_settings().join(", ");
            let own = wrong_argument(choice, &error.to_string());
            Err(format!("{own}; and for every optimizer: {settings}"))
        }
    }
}

/// Parses `--schedule`: checks its name and returns its text.
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
    Ok(text.to_owned())
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

/// Message for an invalid argument, with all valid ones.
fn wrong_argument(choice: &Choice, message: &str) -> String {
    // The library's remedy does not list the arguments.
    format!("{message}\narguments and their defaults: {choice}")
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
        assert!(message.contains("top_k:k=5,temperature=1.0,seed=none"), "{message}");
        let message = parse_optimizer("adamw:wd=0.1").unwrap_err();
        assert!(message.contains("beta_1=0.9") && message.contains("weight_decay"), "{message}");
        assert!(parse_schedule("cosin").unwrap_err().contains("did you mean `cosine`?"));
        assert!(parse_schedule("1e-3").is_ok() && parse_schedule("linear").is_ok());
    }

    #[test]
    fn sizes_are_short() {
        assert_eq!([size(497_759_232), size(8_004_096)], ["0.5 GB", "8 MB"]);
    }
}
