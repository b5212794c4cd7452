//! Arguments of `enable_lora`.

/// Layers to which KerasHub adds LoRA by default: queries and values.
const KERAS_TARGETS: [&str; 2] = ["query", "value"];

/// Rank and layers of a LoRA: the arguments of KerasHub's `enable_lora`. A rank alone converts to
/// it.
///
/// As in KerasHub there is no `alpha`: Keras' default, the rank, gives a scale of 1.
///
/// ```
/// use gpt2_backbone::LoraConfig;
///
/// let config = LoraConfig::new(4).with_target_layer_names(["query", "key", "value"]).with_seed(7);
/// assert_eq!(config.rank, 4);
/// assert_eq!(LoraConfig::from(4).target_layer_names, ["query", "value"]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoraConfig {
    /// Rank: the width of the narrow kernels.
    pub rank: usize,
    /// Names of the dense layers that get a LoRA. Default: `query` and `value`.
    pub target_layer_names: Vec<String>,
    /// Seed of the random `A`. Default: a random seed.
    pub seed: Option<u64>,
}

impl LoraConfig {
    /// KerasHub's defaults with this rank.
    pub fn new(rank: usize) -> Self {
        let target_layer_names = KERAS_TARGETS.map(str::to_owned).into();
        Self { rank, target_layer_names, seed: None }
    }

    /// Sets the layers, by Keras' names (`query`, `key`, `value`, `attention_output`,
    /// `feedforward_intermediate_dense`, `feedforward_output_dense`) or those of the fields
    /// (`query_dense`, …).
    #[must_use]
    pub fn with_target_layer_names<S: AsRef<str>>(
        mut self,
        names: impl IntoIterator<Item = S>,
    ) -> Self {
        self.target_layer_names = names.into_iter().map(|name| name.as_ref().to_owned()).collect();
        self
    }

    /// Sets the seed of the random `A`.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }
}

/// KerasHub's defaults with this rank.
impl From<usize> for LoraConfig {
    fn from(rank: usize) -> Self {
        Self::new(rank)
    }
}
