//! Sources of a model's parameters: checkpoints, or KerasHub's initialisers.

use std::convert::Infallible;

use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// Parameter that a model under construction requests.
#[derive(Debug, Clone, PartialEq)]
pub struct ParameterSpec<'a> {
    /// Path in the model, such as `transformer_layers.0.self_attention_layer.query_dense.kernel`.
    pub path: &'a str,
    /// Shape of the parameter.
    pub shape: &'a [usize],
    /// KerasHub's initialiser of the parameter, used without a checkpoint.
    pub initializer: Initializer,
}

/// KerasHub's initialisers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Initializer {
    /// All zero.
    Zeros,
    /// All one.
    Ones,
    /// Normally distributed around 0.
    Normal {
        /// Standard deviation.
        stddev: f64,
    },
}

/// Source of a model's parameters, called once for each while the model is built.
///
/// No parameter is initialised only to be overwritten, and no second copy of the weights exists.
pub trait ParameterSource {
    /// Reason why a parameter is not available.
    type Error;

    /// Returns the values of `parameter`, in row-major order and in its shape. Their float type,
    /// the same for all parameters, becomes the model's.
    ///
    /// # Errors
    ///
    /// If the source does not have the parameter; the model is then not built.
    fn parameter(&mut self, parameter: &ParameterSpec<'_>) -> Result<TensorData, Self::Error>;
}

/// Initialises every parameter from a seed, as KerasHub does.
///
/// The distributions are KerasHub's. Its random numbers depend on Keras' backend and are not
/// reproduced.
#[derive(Debug, Clone)]
pub struct RandomParameters {
    rng: ChaCha8Rng,
}

impl RandomParameters {
    /// Source with this seed, which gives the same parameters on every device.
    pub fn new(seed: u64) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed) }
    }
}

impl ParameterSource for RandomParameters {
    type Error = Infallible;

    fn parameter(&mut self, parameter: &ParameterSpec<'_>) -> Result<TensorData, Infallible> {
        let count = parameter.shape.iter().product();
        let values: Vec<f32> = match parameter.initializer {
            Initializer::Zeros => vec![0.0; count],
            Initializer::Ones => vec![1.0; count],
            Initializer::Normal { stddev } => (0..count)
                .map(|_| {
                    let normal: f32 = StandardNormal.sample(&mut self.rng);
                    normal * stddev as f32
                })
                .collect(),
        };
        Ok(TensorData::new(values, parameter.shape.to_vec()))
    }
}

/// Uniform random numbers between `-limit` and `limit`.
pub(crate) fn uniform(seed: u64, limit: f64, count: usize) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| rng.random_range(-limit..limit) as f32).collect()
}

/// Reader of the parameters of one module, whose path in the model is `path`.
pub(crate) struct ParameterReader<'a, S> {
    source: &'a mut S,
    device: &'a Device,
    path: String,
}

impl<'a, S: ParameterSource> ParameterReader<'a, S> {
    pub(crate) fn new(source: &'a mut S, device: &'a Device) -> Self {
        Self { source, device, path: String::new() }
    }

    /// Reader of the module in the field `name`.
    pub(crate) fn module(&mut self, name: &str) -> ParameterReader<'_, S> {
        let path = self.join(name);
        ParameterReader { source: self.source, device: self.device, path }
    }

    /// Parameter in the field `name`.
    ///
    /// # Panics
    ///
    /// If the source returns another shape than requested.
    pub(crate) fn parameter<const D: usize>(
        &mut self,
        name: &str,
        shape: [usize; D],
        initializer: Initializer,
    ) -> Result<Param<Tensor<D>>, S::Error> {
        let path = self.join(name);
        let data =
            self.source.parameter(&ParameterSpec { path: &path, shape: &shape, initializer })?;
        assert_eq!(data.shape().as_slice(), shape, "the source of `{path}` returned another shape");
        let dtype = data.dtype();
        let keep = |data| Tensor::from_data(data, (self.device, dtype));
        Ok(Param::from_tensor(self.device.memory_persistent_allocations(data, keep)))
    }

    fn join(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}
