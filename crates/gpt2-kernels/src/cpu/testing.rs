//! Random inputs for the kernels' tests, and comparisons of results.

use burn::backend::flex::FlexTensor;
use burn::backend::ops::FloatTensorOps;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::{Shape, TensorData};

use crate::random::counted_random;

/// Tolerance. Both sides round each term of sums over some thousand numbers, in different orders.
pub(crate) const ROUNDING: f32 = 2e-6;

/// `[rows, inputs, outputs]` of products: some fill whole vectors, blocks and tasks, some do not.
pub(crate) const PRODUCTS: [[usize; 3]; 7] = [
    [1, 768, 768],
    [1, 7, 5],
    [3, 193, 771],
    [8, 384, 1540],
    [9, 200, 40],
    [16, 33, 17],
    [40, 96, 130],
];

/// Numbers between -1 and 1.
pub(crate) fn numbers(seed: u64, shape: impl Into<Shape>) -> FlexTensor {
    let shape = shape.into();
    let number = |index| counted_random(seed, index) as u32 as f32 / 2f32.powi(31) - 1.0;
    let values: Vec<f32> = (0..shape.num_elements() as u64).map(number).collect();
    FlexTensor::from_data(TensorData::new(values, shape))
}

/// A tensor times a factor.
pub(crate) fn scaled(tensor: FlexTensor, factor: f32) -> FlexTensor {
    Flex::float_mul_scalar(tensor, factor.into())
}

/// The numbers of a tensor.
pub(crate) fn values(tensor: &FlexTensor) -> Vec<f32> {
    tensor.clone().into_data().iter().collect()
}

/// Largest absolute difference, relative to the largest expected number.
pub(crate) fn difference(found: &FlexTensor, expected: &FlexTensor) -> f32 {
    assert_eq!(found.shape(), expected.shape());
    let [found, expected] = [found, expected].map(values);
    let largest = expected.iter().fold(0f32, |largest, value| largest.max(value.abs()));
    let pairs = found.iter().zip(&expected);
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / largest.max(1e-30)
}

/// Checks that each row of `x [rows, inputs]` gives the same result, bit for bit, alone and in a
/// batch.
pub(crate) fn check_rows(x: &FlexTensor, compute: impl Fn(FlexTensor) -> FlexTensor) {
    let [rows, inputs] = x.shape().dims();
    let all = values(&compute(x.clone()));
    let outputs = all.len() / rows;
    for (row, numbers) in values(x).chunks_exact(inputs).enumerate() {
        let alone = FlexTensor::from_data(TensorData::new(numbers.to_vec(), [1, inputs]));
        assert_eq!(values(&compute(alone)), all[row * outputs..][..outputs], "row {row}");
    }
}

/// Checks that results are the same, bit for bit, with any number of threads.
pub(crate) fn check_threads(compute: impl Fn() -> Vec<FlexTensor> + Sync) {
    let with = |threads| -> Vec<Vec<f32>> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| compute().iter().map(values).collect())
    };
    let alone = with(1);
    for threads in [1, 2, 3, 7] {
        assert_eq!(with(threads), alone, "{threads} threads");
    }
}
