//! Tips for flags of other programs.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Flags of other programs, and the way of this one.
const FLAGS: [(&str, &str); 12] = [
    ("--batch", "this is '--batch-size'"),
    ("--ctx-size", "the length of a text is '--max-length'"),
    ("--do_sample", "choose by '--sampler random', 'top_k' or 'top_p'"),
    ("--file", "a prompt from a file is '--prompt-file', files of a training '--train'"),
    ("--lr", "this is '--learning-rate'"),
    ("--max-tokens", "this is '--max-new-tokens'"),
    ("--n-predict", "this is '--max-new-tokens'"),
    ("--num-beams", "beams are '--sampler beam:num_beams=4'"),
    ("--prompt", "a prompt needs no flag: gpt2 generate \"Once\""),
    ("--stop", "texts end at tokens: '--stop-token-ids'"),
    ("--stream", "a single prompt is streamed on a terminal"),
    ("--version", "the version is 'gpt2 --version'"),
];

/// The error with a tip that helps in place of one that misleads.
pub(crate) fn with_tip(mut error: clap::Error, arguments: &[OsString]) -> clap::Error {
    if error.kind() != ErrorKind::UnknownArgument {
        return error;
    }
    let Some(ContextValue::String(found)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    if let Some(tip) = tip(found, arguments) {
        error.remove(ContextKind::SuggestedArg);
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    } else if let Some(ContextValue::StyledStrs(tips)) = error.get(ContextKind::Suggested)
        // A misspelt flag is rarely a text.
        && tips.iter().any(|tip| tip.to_string().starts_with("to pass"))
    {
        error.remove(ContextKind::Suggested);
    }
    error
}

fn tip(found: &str, arguments: &[OsString]) -> Option<String> {
    if found.starts_with('-') {
        let known =
            FLAGS.iter().find(|(flag, _)| flag.replace('_', "-") == found.replace('_', "-"));
        return known.map(|(_, tip)| (*tip).to_owned());
    }
    let words = arguments.iter().skip(1).filter_map(|argument| argument.to_str());
    let command = words.into_iter().find(|word| !word.starts_with('-'));
    let is_train = command == Some("train");
    is_train.then(|| format!("texts to train on have a flag: '--train {found}'"))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    fn message(arguments: &[&str]) -> String {
        let arguments = ["gpt2"].iter().chain(arguments);
        let arguments: Vec<OsString> = arguments.map(OsString::from).collect();
        let error = crate::cli::command().try_get_matches_from(&arguments).unwrap_err();
        super::with_tip(error, &arguments).to_string()
    }

    #[test]
    fn flags_of_other_programs_are_translated() {
        for (arguments, expected) in [
            (["generate", "--prompt", "a"], "a prompt needs no flag"),
            (["generate", "--num_beams", "4"], "beam:num_beams=4"),
            (["generate", "--version", "a"], "gpt2 --version"),
            (["train", "--lr", "1e-3"], "'--learning-rate'"),
            (["generate", "--max_length", "4"], "'--max-length'"),
            (["train", "a.txt", "b.txt"], "'--train a.txt'"),
        ] {
            let message = message(&arguments);
            assert!(message.contains(expected), "{message}");
            assert_eq!(message.matches("tip:").count(), 1, "{message}");
        }
        assert!(!message(&["generate", "--quux", "4"]).contains("tip:"));
    }
}
