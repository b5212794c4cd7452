//! Names in the metadata of a GGUF file.

/// First bytes of every file.
pub(crate) const MAGIC: &[u8; 4] = b"GGUF";
/// Default alignment of the tensors in bytes.
pub(crate) const DEFAULT_ALIGNMENT: u64 = 32;

pub(crate) const ALIGNMENT: &str = "general.alignment";
pub(crate) const ARCHITECTURE: &str = "general.architecture";
pub(crate) const FILE_TYPE: &str = "general.file_type";
pub(crate) const NAME: &str = "general.name";
pub(crate) const QUANTIZATION_VERSION: &str = "general.quantization_version";
pub(crate) const TYPE: &str = "general.type";

/// Value of [`ARCHITECTURE`], and prefix of the model's keys.
pub(crate) const GPT2: &str = "gpt2";
pub(crate) const BLOCK_COUNT: &str = "gpt2.block_count";
pub(crate) const CONTEXT_LENGTH: &str = "gpt2.context_length";
pub(crate) const EMBEDDING_LENGTH: &str = "gpt2.embedding_length";
pub(crate) const FEED_FORWARD_LENGTH: &str = "gpt2.feed_forward_length";
pub(crate) const HEAD_COUNT: &str = "gpt2.attention.head_count";
pub(crate) const HEAD_COUNT_KV: &str = "gpt2.attention.head_count_kv";
pub(crate) const KEY_LENGTH: &str = "gpt2.attention.key_length";
pub(crate) const LAYER_NORM_EPSILON: &str = "gpt2.attention.layer_norm_epsilon";
pub(crate) const VALUE_LENGTH: &str = "gpt2.attention.value_length";
pub(crate) const VOCAB_SIZE: &str = "gpt2.vocab_size";

pub(crate) const SPLIT_COUNT: &str = "split.count";

pub(crate) const TOKENIZER_MODEL: &str = "tokenizer.ggml.model";
pub(crate) const TOKENIZER_PRE: &str = "tokenizer.ggml.pre";
pub(crate) const TOKENS: &str = "tokenizer.ggml.tokens";
pub(crate) const TOKEN_TYPE: &str = "tokenizer.ggml.token_type";
pub(crate) const MERGES: &str = "tokenizer.ggml.merges";
pub(crate) const BOS_TOKEN_ID: &str = "tokenizer.ggml.bos_token_id";
pub(crate) const EOS_TOKEN_ID: &str = "tokenizer.ggml.eos_token_id";
pub(crate) const ADD_BOS_TOKEN: &str = "tokenizer.ggml.add_bos_token";

/// Values in [`TOKEN_TYPE`] (`llama_token_type` in `llama.h`).
pub(crate) mod token_type {
    pub(crate) const NORMAL: i32 = 1;
    pub(crate) const CONTROL: i32 = 3;
    pub(crate) const USER_DEFINED: i32 = 4;
    /// An id without a token.
    pub(crate) const UNUSED: i32 = 5;
}
