//! Stage 10b: a checkpoint as the source of one that is written, without a model between them.

use gpt2_backbone::Gpt2BackboneConfig;

use crate::error::PresetError;
use crate::weights::checkpoint::Checkpoint;
use crate::weights::load::{account, place, read_placed};
use crate::weights::placed_parameters::{Parameters, Visit};

/// A checkpoint in which every parameter of a model has been found.
///
/// Its parameters are read when they are visited, one at a time and past the memory map, so that
/// the largest of them is all that is in memory.
pub(crate) struct PlacedCheckpoint {
    config: Gpt2BackboneConfig,
    checkpoint: Checkpoint,
}

impl PlacedCheckpoint {
    /// Compares names and shapes of all tensors with the config, as loading does.
    pub(crate) fn new(
        config: &Gpt2BackboneConfig,
        mut checkpoint: Checkpoint,
    ) -> Result<Self, PresetError> {
        let placements = place(config, &mut checkpoint)?;
        account(config, &mut checkpoint, &placements)?;
        Ok(Self { config: config.clone(), checkpoint })
    }
}

impl Parameters for PlacedCheckpoint {
    fn config(&self) -> &Gpt2BackboneConfig {
        &self.config
    }

    fn each(
        &mut self,
        wanted: &dyn Fn(&str) -> bool,
        visit: &mut Visit<'_>,
    ) -> Result<(), PresetError> {
        let Self { config, checkpoint } = self;
        let map = checkpoint.map;
        for placement in map.placements(config).filter(|one| wanted(&one.parameter)) {
            let values = read_placed(checkpoint, &placement, false, true)?;
            visit(&placement.parameter, values.as_slice())?;
        }
        Ok(())
    }
}
