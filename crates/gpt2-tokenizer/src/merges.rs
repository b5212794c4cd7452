//! Parses `merges.txt`: the rules that join two tokens into one, the best first.

use crate::TokenId;
use crate::error::{Result, TokenizerError};
use crate::vocabulary::Vocabulary;

/// Prefix of a version line.
const VERSION_PREFIX: &str = "#version:";
/// Version line that OpenAI and transformers write.
const VERSION_LINE: &str = "#version: 0.2";
/// Number of characters of an invalid line that a message shows.
const SHOWN: usize = 80;

/// Merge rules in the order of their rank.
///
/// ```
/// use gpt2_tokenizer::Merges;
///
/// let merges = Merges::parse("#version: 0.2\nĠ t\nh e\n")?;
/// assert_eq!(merges.iter().collect::<Vec<_>>(), [("Ġ", "t"), ("h", "e")]);
/// # Ok::<(), gpt2_tokenizer::TokenizerError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Merges {
    rules: Vec<MergeRule>,
}

/// Rule, with its line for error messages.
#[derive(Debug, Clone, PartialEq, Eq)]
struct MergeRule {
    left: String,
    right: String,
    line: usize,
}

impl Merges {
    /// Parses the text of `merges.txt` (OpenAI's `vocab.bpe`): one rule per line, its two tokens
    /// separated by a space.
    ///
    /// A byte order mark, `#version:` lines, blank lines, Windows line ends and spaces at the end
    /// of a line are ignored.
    ///
    /// # Errors
    ///
    /// A line with one token, or with more than two.
    pub fn parse(text: &str) -> Result<Self> {
        Self::from_rules(text.strip_prefix('\u{feff}').unwrap_or(text).lines())
    }

    /// Collects rules such as `"Ġ t"`, the form of KerasHub's lists.
    ///
    /// # Errors
    ///
    /// Those of [`parse`](Self::parse). The line number is the position in the list, from 1.
    pub fn from_rules<R: AsRef<str>>(rules: impl IntoIterator<Item = R>) -> Result<Self> {
        let mut merges = Self::default();
        for (index, rule) in rules.into_iter().enumerate() {
            let (line, rule) = (index + 1, rule.as_ref().trim_end());
            if rule.is_empty() || rule.starts_with(VERSION_PREFIX) {
                continue;
            }
            match rule.split_once(' ') {
                Some((left, right)) => merges.push(left, right, line)?,
                None => return Err(syntax_error(rule, line)),
            }
        }
        Ok(merges)
    }

    /// Adds one rule.
    pub(crate) fn push(&mut self, left: &str, right: &str, line: usize) -> Result<()> {
        if left.is_empty() || right.is_empty() || left.contains(' ') || right.contains(' ') {
            return Err(syntax_error(&format!("{left} {right}"), line));
        }
        self.rules.push(MergeRule { left: left.into(), right: right.into(), line });
        Ok(())
    }

    /// Rules as pairs of tokens, the best first.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.rules.iter().map(|rule| (rule.left.as_str(), rule.right.as_str()))
    }

    /// Number of rules.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there are no rules, so that every byte is a token of its own.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Text of `merges.txt`, with its version line.
    pub fn to_text(&self) -> String {
        let mut text = format!("{VERSION_LINE}\n");
        for (left, right) in self.iter() {
            text.extend([left, " ", right, "\n"]);
        }
        text
    }

    /// Ids of the parts and the result of every rule. The vocabulary must contain them.
    pub(crate) fn resolve(&self, vocabulary: &Vocabulary) -> Result<Vec<[TokenId; 3]>> {
        let mut joined = String::new();
        let resolve_rule = |MergeRule { left, right, line }: &MergeRule| {
            joined.clear();
            joined.extend([left.as_str(), right.as_str()]);
            let id = |token: &str| {
                vocabulary.id(token).ok_or_else(|| TokenizerError::MergeNotInVocabulary {
                    line: *line,
                    rule: format!("{left} {right}"),
                    token: token.to_owned(),
                })
            };
            Ok([id(left)?, id(right)?, id(&joined)?])
        };
        self.rules.iter().map(resolve_rule).collect()
    }
}

/// Error for a rule that is not a pair of tokens.
fn syntax_error(rule: &str, line: usize) -> TokenizerError {
    TokenizerError::MergeSyntax { line, found: rule.chars().take(SHOWN).collect() }
}
