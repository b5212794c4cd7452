//! Rates of the machine: reads of memory and matrix products.

use std::hint::black_box;
use std::thread;
use std::time::Instant;

use burn::tensor::{Device, Distribution, Tensor};
use gpt2_backbone::{DeviceError, WeightDtype, read};

use super::cost::Rates;

/// Bytes to read, far more than any cache holds.
const BYTES: usize = 512 << 20;
/// Rows, common dimension and columns of the CPU's product: a feed-forward layer of 1024 tokens.
const PRODUCT: [usize; 3] = [1024, 3072, 3072];
/// Sizes of the square matrices that a GPU multiplies, in ascending order until one takes long.
const SIDES: [usize; 4] = [1024, 2048, 4096, 8192];
/// Seconds from which on a product is large enough for its device.
const LONG: f64 = 0.02;
/// Number of operations that are queued at once on a GPU: starting and waiting take time.
const QUEUE: usize = 10;
/// Numbers of measurements, of which the best counts: of a CPU's memory, where each is short, and
/// of everything else.
const READS: usize = 16;
const TRIES: usize = 4;

/// Rates of the CPU.
pub fn of_cpu(device: &Device, dtype: WeightDtype, threads: usize) -> anyhow::Result<Rates> {
    Ok(Rates {
        bytes: read_rate(threads)?,
        operations: product_rate(device, dtype, PRODUCT, |product| {
            black_box(product().into_data());
            Ok(1)
        })?,
    })
}

/// Rates of a GPU, which reads, writes and multiplies large tensors.
pub fn of_gpu(device: &Device, dtype: WeightDtype) -> anyhow::Result<Rates> {
    let mut operations: f64 = 0.0;
    for side in SIDES {
        let rate = product_rate(device, dtype, [side; 3], |product| queue(device, product))?;
        operations = operations.max(rate);
        if 2.0 * (side as f64).powi(3) / rate > LONG {
            break;
        }
    }
    Ok(Rates { bytes: copy_rate(device, dtype)?, operations })
}

/// Bytes that all threads together read per second.
fn read_rate(threads: usize) -> anyhow::Result<f64> {
    let floats = vec![1.0_f32; BYTES / size_of::<f32>()];
    let part = floats.len().div_ceil(threads);
    let seconds = best(READS, || {
        let sum: f32 = thread::scope(|scope| {
            let parts = floats.chunks(part).map(|part| scope.spawn(move || sum(part)));
            let running: Vec<_> = parts.collect();
            running.into_iter().map(|part| part.join().expect("a sum does not panic")).sum()
        });
        black_box(sum);
        Ok(1)
    })?;
    Ok(BYTES as f64 / seconds)
}

/// Sum of floats, in independent partial sums so that the additions do not wait for each other.
fn sum(floats: &[f32]) -> f32 {
    let mut sums = [0.0; 64];
    for chunk in floats.chunks_exact(sums.len()) {
        for (sum, float) in sums.iter_mut().zip(chunk) {
            *sum += float;
        }
    }
    sums.iter().sum()
}

/// Bytes read and written per second by the addition of one to every number of a tensor, of up to
/// the device's largest size.
fn copy_rate(device: &Device, dtype: WeightDtype) -> anyhow::Result<f64> {
    let mut bytes = BYTES;
    loop {
        let options = (device, dtype.tensor());
        let zeros = Tensor::<1>::zeros([bytes / dtype.size()], options);
        match best(TRIES, || queue(device, &|| zeros.clone().add_scalar(1.0))) {
            Ok(seconds) => return Ok(2.0 * bytes as f64 / seconds),
            Err(error) if !is_out_of_memory(&error) || bytes < (1 << 20) => return Err(error),
            Err(_) => bytes /= 2,
        }
    }
}

fn is_out_of_memory(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(DeviceError::OutOfMemory { .. }))
}

/// Floating-point operations per second of burn's product of large matrices, which `run` computes.
fn product_rate(
    device: &Device,
    dtype: WeightDtype,
    [rows, common, columns]: [usize; 3],
    run: impl Fn(&dyn Fn() -> Tensor<2>) -> anyhow::Result<usize>,
) -> anyhow::Result<f64> {
    let random = |shape| {
        let floats = Tensor::<2>::random(shape, Distribution::Default, device);
        floats.cast(dtype.tensor())
    };
    let (left, right) = (random([rows, common]), random([common, columns]));
    let seconds = best(TRIES, || run(&|| left.clone().matmul(right.clone())))?;
    Ok(2.0 * (rows * common * columns) as f64 / seconds)
}

/// Queues an operation several times on a GPU, and returns the number.
fn queue<const D: usize>(
    device: &Device,
    operation: &dyn Fn() -> Tensor<D>,
) -> anyhow::Result<usize> {
    let mut last = operation();
    for _ in 1..QUEUE {
        // Executes operations that wait to be fused, and that would be dropped if nothing read
        // them.
        device.flush()?;
        last = black_box(operation());
    }
    // Reads the result: an operation that failed would otherwise be the fastest.
    read(last.flatten::<1>(0, -1).narrow(0, 0, 1))?;
    Ok(QUEUE)
}

/// Seconds per operation in the fastest of several runs, after a discarded first one. `run` returns
/// its number of operations.
fn best(tries: usize, mut run: impl FnMut() -> anyhow::Result<usize>) -> anyhow::Result<f64> {
    run()?;
    let mut least = f64::INFINITY;
    for _ in 0..tries {
        let start = Instant::now();
        let times = run()?;
        least = least.min(start.elapsed().as_secs_f64() / times as f64);
    }
    Ok(least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fastest_run_counts_by_what_it_has_done() {
        let mut runs = [1, 1, 1000].into_iter();
        let seconds = best(2, || {
            thread::sleep(std::time::Duration::from_millis(5));
            Ok(runs.next().unwrap())
        });
        assert!((5e-6..5e-4).contains(&seconds.unwrap()));
    }
}
