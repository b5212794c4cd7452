//! Location of a preset's files, from the text that a user passes.

use std::path::{Path, PathBuf};

use gpt2_files::exists;
use gpt2_hub::HubHandle;

use crate::error::PresetError;
use crate::open::builtin::presets;

/// Location of a preset's files.
#[derive(Debug, PartialEq)]
pub(crate) enum Location {
    /// This library.
    Bundled,
    /// A folder or a file on the disk.
    Local(PathBuf),
    /// Hubs. All handles have the same files; the first is preferred.
    Hub(Vec<HubHandle>),
}

/// Resolves a built-in name, a hub's handle, a `file://` URL or a path.
pub(crate) fn locate(source: &Path) -> Result<Location, PresetError> {
    // A name that is not UTF-8 can only be a path.
    let Some(preset) = source.to_str() else { return local(source, source) };
    if let Some(info) = presets().iter().find(|info| info.name == preset) {
        if info.sources.is_empty() {
            return Ok(Location::Bundled);
        }
        let sources = info.sources.iter().map(|source| source.parse());
        return Ok(Location::Hub(sources.collect::<Result<_, _>>()?));
    }
    if let Some(handle) = HubHandle::parse(preset)? {
        return Ok(Location::Hub(vec![handle]));
    }
    let path = match preset.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("file") => Path::new(rest),
        Some(_) => return Err(unknown(preset)),
        None => Path::new(preset),
    };
    local(path, source)
}

fn local(path: &Path, source: &Path) -> Result<Location, PresetError> {
    if exists(path)? {
        return Ok(Location::Local(path.into()));
    }
    match source.to_str() {
        Some(preset) if !is_path(preset) => Err(unknown(preset)),
        _ => Err(PresetError::MissingPath { path: path.into() }),
    }
}

fn unknown(preset: &str) -> PresetError {
    let builtin = presets().iter().map(|info| info.name).collect();
    let suggestion = suggestion(preset);
    PresetError::UnknownPreset { received: preset.to_owned(), builtin, suggestion }
}

/// Whether a text can only be a path, not the name of a model.
fn is_path(preset: &str) -> bool {
    let path = Path::new(preset);
    let is_file_url = preset.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("file://"));
    let starts = [".", "/", "~", "\\"].iter().any(|start| preset.starts_with(start));
    let is_file = path.extension().and_then(|extension| extension.to_str()).is_some_and(|ending| {
        ["gguf", "keras", "safetensors", "bin", "h5", "json"].contains(&ending)
    });
    starts || is_file_url || is_file || path.components().count() > 2
}

/// Name or handle that was probably meant: a built-in name in another spelling, or a model on
/// Hugging Face without the scheme.
fn suggestion(preset: &str) -> Option<String> {
    let page = ["https://huggingface.co/", "http://huggingface.co/", "huggingface.co/"];
    let page = page.iter().find_map(|start| preset.strip_prefix(start));
    let model = page.unwrap_or(preset).trim_end_matches('/');
    if model.split('/').count() == 2
        && let Ok(Some(_)) = HubHandle::parse(&format!("hf://{model}"))
    {
        return Some(format!("hf://{model}"));
    }
    let (_, name) = presets()
        .iter()
        .filter_map(|info| Some((extra(preset, info.name)?, info.name)))
        .min_by_key(|(extra, _)| *extra)?;
    Some(name.to_owned())
}

/// Number of additional characters of `known`, if it has those of `given` in order and `given` is
/// long enough.
fn extra(given: &str, known: &str) -> Option<usize> {
    let given = given.to_ascii_lowercase().replace('-', "_");
    let mut rest = known.chars();
    let is_within = given.chars().all(|character| rest.any(|other| other == character));
    (given.len() >= 4 && is_within).then(|| known.len() - given.len())
}
