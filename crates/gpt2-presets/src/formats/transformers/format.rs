//! The format of the transformers library.

use std::path::Path;
use std::sync::Arc;

use gpt2_backbone::Gpt2BackboneConfig;
use gpt2_tokenizer::Gpt2Tokenizer;
use serde_json::{Map, Value};

use crate::error::PresetError;
use crate::formats::contents::{Contents, WriteOptions};
use crate::formats::format::{Format, LoneTokenizer, OpenedPreset};
use crate::formats::preset_format::PresetFormat;
use crate::formats::publishing::Publishing;
use crate::formats::transformers::names::{PYTORCH, SAFETENSORS, TOKENIZER_FILE, VOCABULARY_FILE};
use crate::formats::transformers::weight_map::TRANSFORMERS;
use crate::formats::transformers::{config, tokenizer, write};
use crate::source::preset_folder::PresetFolder;
use crate::tensors::pytorch::file::PytorchFile;
use crate::tensors::safetensors::file::SafetensorsFile;
use crate::weights::checkpoint::Checkpoint;
use crate::weights::weight_map::WeightMap;
use crate::weights::weights_names::WeightsNames;

/// The format.
#[derive(Debug)]
pub(crate) struct Transformers;

/// Uploads.
static PUBLISHING: Publishing = Publishing {
    weights: SAFETENSORS,
    library: "transformers",
    introduction: "This is a [`GPT2` \
                   model](https://huggingface.co/docs/transformers/model_doc/gpt2) in the format \
                   of the transformers library.",
    settings: None,
    task_file: None,
    usage: |id| {
        format!(
            "With transformers:\n\n```python\nfrom transformers import pipeline\n\n\
             generator = pipeline(\"text-generation\", model=\"{id}\")\n\
             print(generator(\"Once upon a time\")[0][\"generated_text\"])\n```\n\n"
        )
    },
};

/// A model in it.
#[derive(Debug)]
struct TransformersPreset {
    folder: Arc<dyn PresetFolder>,
    name: String,
    config: Gpt2BackboneConfig,
}

impl Format for Transformers {
    fn weight_map(&self) -> &'static WeightMap {
        &TRANSFORMERS
    }

    fn config_key(&self) -> Option<&'static str> {
        Some("`model_type` (transformers)")
    }

    fn open(
        &self,
        folder: &Arc<dyn PresetFolder>,
        preset: &str,
        config: Option<&Map<String, Value>>,
    ) -> Result<Option<Arc<dyn OpenedPreset>>, PresetError> {
        let Some(json) = config.filter(|config| config.contains_key("model_type")) else {
            return Ok(None);
        };
        let config = config::backbone_config(&**folder, json)?;
        let (folder, name) = (folder.clone(), preset.to_owned());
        Ok(Some(Arc::new(TransformersPreset { folder, name, config })))
    }

    fn lone_tokenizer(&self) -> Option<LoneTokenizer> {
        Some(LoneTokenizer {
            recognised_by: &[&[VOCABULARY_FILE], &[TOKENIZER_FILE]],
            read: tokenizer::tokenizer,
        })
    }

    fn name(&self) -> PresetFormat {
        PresetFormat::Transformers
    }

    /// Default of transformers 5.
    fn default_shard_size(&self) -> Option<u64> {
        Some(50_000_000_000)
    }

    fn write(
        &self,
        contents: Contents<'_>,
        folder: &Path,
        options: &WriteOptions,
    ) -> Result<(), PresetError> {
        write::write(contents, folder, options)
    }
}

impl OpenedPreset for TransformersPreset {
    fn format(&self) -> PresetFormat {
        PresetFormat::Transformers
    }

    fn config(&self) -> Result<Gpt2BackboneConfig, PresetError> {
        Ok(self.config.clone())
    }

    fn checkpoint(&self, memory_map: bool) -> Result<Checkpoint, PresetError> {
        let folder = &*self.folder;
        let remedy = "export the model with `save_pretrained`, or load it without weights";
        let found = WeightsNames::find(&[SAFETENSORS, PYTORCH], folder, &self.name, remedy)?;
        let (map, names) = (Transformers.weight_map(), found.files.iter());
        if found.choice == 0 {
            let open = |name: &String| SafetensorsFile::open(folder, name, memory_map);
            Checkpoint::new(map, names.map(open))
        } else {
            Checkpoint::new(map, names.map(|name| PytorchFile::open(folder, name)))
        }
    }

    fn has_tokenizer(&self) -> Result<bool, PresetError> {
        self.folder.fetch_any(&tokenizer::FILES)
    }

    fn tokenizer(&self) -> Result<Gpt2Tokenizer, PresetError> {
        tokenizer::tokenizer(&*self.folder, &self.name)
    }

    fn publishing(&self) -> Option<&'static Publishing> {
        Some(&PUBLISHING)
    }
}
