//! `gpt2 models remove`: deletion of a preset's downloaded files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap_complete::ArgValueCompleter;
use gpt2_presets::{HubOptions, cached_files};
use serde_json::json;

use crate::answer::Answer;
use crate::commands::completions::preset_names;
use crate::context::Context;
use crate::values::{short_path, size};

/// Number of parent folders, those of the model, that are deleted with a file if they are empty.
const EMPTY_FOLDERS: usize = 3;

/// Delete the downloaded files of a preset from the hubs' caches
#[derive(clap::Args)]
pub struct Arguments {
    /// Exact name or handle; the files are deleted without confirmation
    #[arg(value_name = "PRESET", add = ArgValueCompleter::new(preset_names))]
    preset: String,
    /// Print the files without deleting them
    #[arg(long)]
    dry_run: bool,
}

/// Deletes, and prints what was deleted.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<Answer> {
    let name = arguments.preset.as_str();
    let cached = cached_files(name, &HubOptions::new())?;
    if cached.is_empty() {
        bail!(
            "no file of `{name}` is in a hub's cache; `gpt2 models list` shows the downloaded \
             presets"
        );
    }
    let (mut bytes, mut files) = (0, Vec::new());
    for source in &cached {
        bytes += source.size;
        for file in &source.files {
            if !arguments.dry_run {
                delete(file)?;
            }
            files.push(file.clone());
        }
    }
    if context.json {
        let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        context.print_json(json!({
            "name": name,
            "files": files,
            "bytes": bytes,
            "deleted": !arguments.dry_run,
        }))?;
        return Ok(Answer::Yes);
    }
    for file in &files {
        context.detail(short_path(file));
    }
    if arguments.dry_run && context.verbose == 0 {
        files.iter().try_for_each(|file| context.print(short_path(file)))?;
    }
    let verb = if arguments.dry_run { "would delete" } else { "deleted" };
    context.print(format_args!("{verb} {} files of {name}, {}", files.len(), size(bytes)))?;
    Ok(Answer::Yes)
}

/// Deletes a file, the target of its link, and folders that become empty.
fn delete(file: &Path) -> anyhow::Result<()> {
    let blob = blob_of(file);
    remove(file)?;
    // If another snapshot links to the same blob, its link becomes dead and counts as absent.
    if let Some(blob) = blob {
        remove(&blob)?;
    }
    for folder in file.ancestors().skip(1).take(EMPTY_FOLDERS) {
        // Fails if the folder is not empty.
        if fs::remove_dir(folder).is_err() {
            break;
        }
    }
    Ok(())
}

/// Target of a snapshot's link, within the same model's folder.
fn blob_of(file: &Path) -> Option<PathBuf> {
    fs::read_link(file).ok()?;
    let blob = fs::canonicalize(file).ok()?;
    let model = blob.parent()?.parent()?;
    let snapshot = fs::canonicalize(file.parent()?).ok()?;
    snapshot.starts_with(model).then_some(blob)
}

fn remove(file: &Path) -> anyhow::Result<()> {
    fs::remove_file(file).with_context(|| format!("cannot delete `{}`", file.display()))
}
