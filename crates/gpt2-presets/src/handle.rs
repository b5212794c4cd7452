//! Stage 1: the text that a user passes to the place where the files are.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::PresetError;
use crate::builtin::presets;

/// Where a preset's files are.
#[derive(Debug, PartialEq)]
pub(crate) enum Location {
    /// Inside this library.
    Bundled,
    /// In this folder, or this file.
    Local(PathBuf),
    /// On a hub; each of these places has the same files, the first is preferred.
    Hub(Vec<HubHandle>),
}

/// A model on a hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HubHandle {
    Kaggle(KaggleHandle),
    HuggingFace(ModelHandle),
    ModelScope(ModelHandle),
}

/// `kaggle://owner/model/framework/variation[/version]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KaggleHandle {
    pub(crate) owner: String,
    pub(crate) model: String,
    pub(crate) framework: String,
    pub(crate) variation: String,
    /// The newest where none.
    pub(crate) version: Option<u64>,
}

/// `hf://owner/model[@revision]` or `modelscope://owner/model[@revision]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ModelHandle {
    /// `owner/model`, or on Hugging Face `model` alone for some old ones.
    pub(crate) id: String,
    /// A branch, a tag or a commit; the hub's main branch where none.
    pub(crate) revision: Option<String>,
}

/// Resolves a built-in name, a hub's handle, a `file://` URL or a path.
pub(crate) fn locate(preset: &str) -> Result<Location, PresetError> {
    if let Some(info) = presets().iter().find(|info| info.name == preset) {
        if info.sources.is_empty() {
            return Ok(Location::Bundled);
        }
        let sources = info.sources.iter().map(|source| hub_handle(source));
        return Ok(Location::Hub(
            sources.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect(),
        ));
    }
    if let Some(handle) = hub_handle(preset)? {
        return Ok(Location::Hub(vec![handle]));
    }
    let path = match preset.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("file") => Path::new(rest),
        Some(_) => return Err(unknown(preset)),
        None => Path::new(preset),
    };
    if path.exists() { Ok(Location::Local(path.into())) } else { Err(unknown(preset)) }
}

/// Parses a hub's handle; none for text with another scheme, or without one.
pub(crate) fn hub_handle(text: &str) -> Result<Option<HubHandle>, PresetError> {
    let Some((scheme, rest)) = text.split_once("://") else { return Ok(None) };
    let invalid = |expected| PresetError::InvalidHandle { handle: text.to_owned(), expected };
    Ok(Some(match scheme.to_ascii_lowercase().as_str() {
        "kaggle" => HubHandle::Kaggle(KaggleHandle::parse(rest).ok_or_else(|| invalid(KAGGLE))?),
        "hf" => {
            let handle = ModelHandle::parse(rest, 1).ok_or_else(|| invalid(HUGGING_FACE))?;
            HubHandle::HuggingFace(handle)
        }
        "modelscope" => {
            let handle = ModelHandle::parse(rest, 2).ok_or_else(|| invalid(MODEL_SCOPE))?;
            HubHandle::ModelScope(handle)
        }
        _ => return Ok(None),
    }))
}

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
    /// `fewest` is the least number of names.
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

/// Whether a name is one on all hubs, and also that of a file: no separator, no `..`.
fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 96
        && !name.starts_with(['.', '-'])
        && !name.ends_with(['.', '-'])
        && !name.contains("..")
        && !name.contains("--")
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// Names with slashes between them, as branches have.
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

fn unknown(preset: &str) -> PresetError {
    let builtin = presets().iter().map(|info| info.name).collect();
    PresetError::UnknownPreset { received: preset.to_owned(), builtin }
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
            assert_eq!(hub_handle(text).unwrap().unwrap().to_string(), text);
        }
        assert_eq!(hub_handle("HF://a/b").unwrap(), hub_handle("hf://a/b").unwrap());
        assert_eq!(hub_handle("s3://a/b").unwrap(), None);
        assert_eq!(hub_handle("a/b").unwrap(), None);
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
            let error = hub_handle(text).unwrap_err();
            assert!(matches!(&error, PresetError::InvalidHandle { handle, .. } if handle == text));
        }
    }
}
