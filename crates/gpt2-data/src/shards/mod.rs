//! Files of token ids as one stream.

mod shard_layout;
pub(crate) mod token_cache;
pub(crate) mod token_shard;
pub(crate) mod token_shards;
