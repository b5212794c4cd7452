//! The format of the transformers library.

use crate::error::PresetError;
use crate::formats::config_file::CONFIG_FILE;
use crate::formats::folder_format::FolderFormat;
use crate::formats::format::{Format, LoneTokenizer, TaskPreprocessor};
use crate::formats::preset_format::PresetFormat;
use crate::formats::publishing::Publishing;
use crate::formats::transformers::names::{
    GENERATION_CONFIG_FILE, MERGES_FILE, PYTORCH, SAFETENSORS, TOKENIZER_CONFIG_FILE,
    TOKENIZER_FILE, VOCABULARY_FILE,
};
use crate::formats::transformers::shards::{is_pytorch_shard, is_shard};
use crate::formats::transformers::weight_map::TRANSFORMERS;
use crate::formats::transformers::{config, tokenizer, write};
use crate::source::preset_folder::PresetFolder;
use crate::tensors::pytorch::file::PytorchFile;
use crate::tensors::safetensors::file::SafetensorsFile;
use crate::weights::checkpoint::Checkpoint;
use crate::weights::weights_names::WeightsNames;

/// The format.
pub(crate) static FORMAT: FolderFormat = FolderFormat {
    name: PresetFormat::Transformers,
    weight_map: &TRANSFORMERS,
    config_keys: &["model_type"],
    config_key: "`model_type` (transformers)",
    config: config::backbone_config,
    folder_of_file: |_| Ok(None),
    checkpoint,
    files: &[
        CONFIG_FILE,
        GENERATION_CONFIG_FILE,
        TOKENIZER_CONFIG_FILE,
        TOKENIZER_FILE,
        VOCABULARY_FILE,
        MERGES_FILE,
        SAFETENSORS.whole,
        SAFETENSORS.index,
        PYTORCH.whole,
        PYTORCH.index,
    ],
    is_shard: |name| is_shard(name) || is_pytorch_shard(name),
    tokenizer_files: &tokenizer::FILES,
    tokenizer: LoneTokenizer {
        recognised_by: &[&[VOCABULARY_FILE], &[TOKENIZER_FILE]],
        read: tokenizer::tokenizer,
    },
    // The format has no settings of a preprocessor.
    preprocessor: |_| Ok(None),
    task_preprocessor: |_| Ok(TaskPreprocessor::Unspecified),
    publishing: Publishing {
        weights: SAFETENSORS,
        library: "transformers",
        introduction: "This is a [`GPT2` \
                       model](https://huggingface.co/docs/transformers/model_doc/gpt2) in the \
                       format of the transformers library.",
        settings: None,
        task_file: None,
        usage: |id| {
            format!(
                "With transformers:\n\n```python\nfrom transformers import pipeline\n\n\
                 generator = pipeline(\"text-generation\", model=\"{id}\")\n\
                 print(generator(\"Once upon a time\")[0][\"generated_text\"])\n```\n\n"
            )
        },
    },
    // The default of transformers 5.
    default_shard_size: 50_000_000_000,
    write: write::write,
};

fn checkpoint(
    folder: &dyn PresetFolder,
    preset: &str,
    memory_map: bool,
) -> Result<Checkpoint, PresetError> {
    let remedy = "export the model with `save_pretrained`, or load it without weights";
    let found = WeightsNames::find(&[SAFETENSORS, PYTORCH], folder, preset, remedy)?;
    let (map, names) = (FORMAT.weight_map(), found.files.iter());
    if found.choice == 0 {
        let open = |name: &String| SafetensorsFile::open(folder, name, memory_map);
        Checkpoint::new(map, names.map(open))
    } else {
        Checkpoint::new(map, names.map(|name| PytorchFile::open(folder, name)))
    }
}
