//! `gpt2 train`: training of a preset, or of a new model, on text files.
//!
//! A stopped training resumes from its last checkpoint when the same command is run again. On the
//! CPU the result is then the same, bit for bit, as without the interruption.

mod arguments;
mod course;
mod curves;
mod data;
mod failure;
mod folder;
mod header;
mod last;
mod log;
mod plan;
mod report;
mod samples;
mod schedule;
mod session;
mod settings;
mod start;

use std::path::Path;
use std::time::Instant;

use anyhow::ensure;
use gpt2_presets::LoraWeights;
use gpt2_task::{CheckpointStore, Dataset};

use crate::answer::Answer;
use crate::context::Context;
use crate::model;
pub use arguments::Arguments;
use data::Data;
use folder::OutputFolder;
use header::Header;
use plan::Plan;
use session::Session;

/// Trains, saves and reports.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<Answer> {
    gpt2_task::reuse_memory();
    plan::check(arguments)?;
    arguments.lora_adapter.as_deref().map_or(Ok(()), check_adapter)?;
    let folder = OutputFolder::new(&arguments.output);
    folder.check(arguments)?;
    let device = model::device(&arguments.device)?;
    let mut model = start::model(arguments, &device, context)?;
    let litter = folder.create()?;
    let data = Data::open(arguments, &model, &folder, context)?;
    let plan = Plan::new(arguments, data.training.len());
    plan.warn_of_batch(arguments, data.training.len(), context);
    let session = Session { arguments, context, folder: &folder, plan };
    session.compile(&mut model)?;
    if arguments.restart {
        folder.restart()?;
    }

    let begin = Instant::now();
    let header = Header::new(&model, &data);
    let trained = match session.fit(&mut model, &data, &header, litter)? {
        Ok(trained) => trained,
        Err(error) => return session.explain(error),
    };
    session.check_result(&trained)?;
    session.tell_stopping(&trained);
    if let Some(path) = &arguments.lora_adapter {
        model.save_lora_weights(path)?;
    }
    model.merge_lora();
    model::save(&model, &arguments.output)?;
    session.report(&model, &trained, &header, &data, begin)?;
    folder::remove(&folder.file("last"))?;
    // Done last: until then the same command can resume the training.
    folder.checkpoint().clear().map_err(anyhow::Error::from_boxed)?;
    Ok(Answer::Yes)
}

/// Returns an error, before the training, for a name that ends as no format's.
fn check_adapter(path: &Path) -> anyhow::Result<()> {
    let name = path.to_string_lossy();
    ensure!(
        name.ends_with(".safetensors") || name.ends_with(".lora.h5"),
        "cannot save the adapter as `{name}`: its name must end with .safetensors or .lora.h5"
    );
    Ok(())
}
