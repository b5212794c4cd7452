//! What the machine can do: reading memory, and multiplying matrices.

use std::hint::black_box;
use std::thread;
use std::time::Instant;

use burn::tensor::{Device, Distribution, Tensor};

/// Floats that are read: 512 MB, far above any cache.
const FLOATS: usize = 128 << 20;
/// Rows, common dimension and columns of the product: a feed-forward layer's, for 1024 tokens.
const PRODUCT: [usize; 3] = [1024, 3072, 3072];
/// Measurements of each, of which the best counts: reading is soon done.
const READS: usize = 16;
const PRODUCTS: usize = 4;

/// Bytes read in a second by all threads together.
pub fn memory_rate(threads: usize) -> f64 {
    let floats = vec![1.0_f32; FLOATS];
    let part = FLOATS.div_ceil(threads);
    let seconds = best(READS, || {
        let sum: f32 = thread::scope(|scope| {
            let parts = floats.chunks(part).map(|part| scope.spawn(move || sum(part)));
            let running: Vec<_> = parts.collect();
            running.into_iter().map(|part| part.join().expect("a sum does not panic")).sum()
        });
        black_box(sum);
    });
    (FLOATS * size_of::<f32>()) as f64 / seconds
}

/// The sum of floats, in enough sums at a time that the additions do not wait for each other.
fn sum(floats: &[f32]) -> f32 {
    let mut sums = [0.0; 64];
    for chunk in floats.chunks_exact(sums.len()) {
        for (sum, float) in sums.iter_mut().zip(chunk) {
            *sum += float;
        }
    }
    sums.iter().sum()
}

/// Floating-point operations in a second of burn's product of large matrices.
pub fn product_rate(device: &Device) -> f64 {
    let [rows, common, columns] = PRODUCT;
    let random = |shape| Tensor::<2>::random(shape, Distribution::Default, device);
    let (left, right) = (random([rows, common]), random([common, columns]));
    let seconds = best(PRODUCTS, || {
        black_box(left.clone().matmul(right.clone()).into_data());
    });
    2.0 * (rows * common * columns) as f64 / seconds
}

/// Seconds of the fastest of several runs, behind one that is thrown away.
fn best(tries: usize, mut run: impl FnMut()) -> f64 {
    run();
    let times = (0..tries).map(|_| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64()
    });
    times.fold(f64::INFINITY, f64::min)
}
