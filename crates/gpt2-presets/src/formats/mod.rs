//! Formats of presets, one folder each.
//!
//! A format implements [`Format`](format::Format) and is listed in [`FORMATS`]. To add one, see
//! `ARCHITECTURE.md`.

pub(crate) mod config_file;
pub(crate) mod contents;
pub(crate) mod expressible;
pub(crate) mod folder_format;
pub(crate) mod format;
pub(crate) mod gguf;
pub(crate) mod keras;
pub(crate) mod preset_format;
#[cfg_attr(not(feature = "hub"), allow(dead_code, reason = "nothing is uploaded then"))]
pub(crate) mod publishing;
pub(crate) mod tables;
pub(crate) mod transformers;

/// All formats, in the order in which a preset is recognised: first by a file's content, then by the
/// keys of `config.json`, as KerasHub's `get_preset_loader` does (`utils/preset_utils.py`).
pub(crate) const FORMATS: &[&dyn format::Format] =
    &[&gguf::format::Gguf, &keras::format::FORMAT, &transformers::format::FORMAT];

/// Whether a preset in any format has a file with this name, relative to its folder.
pub(crate) fn is_part(name: &str) -> bool {
    FORMATS.iter().any(|format| format.files().contains(&name) || format.is_shard(name))
}

/// Whether a preset in any format has files in a folder with this name.
pub(crate) fn is_folder_of_parts(name: &str) -> bool {
    let within = |file: &&str| file.strip_prefix(name).is_some_and(|rest| rest.starts_with('/'));
    FORMATS.iter().any(|format| format.files().iter().any(within))
}

/// The format with this name.
pub(crate) fn writer_of(name: preset_format::PresetFormat) -> &'static dyn format::Format {
    let found = FORMATS.iter().find(|format| format.name() == name);
    *found.expect("every name is that of a format in the list")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::convert::Infallible;

    use burn::tensor::{Device, TensorData};
    use gpt2_backbone::{
        BackboneError, Gpt2Backbone, Gpt2BackboneConfig, ParameterSource, ParameterSpec,
        RandomParameters,
    };

    use super::*;
    use crate::weights::weight_map::Placement;

    /// Records the parameters that the model requests.
    struct Recorder {
        source: RandomParameters,
        asked: BTreeMap<String, usize>,
    }

    #[derive(Debug, thiserror::Error)]
    #[error(transparent)]
    struct Impossible(#[from] BackboneError);

    impl ParameterSource for Recorder {
        type Error = Impossible;

        fn parameter(&mut self, spec: &ParameterSpec<'_>) -> Result<TensorData, Impossible> {
            self.asked.insert(spec.path.to_owned(), spec.shape.iter().product());
            let data = self.source.parameter(spec);
            Ok(data.unwrap_or_else(|impossible: Infallible| match impossible {}))
        }
    }

    #[test]
    fn each_parameter_has_one_place_of_its_size() {
        for tie_weights in [true, false] {
            let config = Gpt2BackboneConfig {
                tie_weights,
                ..Gpt2BackboneConfig::new(7, 3, 2, 4, 9).with_max_sequence_length(5)
            };
            let mut recorder =
                Recorder { source: RandomParameters::new(0), asked: BTreeMap::new() };
            Gpt2Backbone::from_source(&config, &mut recorder, &Device::flex()).unwrap();
            for format in FORMATS {
                let placed: Vec<_> = format.weight_map().placements(&config).collect();
                assert_eq!(placed.len(), recorder.asked.len());
                for Placement { parameter, shape, part, .. } in placed {
                    let expected = part.rectangle(&shape).elements();
                    assert_eq!(
                        recorder.asked.get(&parameter),
                        Some(&expected),
                        "{format:?} {parameter}"
                    );
                }
            }
        }
    }
}
