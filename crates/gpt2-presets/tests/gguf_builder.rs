//! Builder of GGUF files from a model in memory, independent of the crate's own writer and weight
//! map.

use gpt2_backbone::Gpt2BackboneConfig;

use crate::support::*;

pub const F32: u32 = 0;
pub const F16: u32 = 1;
pub const BF16: u32 = 30;

/// A GGUF file under construction.
#[derive(Clone)]
pub struct Builder {
    pub version: u32,
    pub alignment: usize,
    /// Key, type and bytes of each entry of the metadata.
    pub metadata: Vec<(String, u32, Vec<u8>)>,
    pub tensors: Vec<Entry>,
}

/// Name, axes in the file's order, element type, and bytes of a tensor.
pub type Entry = (String, Vec<u64>, u32, Vec<u8>);

pub fn string(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

pub fn array(element: u32, count: u64, values: &[u8]) -> Vec<u8> {
    [&element.to_le_bytes()[..], &count.to_le_bytes(), values].concat()
}

impl Builder {
    pub fn set(&mut self, key: &str, value_type: u32, value: impl AsRef<[u8]>) -> &mut Self {
        self.remove(key);
        self.metadata.push((key.to_owned(), value_type, value.as_ref().to_vec()));
        self
    }

    pub fn set_u32(&mut self, key: &str, value: u32) -> &mut Self {
        self.set(key, 4, value.to_le_bytes())
    }

    pub fn set_text(&mut self, key: &str, text: &str) -> &mut Self {
        self.set(key, 8, string(text))
    }

    pub fn set_texts(&mut self, key: &str, texts: &[&str]) -> &mut Self {
        let values: Vec<_> = texts.iter().flat_map(|text| string(text)).collect();
        self.set(key, 9, array(8, texts.len() as u64, &values))
    }

    pub fn set_i32s(&mut self, key: &str, values: &[i32]) -> &mut Self {
        let bytes: Vec<_> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.set(key, 9, array(5, values.len() as u64, &bytes))
    }

    pub fn remove(&mut self, key: &str) -> &mut Self {
        self.metadata.retain(|(other, ..)| other != key);
        self
    }

    pub fn tensor(&mut self, name: &str) -> &mut Entry {
        self.tensors.iter_mut().find(|tensor| tensor.0 == name).unwrap()
    }

    /// Offset of each tensor after the header.
    pub fn offsets(&self) -> Vec<u64> {
        let mut end = 0usize;
        let next = |tensor: &Entry| {
            let start = end;
            end = (start + tensor.3.len()).next_multiple_of(self.alignment);
            start as u64
        };
        self.tensors.iter().map(next).collect()
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.bytes_with(&self.offsets())
    }

    /// Bytes of a file that declares these offsets.
    pub fn bytes_with(&self, offsets: &[u64]) -> Vec<u8> {
        let mut bytes = b"GGUF".to_vec();
        bytes.extend(self.version.to_le_bytes());
        bytes.extend((self.tensors.len() as u64).to_le_bytes());
        bytes.extend((self.metadata.len() as u64).to_le_bytes());
        for (key, value_type, value) in &self.metadata {
            bytes.extend(string(key));
            bytes.extend(value_type.to_le_bytes());
            bytes.extend(value);
        }
        for ((name, axes, element, _), offset) in self.tensors.iter().zip(offsets) {
            bytes.extend(string(name));
            bytes.extend((axes.len() as u32).to_le_bytes());
            bytes.extend(axes.iter().flat_map(|axis| axis.to_le_bytes()));
            bytes.extend(element.to_le_bytes());
            bytes.extend(offset.to_le_bytes());
        }
        for (.., data) in &self.tensors {
            bytes.resize(bytes.len().next_multiple_of(self.alignment), 0);
            bytes.extend(data);
        }
        bytes
    }
}

/// The model under llama.cpp's names, as its converter derives them from transformers' tensors.
pub fn gguf_tensors(config: &Gpt2BackboneConfig, model: &Tensors) -> Tensors {
    let renamed = |name: &str| {
        let name = name.replace("transformer.", "").replace("h.", "blk.");
        [
            ("wte", "token_embd"),
            ("wpe", "position_embd"),
            ("ln_f", "output_norm"),
            ("lm_head", "output"),
            ("ln_1", "attn_norm"),
            ("ln_2", "ffn_norm"),
            ("attn.c_attn", "attn_qkv"),
            ("attn.c_proj", "attn_output"),
            ("mlp.c_fc", "ffn_up"),
            ("mlp.c_proj", "ffn_down"),
        ]
        .iter()
        .fold(name, |name, (theirs, ours)| name.replace(theirs, ours))
    };
    let tensors = transformers_tensors(config, model).into_iter();
    tensors
        .map(|(name, (mut shape, mut values))| {
            if name.contains(".c_") && name.ends_with("weight") {
                values = transposed(&values, shape[1]);
                shape.reverse();
            }
            (renamed(&name), (shape, values))
        })
        .collect()
}

/// A complete file of a model, with the tokenizer of the other formats' folders.
pub fn builder(config: &Gpt2BackboneConfig, model: &Tensors) -> Builder {
    let mut file = Builder { version: 3, alignment: 32, metadata: Vec::new(), tensors: Vec::new() };
    file.set_text("general.architecture", "gpt2")
        .set_u32("gpt2.block_count", config.num_layers as u32)
        .set_u32("gpt2.context_length", config.max_sequence_length as u32)
        .set_u32("gpt2.embedding_length", config.hidden_dim as u32)
        .set_u32("gpt2.feed_forward_length", config.intermediate_dim as u32)
        .set_u32("gpt2.attention.head_count", config.num_heads as u32)
        .set("gpt2.attention.layer_norm_epsilon", 6, 1e-5f32.to_le_bytes())
        .set_text("tokenizer.ggml.model", "gpt2")
        .set_text("tokenizer.ggml.pre", "gpt-2")
        .set_texts("tokenizer.ggml.tokens", &["a", "b", "ab", "<|endoftext|>", "[PAD4]", "[PAD5]"])
        .set_i32s("tokenizer.ggml.token_type", &[1, 1, 1, 3, 5, 5])
        .set_texts("tokenizer.ggml.merges", &["a b"])
        .set_u32("tokenizer.ggml.bos_token_id", 3)
        .set_u32("tokenizer.ggml.eos_token_id", 3)
        .set("tokenizer.ggml.add_bos_token", 7, [0]);
    for (name, (shape, values)) in gguf_tensors(config, model) {
        let axes = shape.iter().rev().map(|axis| *axis as u64).collect();
        let data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        file.tensors.push((name, axes, F32, data));
    }
    file
}

pub fn tiny_file() -> Builder {
    builder(&tiny(), &tiny_model(&tiny()))
}
