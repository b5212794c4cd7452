//! A checkpoint as the source of another one, without a model in between.

use gpt2_backbone::Gpt2BackboneConfig;

use crate::error::PresetError;
use crate::weights::checkpoint::Checkpoint;
use crate::weights::placed_parameters::{Parameters, Visit};
use crate::weights::placing::{account, place, read_placed};

/// A checkpoint in which all parameters of a model were found.
///
/// Parameters are read one at a time and not through the memory map, so that memory holds only the
/// largest of them.
pub(crate) struct PlacedCheckpoint {
    config: Gpt2BackboneConfig,
    checkpoint: Checkpoint,
}

impl PlacedCheckpoint {
    /// Checks names and shapes of all tensors against the config, as loading does.
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
