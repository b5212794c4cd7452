//! Parses the `tokenizer.json` of transformers into a vocabulary, merges and options.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};

use crate::config::{Gpt2TokenizerConfig, SplitPattern};
use crate::error::{Result, TokenizerError};
use crate::merges::Merges;
use crate::reserved::END_OF_TEXT;
use crate::vocabulary::RawVocabulary;
use crate::vocabulary::Vocabulary;

/// Literal that KerasHub's pre-tokenizer looks for and never finds (see
/// [`SplitPattern::KerasHub`]).
const KERAS_HUB_LITERAL: &str = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\
     \\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/// Parts of a `tokenizer.json` that this crate needs, or that must have GPT-2's values.
#[derive(Deserialize)]
struct TokenizerJson {
    #[serde(default)]
    added_tokens: Vec<AddedToken>,
    normalizer: Option<Typed>,
    pre_tokenizer: Option<PreTokenizer>,
    model: Model,
}

#[derive(Deserialize)]
struct AddedToken {
    id: u64,
    content: String,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
}

#[derive(Deserialize)]
struct Typed {
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct PreTokenizer {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    add_prefix_space: bool,
    #[serde(default = "yes")]
    use_regex: bool,
    #[serde(default)]
    pretokenizers: Vec<PreTokenizer>,
    pattern: Option<Pattern>,
}

#[derive(Deserialize)]
enum Pattern {
    String(String),
    Regex(String),
}

#[derive(Deserialize)]
struct Model {
    #[serde(rename = "type", default = "bpe")]
    kind: String,
    dropout: Option<f64>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
    #[serde(default)]
    byte_fallback: bool,
    #[serde(default)]
    ignore_merges: bool,
    vocab: RawVocabulary,
    merges: Vec<RawMerge>,
}

fn yes() -> bool {
    true
}

fn bpe() -> String {
    "BPE".into()
}

/// Parses the JSON text into vocabulary, merges and options.
pub(crate) fn parse(json: &str) -> Result<(Vocabulary, Merges, Gpt2TokenizerConfig)> {
    let json = json.strip_prefix('\u{feff}').unwrap_or(json);
    let file: TokenizerJson = serde_json::from_str(json)
        .map_err(|error| TokenizerError::TokenizerJsonSyntax { detail: error.to_string() })?;
    if let Some(normalizer) = file.normalizer {
        return Err(unsupported("normalizer", "null", normalizer.kind));
    }
    check_model(&file.model)?;
    let (split, add_prefix_space) = pre_tokenizer(file.pre_tokenizer)?;
    let mut vocabulary = Vocabulary::from_raw(file.model.vocab)?;
    let mut merges = Merges::default();
    for (index, RawMerge(left, right)) in file.model.merges.iter().enumerate() {
        merges.push(left, right, index + 1)?;
    }
    let unsplittable = add_tokens(&mut vocabulary, file.added_tokens)?;
    let config = Gpt2TokenizerConfig::new()
        .with_split(split)
        .with_add_prefix_space(add_prefix_space)
        .with_unsplittable_tokens(unsplittable);
    Ok((vocabulary, merges, config))
}

/// Rejects models whose merges work differently from GPT-2's.
fn check_model(model: &Model) -> Result<()> {
    let empty = |text: &Option<String>| text.as_deref().unwrap_or_default().is_empty();
    if model.kind != "BPE" {
        return Err(unsupported("model.type", "\"BPE\"", &model.kind));
    }
    if let Some(dropout) = model.dropout.filter(|dropout| *dropout != 0.0) {
        return Err(unsupported("model.dropout", "null", dropout));
    }
    if !empty(&model.continuing_subword_prefix) {
        return Err(unsupported("model.continuing_subword_prefix", "\"\"", "a prefix"));
    }
    if !empty(&model.end_of_word_suffix) {
        return Err(unsupported("model.end_of_word_suffix", "\"\"", "a suffix"));
    }
    if model.byte_fallback {
        return Err(unsupported("model.byte_fallback", "false", true));
    }
    if model.ignore_merges {
        return Err(unsupported("model.ignore_merges", "false", true));
    }
    Ok(())
}

/// Split and prefix space of the pre-tokenizers that transformers and KerasHub write.
fn pre_tokenizer(found: Option<PreTokenizer>) -> Result<(SplitPattern, bool)> {
    const EXPECTED: &str = "ByteLevel, or KerasHub's Split followed by ByteLevel";
    let refuse = |kind: &str| Err(unsupported("pre_tokenizer", EXPECTED, kind));
    let Some(found) = found else {
        return refuse("null");
    };
    match (found.kind.as_str(), found.pretokenizers.as_slice()) {
        ("ByteLevel", _) if found.use_regex => Ok((SplitPattern::OpenAi, found.add_prefix_space)),
        ("ByteLevel", _) => Ok((SplitPattern::KerasHub, found.add_prefix_space)),
        ("Sequence", [split, bytes])
            if split.kind == "Split" && bytes.kind == "ByteLevel" && !bytes.use_regex =>
        {
            match &split.pattern {
                Some(Pattern::String(literal)) if literal == KERAS_HUB_LITERAL => {
                    Ok((SplitPattern::KerasHub, bytes.add_prefix_space))
                }
                Some(Pattern::Regex(pattern) | Pattern::String(pattern)) => refuse(pattern),
                None => refuse("a Split without a pattern"),
            }
        }
        (kind, _) => refuse(kind),
    }
}

/// Adds the added tokens to the vocabulary. Returns those that must not be split.
fn add_tokens(vocabulary: &mut Vocabulary, added: Vec<AddedToken>) -> Result<Vec<String>> {
    let mut unsplittable = Vec::new();
    for AddedToken { id, content, single_word, lstrip, rstrip } in added {
        if single_word || lstrip || rstrip {
            let expected = "single_word, lstrip and rstrip all false";
            return Err(unsupported("added_tokens", expected, content));
        }
        match vocabulary.id(&content) {
            Some(known) if u64::from(known) == id => {}
            Some(known) => {
                let found = format!("{content:?} with id {id}, but {known} in model.vocab");
                return Err(unsupported("added_tokens", "the ids of model.vocab", found));
            }
            None => vocabulary.insert(content.clone(), id)?,
        }
        if content != END_OF_TEXT {
            unsplittable.push(content);
        }
    }
    Ok(unsplittable)
}

fn unsupported(
    field: &'static str,
    expected: &'static str,
    found: impl ToString,
) -> TokenizerError {
    TokenizerError::UnsupportedTokenizerJson { field, expected, found: found.to_string() }
}

/// Merge rule in either spelling: `"Ġ t"`, or `["Ġ", "t"]` in newer files.
struct RawMerge(String, String);

impl<'de> Deserialize<'de> for RawMerge {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MergeVisitor)
    }
}

struct MergeVisitor;

impl<'de> Visitor<'de> for MergeVisitor {
    type Value = RawMerge;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a merge rule of two tokens")
    }

    fn visit_str<E: Error>(self, rule: &str) -> Result<RawMerge, E> {
        let (left, right) = rule
            .split_once(' ')
            .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(rule), &self))?;
        Ok(RawMerge(left.into(), right.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut pair: A) -> Result<RawMerge, A::Error> {
        let missing = |count| A::Error::invalid_length(count, &MergeVisitor);
        let left = pair.next_element()?.ok_or_else(|| missing(0))?;
        let right = pair.next_element()?.ok_or_else(|| missing(1))?;
        Ok(RawMerge(left, right))
    }
}
