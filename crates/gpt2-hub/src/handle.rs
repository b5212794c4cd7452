//! Handles of models on hubs, parsed from text and formatted as text.

use std::fmt;
use std::str::FromStr;

use crate::error::{HandlePurpose, HubError};

/// Model on a hub.
///
/// ```
/// use gpt2_hub::HubHandle;
///
/// let handle: HubHandle = "hf://openai-community/gpt2@main".parse()?;
/// let HubHandle::HuggingFace(model) = &handle else { panic!("another hub") };
/// assert_eq!((&model.id[..], model.revision.as_deref()), ("openai-community/gpt2", Some("main")));
/// assert_eq!(handle.to_string(), "hf://openai-community/gpt2@main");
/// # Ok::<(), gpt2_hub::HubError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HubHandle {
    /// `kaggle://owner/model/framework/variation[/version]`
    Kaggle(KaggleHandle),
    /// `hf://[owner/]model[@revision]`
    HuggingFace(ModelHandle),
    /// `modelscope://owner/model[@revision]`
    ModelScope(ModelHandle),
}

/// Variation of a model on Kaggle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KaggleHandle {
    /// User or organization.
    pub owner: String,
    /// Model.
    pub model: String,
    /// Framework: `keras`, `transformers`.
    pub framework: String,
    /// Variation of the model for that framework.
    pub variation: String,
    /// Version. Default: the newest.
    pub version: Option<u64>,
}

/// Model on Hugging Face or ModelScope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelHandle {
    /// `owner/model`; on Hugging Face also `model` alone, for some old models.
    pub id: String,
    /// Branch, tag or commit. Default: the hub's main branch.
    pub revision: Option<String>,
}

impl HubHandle {
    /// Parses a handle. None for text with another scheme or without one.
    ///
    /// # Errors
    ///
    /// [`HubError::InvalidHandle`] if the text has a hub's scheme but is not a valid handle of it.
    pub fn parse(text: &str) -> Result<Option<Self>, HubError> {
        let Some((scheme, rest)) = text.split_once("://") else { return Ok(None) };
        Ok(Some(match scheme.to_ascii_lowercase().as_str() {
            "kaggle" => {
                Self::Kaggle(KaggleHandle::parse(rest).ok_or_else(|| invalid(text, KAGGLE))?)
            }
            "hf" => {
                let handle = ModelHandle::parse(rest, 1);
                Self::HuggingFace(handle.ok_or_else(|| invalid(text, HUGGING_FACE))?)
            }
            "modelscope" => {
                let handle = ModelHandle::parse(rest, 2);
                Self::ModelScope(handle.ok_or_else(|| invalid(text, MODEL_SCOPE))?)
            }
            _ => return Ok(None),
        }))
    }
}

impl FromStr for HubHandle {
    type Err = HubError;

    fn from_str(text: &str) -> Result<Self, HubError> {
        Self::parse(text)?.ok_or_else(|| invalid(text, ANY))
    }
}

fn invalid(handle: &str, expected: &'static str) -> HubError {
    HubError::InvalidHandle {
        handle: handle.to_owned(),
        purpose: HandlePurpose::Download,
        expected,
    }
}

const ANY: &str = "A handle of a hub begins with `kaggle://`, `hf://` or `modelscope://`";
const KAGGLE: &str = "Unexpected Kaggle preset. Kaggle model handles should have the form \
    kaggle://{org}/{model}/keras/{variant}[/{version}]. For example, \
    'kaggle://username/bert/keras/bert_base_en' or 'kaggle://username/bert/keras/bert_base_en/1' \
    (to specify a version)";
const HUGGING_FACE: &str = "Unexpected Hugging Face preset. Hugging Face model handles should \
    have the form 'hf://{org}/{model}[@{revision}]'. For example, 'hf://username/bert_base_en'";
const MODEL_SCOPE: &str = "ModelScope handles should follow the format \
    'modelscope://{org}/{model}[@{revision}]' (e.g., 'modelscope://username/bert_base_en')";

impl KaggleHandle {
    fn parse(text: &str) -> Option<Self> {
        let parts: Vec<_> = text.split('/').collect();
        let (names, version) = match parts.as_slice() {
            [names @ .., version] if names.len() == 4 => {
                (names, Some(version.parse().ok().filter(|version| *version > 0)?))
            }
            names => (names, None),
        };
        let [owner, model, framework, variation] = names else { return None };
        if !names.iter().all(|name| is_name(name)) {
            return None;
        }
        let [owner, model, framework, variation] =
            [owner, model, framework, variation].map(|name| (*name).to_owned());
        Some(Self { owner, model, framework, variation, version })
    }
}

impl ModelHandle {
    /// `fewest` is the smallest number of names.
    fn parse(text: &str, fewest: usize) -> Option<Self> {
        let (id, revision) = match text.split_once('@') {
            Some((id, revision)) => (id, Some(revision)),
            None => (text, None),
        };
        let names = id.split('/').collect::<Vec<_>>();
        let valid = (fewest..=2).contains(&names.len())
            && names.iter().all(|name| is_name(name))
            && revision.is_none_or(is_revision);
        valid.then(|| Self { id: id.to_owned(), revision: revision.map(str::to_owned) })
    }
}

/// Whether a name is valid on all hubs and as a file name: no separator, no `..`.
fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 96
        && !name.starts_with(['.', '-'])
        && !name.ends_with(['.', '-'])
        && !name.contains("..")
        && !name.contains("--")
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// Whether a text consists of names separated by slashes, as branches may.
fn is_revision(revision: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with(['.', '-'])
            && !part.contains("..")
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-+".contains(&byte))
    };
    revision.len() <= 255 && revision.split('/').all(part)
}

impl fmt::Display for HubHandle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, ModelHandle { id, revision }) = match self {
            Self::Kaggle(handle) => {
                let KaggleHandle { owner, model, framework, variation, version } = handle;
                write!(formatter, "kaggle://{owner}/{model}/{framework}/{variation}")?;
                return version.map_or(Ok(()), |version| write!(formatter, "/{version}"));
            }
            Self::HuggingFace(handle) => ("hf", handle),
            Self::ModelScope(handle) => ("modelscope", handle),
        };
        write!(formatter, "{scheme}://{id}")?;
        revision.as_ref().map_or(Ok(()), |revision| write!(formatter, "@{revision}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_are_parsed_and_written_as_they_were() {
        for text in [
            "kaggle://keras/gpt2/keras/gpt2_base_en/3",
            "kaggle://keras/gpt2/keras/gpt2_base_en",
            "hf://openai-community/gpt2",
            "hf://gpt2",
            "hf://keras/gpt2_base_en@refs/pr/1",
            "modelscope://AI-ModelScope/gpt2@v1.0",
        ] {
            assert_eq!(HubHandle::parse(text).unwrap().unwrap().to_string(), text);
        }
        assert_eq!(HubHandle::parse("HF://a/b").unwrap(), HubHandle::parse("hf://a/b").unwrap());
        assert_eq!(HubHandle::parse("s3://a/b").unwrap(), None);
        assert_eq!(HubHandle::parse("a/b").unwrap(), None);
        assert!(matches!("a/b".parse::<HubHandle>(), Err(HubError::InvalidHandle { .. })));
    }

    #[test]
    fn what_is_no_handle_of_its_hub_is_refused() {
        for text in [
            "kaggle://keras/gpt2/keras",
            "kaggle://keras/gpt2/keras/gpt2_base_en/3/4",
            "kaggle://keras/gpt2/keras/gpt2_base_en/latest",
            "kaggle://keras/gpt2/keras/gpt2_base_en/0",
            "kaggle://keras//keras/gpt2_base_en",
            "kaggle://../gpt2/keras/gpt2_base_en",
            "hf://",
            "hf://a/b/c",
            "hf://a/..",
            "hf://a/b@",
            "hf://a/b@../main",
            "hf://a b/c",
            "hf://a/b?c",
            "hf://a--b/c",
            "modelscope://a",
        ] {
            let error = HubHandle::parse(text).unwrap_err();
            assert!(
                matches!(&error, HubError::InvalidHandle { handle, .. } if handle == text),
                "{error}"
            );
        }
    }
}
