//! Parses `vocabulary.json` into a checked map between tokens and ids.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::TokenId;
use crate::error::{Result, TokenizerError};

/// Largest id that a vocabulary may contain. It exceeds any model's, and bounds the tables that are
/// indexed by id, for any file.
const MAX_TOKEN_ID: TokenId = 999_999;

/// Map between tokens, written in the byte alphabet (`Ġthe`), and unique ids.
///
/// Ids may have gaps, but none exceeds 999,999. Lookups are cheap in both directions.
///
/// ```
/// use gpt2_tokenizer::Vocabulary;
///
/// let vocabulary = Vocabulary::from_json(r#"{"a": 0, "Ġa": 1, "<|endoftext|>": 2}"#)?;
/// assert_eq!(vocabulary.id("Ġa"), Some(1));
/// assert_eq!(vocabulary.token(2), Some("<|endoftext|>"));
/// # Ok::<(), gpt2_tokenizer::TokenizerError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vocabulary {
    ids: HashMap<Arc<str>, TokenId>,
    /// Indexed by id; `None` is a gap in the ids.
    tokens: Vec<Option<Arc<str>>>,
}

impl Vocabulary {
    /// Parses the JSON text of `vocabulary.json` (KerasHub), `vocab.json` (transformers) or
    /// `encoder.json` (OpenAI): an object from token to id.
    ///
    /// # Errors
    ///
    /// Malformed JSON, ids that are not integers, too large or repeated, and repeated tokens.
    pub fn from_json(json: &str) -> Result<Self> {
        let json = json.strip_prefix('\u{feff}').unwrap_or(json);
        let entries: RawVocabulary = serde_json::from_str(json)
            .map_err(|error| TokenizerError::VocabularySyntax { detail: error.to_string() })?;
        Self::from_raw(entries)
    }

    /// Collects pairs of token and id.
    ///
    /// # Errors
    ///
    /// Ids that are too large or repeated, and repeated tokens.
    pub fn from_pairs<T: Into<String>>(
        pairs: impl IntoIterator<Item = (T, TokenId)>,
    ) -> Result<Self> {
        let mut vocabulary = Self { ids: HashMap::new(), tokens: Vec::new() };
        for (token, id) in pairs {
            vocabulary.insert(token.into(), id.into())?;
        }
        Ok(vocabulary)
    }

    /// Checks the entries of a JSON object.
    pub(crate) fn from_raw(raw: RawVocabulary) -> Result<Self> {
        let mut vocabulary = Self {
            ids: HashMap::with_capacity(raw.0.len()),
            tokens: Vec::with_capacity(raw.0.len()),
        };
        for (token, id) in raw.0 {
            match id {
                RawId::Number(id) => vocabulary.insert(token, id)?,
                RawId::Other(found) => return Err(TokenizerError::InvalidId { token, found }),
            }
        }
        Ok(vocabulary)
    }

    /// Checks and adds one token.
    pub(crate) fn insert(&mut self, token: String, id: u64) -> Result<()> {
        let limit = MAX_TOKEN_ID;
        let Some(short) = TokenId::try_from(id).ok().filter(|id| *id <= limit) else {
            return Err(TokenizerError::IdTooLarge { token, id, limit });
        };
        if self.ids.contains_key(token.as_str()) {
            return Err(TokenizerError::DuplicateToken { token });
        }
        let slot = short as usize;
        if slot >= self.tokens.len() {
            self.tokens.resize(slot + 1, None);
        }
        if let Some(first) = &self.tokens[slot] {
            let first = first.to_string();
            return Err(TokenizerError::DuplicateId { id: short, first, second: token });
        }
        let token: Arc<str> = token.into();
        self.tokens[slot] = Some(Arc::clone(&token));
        self.ids.insert(token, short);
        Ok(())
    }

    /// Id of a token. None if the vocabulary lacks the token.
    pub fn id(&self, token: &str) -> Option<TokenId> {
        self.ids.get(token).copied()
    }

    /// Token with an id. None if the vocabulary lacks the id.
    pub fn token(&self, id: TokenId) -> Option<&str> {
        self.tokens.get(id as usize)?.as_deref()
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether the vocabulary has no tokens.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Largest id; 0 for an empty vocabulary. An embedding needs one row more.
    pub fn max_token_id(&self) -> TokenId {
        self.tokens.len().saturating_sub(1) as TokenId
    }

    /// All tokens with their ids, in the order of the ids.
    pub fn iter(&self) -> impl Iterator<Item = (&str, TokenId)> {
        (0..).zip(&self.tokens).filter_map(|(id, token)| Some((token.as_deref()?, id)))
    }

    /// JSON text of `vocabulary.json`, in the order of the ids.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a map from strings to numbers is valid JSON")
    }
}

impl Serialize for Vocabulary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

/// Entries of the JSON object as they are in the file, including repeated keys and invalid ids, so
/// that each becomes an error that names it.
pub(crate) struct RawVocabulary(Vec<(String, RawId)>);

/// Value of an id.
enum RawId {
    Number(u64),
    Other(String),
}

impl<'de> Deserialize<'de> for RawVocabulary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = RawVocabulary;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("an object that maps tokens to ids")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawVocabulary, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(RawVocabulary(entries))
    }
}

impl<'de> Deserialize<'de> for RawId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IdVisitor)
    }
}

struct IdVisitor;

impl<'de> Visitor<'de> for IdVisitor {
    type Value = RawId;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("an id")
    }

    fn visit_u64<E: Error>(self, id: u64) -> Result<RawId, E> {
        Ok(RawId::Number(id))
    }

    fn visit_i64<E: Error>(self, id: i64) -> Result<RawId, E> {
        Ok(RawId::Other(id.to_string()))
    }

    fn visit_f64<E: Error>(self, id: f64) -> Result<RawId, E> {
        Ok(RawId::Other(format!("the number {id:?}")))
    }

    fn visit_bool<E: Error>(self, id: bool) -> Result<RawId, E> {
        Ok(RawId::Other(id.to_string()))
    }

    fn visit_unit<E: Error>(self) -> Result<RawId, E> {
        Ok(RawId::Other("null".into()))
    }

    fn visit_str<E: Error>(self, id: &str) -> Result<RawId, E> {
        let start: String = id.chars().take(32).collect();
        Ok(RawId::Other(format!("the text {start:?}")))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<RawId, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(RawId::Other("a list".into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawId, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(RawId::Other("an object".into()))
    }
}
