//! Built-in presets.

/// Facts about a built-in preset that are known without opening it
/// (`keras_hub/src/models/gpt2/gpt2_presets.py`).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PresetInfo {
    /// Name for `from_preset`.
    pub name: &'static str,
    /// Description of the model and its training data.
    pub description: &'static str,
    /// Number of parameters; the tied output layer counts once.
    pub parameter_count: u64,
    /// Handles on hubs, the preferred one first. Empty for a bundled preset.
    pub sources: &'static [&'static str],
}

const PRESETS: [PresetInfo; 6] = [
    PresetInfo {
        name: "gpt2_tiny_shakespeare",
        description: "4-layer GPT-2 with a vocabulary of 1,024 tokens. Trained on tiny \
                      Shakespeare by this library, of which it is a part.",
        parameter_count: 2_001_024,
        sources: &[],
    },
    PresetInfo {
        name: "gpt2_base_en",
        description: "12-layer GPT-2 model where case is maintained. Trained on WebText.",
        parameter_count: 124_439_808,
        sources: &["kaggle://keras/gpt2/keras/gpt2_base_en/3", "hf://keras/gpt2_base_en"],
    },
    PresetInfo {
        name: "gpt2_medium_en",
        description: "24-layer GPT-2 model where case is maintained. Trained on WebText.",
        parameter_count: 354_823_168,
        sources: &["kaggle://keras/gpt2/keras/gpt2_medium_en/3", "hf://keras/gpt2_medium_en"],
    },
    PresetInfo {
        name: "gpt2_large_en",
        description: "36-layer GPT-2 model where case is maintained. Trained on WebText.",
        parameter_count: 774_030_080,
        sources: &["kaggle://keras/gpt2/keras/gpt2_large_en/3", "hf://keras/gpt2_large_en"],
    },
    PresetInfo {
        name: "gpt2_extra_large_en",
        description: "48-layer GPT-2 model where case is maintained. Trained on WebText.",
        parameter_count: 1_557_611_200,
        sources: &[
            "kaggle://keras/gpt2/keras/gpt2_extra_large_en/3",
            "hf://keras/gpt2_extra_large_en",
        ],
    },
    PresetInfo {
        name: "gpt2_base_en_cnn_dailymail",
        description: "12-layer GPT-2 model where case is maintained. Finetuned on the \
                      CNN/DailyMail summarization dataset.",
        parameter_count: 124_439_808,
        sources: &[
            "kaggle://keras/gpt2/keras/gpt2_base_en_cnn_dailymail/3",
            "hf://keras/gpt2_base_en_cnn_dailymail",
        ],
    },
];

/// All built-in presets: the bundled one, then KerasHub's.
///
/// ```
/// let names: Vec<_> = gpt2_presets::presets().iter().map(|preset| preset.name).collect();
/// assert_eq!(names[..2], ["gpt2_tiny_shakespeare", "gpt2_base_en"]);
/// ```
pub fn presets() -> &'static [PresetInfo] {
    &PRESETS
}
