//! Files of token ids to one stream.

pub(crate) mod token_cache;
pub(crate) mod token_shard;
pub(crate) mod token_shards;
