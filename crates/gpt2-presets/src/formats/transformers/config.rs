//! Config of a model of the transformers library.

use gpt2_backbone::{Activation, Gpt2BackboneConfig};
use serde_json::{Map, Value};

use crate::error::PresetError;
use crate::formats::config_file::CONFIG_FILE;
use crate::source::preset_folder::PresetFolder;

/// Reads the backbone from `config.json` (`transformers/models/gpt2/configuration_gpt2.py`). Absent
/// keys have that file's defaults.
///
/// `n_inner`, `layer_norm_epsilon`, `activation_function`, `scale_attn_*` and `tie_word_embeddings`
/// hold here, while KerasHub's importer ignores them. Two groups of keys are ignored:
/// - `embd_pdrop` and `attn_pdrop`, which only training uses. The model's one dropout rate is
///   `resid_pdrop`, as in KerasHub.
/// - `reorder_and_upcast_attn`, which changes nothing in 32-bit floats.
pub(crate) fn backbone_config(
    folder: &dyn PresetFolder,
    json: &Map<String, Value>,
) -> Result<Gpt2BackboneConfig, PresetError> {
    let reader = Reader { folder, json };
    match json.get("model_type") {
        Some(Value::String(model)) if model == "gpt2" => {}
        found => {
            let found = found.map(Value::to_string).unwrap_or_default();
            let (file, expected) = (folder.display(CONFIG_FILE), "gpt2");
            return Err(PresetError::UnsupportedClass { file, expected, found });
        }
    }
    if reader.flag("add_cross_attention", false)? {
        return Err(reader.invalid("add_cross_attention", "false: a GPT-2 decodes alone"));
    }
    let hidden_dim = reader.size("n_embd")?.unwrap_or(768);
    let positions = reader.size("n_positions")?.or(reader.size("n_ctx")?);
    Ok(Gpt2BackboneConfig {
        vocabulary_size: reader.size("vocab_size")?.unwrap_or(50_257),
        num_layers: reader.size("n_layer")?.unwrap_or(12),
        num_heads: reader.size("n_head")?.unwrap_or(12),
        hidden_dim,
        intermediate_dim: reader.size("n_inner")?.unwrap_or(hidden_dim.saturating_mul(4)),
        dropout: reader.number("resid_pdrop", 0.1)?,
        max_sequence_length: positions.unwrap_or(1024),
        layer_norm_epsilon: reader.number("layer_norm_epsilon", 1e-5)?,
        activation: reader.activation()?,
        scale_attention: reader.flag("scale_attn_weights", true)?,
        scale_attention_by_layer: reader.flag("scale_attn_by_inverse_layer_idx", false)?,
        tie_weights: reader.flag("tie_word_embeddings", true)?,
    })
}

struct Reader<'a> {
    folder: &'a dyn PresetFolder,
    json: &'a Map<String, Value>,
}

impl Reader<'_> {
    /// Value of `key`. None if it is absent or null.
    fn get(&self, key: &str) -> Option<&Value> {
        self.json.get(key).filter(|value| !value.is_null())
    }

    fn size(&self, key: &'static str) -> Result<Option<usize>, PresetError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let size = value.as_u64().filter(|size| *size > 0).and_then(|size| size.try_into().ok());
        size.map(Some).ok_or_else(|| self.invalid(key, "a positive integer"))
    }

    fn number(&self, key: &'static str, default: f64) -> Result<f64, PresetError> {
        let Some(value) = self.get(key) else { return Ok(default) };
        value.as_f64().ok_or_else(|| self.invalid(key, "a number"))
    }

    fn flag(&self, key: &'static str, default: bool) -> Result<bool, PresetError> {
        let Some(value) = self.get(key) else { return Ok(default) };
        value.as_bool().ok_or_else(|| self.invalid(key, "true or false"))
    }

    fn activation(&self) -> Result<Activation, PresetError> {
        const KEY: &str = "activation_function";
        let Some(value) = self.get(KEY) else { return Ok(Activation::GeluNew) };
        Ok(match value.as_str() {
            Some("gelu_new" | "gelu_pytorch_tanh") => Activation::GeluNew,
            Some("gelu") => Activation::Gelu,
            Some("relu") => Activation::Relu,
            Some("silu" | "swish") => Activation::Silu,
            Some("tanh") => Activation::Tanh,
            _ => {
                let expected = "one of gelu_new, gelu_pytorch_tanh, gelu, relu, silu, swish, tanh";
                return Err(self.invalid(KEY, expected));
            }
        })
    }

    fn invalid(&self, key: &'static str, expected: &'static str) -> PresetError {
        let file = self.folder.display(CONFIG_FILE);
        let found = self.json.get(key).map_or_else(|| "nothing".to_owned(), Value::to_string);
        PresetError::InvalidConfigValue { file, key, expected, found }
    }
}
