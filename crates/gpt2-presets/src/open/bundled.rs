//! Files of the bundled preset.

macro_rules! file {
    ($name:literal) => {
        ($name, include_bytes!(concat!("../../bundled/gpt2_tiny_shakespeare/", $name)))
    };
}

/// `gpt2_tiny_shakespeare`, in the format of the transformers library.
pub(crate) const FILES: &[(&str, &[u8])] = &[
    file!("config.json"),
    file!("model.safetensors"),
    file!("vocab.json"),
    file!("merges.txt"),
    file!("tokenizer_config.json"),
];
