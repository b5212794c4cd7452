//! Choice of the next token: KerasHub's samplers, and a trait for others.

pub(crate) mod beam;
mod check;
pub(crate) mod config;
pub(crate) mod contrastive;
pub(crate) mod greedy;
pub(crate) mod random;
pub(crate) mod sampler;
pub(crate) mod top_k;
pub(crate) mod top_p;

pub use beam::{BeamSampler, RaggedBeams};
pub use config::{SamplerConfig, get};
pub use contrastive::ContrastiveSampler;
pub use greedy::GreedySampler;
pub use random::RandomSampler;
pub use sampler::{Sampler, SearchStrategy};
pub use top_k::TopKSampler;
pub use top_p::TopPSampler;
