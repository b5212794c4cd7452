//! Every kernel on the GPU that `GPT2_TEST_DEVICE` names, against the same kernel on the CPU.
//! `gpt2-kernels` compares those with burn's own operations.

use burn::tensor::{Bool, DType, Device, Int, Tensor, TensorData};
use gpt2_backbone::{PendingRead, start_read};
use gpt2_kernels::{
    AdamStep, AttentionOptions, CachedKeys, Caches, CrossEntropy, CrossEntropyGradients,
    DropoutKey, Qkv, Repeated, StepPlan, StepState, TokenChoice, adam, attention, cached_attention,
    choose_tokens, chooses_tokens, counted_random, cross_entropy, dropout, gelu, has_steps,
    layer_norm, linear, linear_add, linear_gelu, projections, reverse_embedding, top_tokens,
};
use gpt2_test_support::skip;

use crate::golden::{check_within, gpu, values};

/// Tolerance for numbers of size one. Sums have another order. Exponentials and hyperbolic tangents
/// are exact to a few units in the last place instead of one (Vulkan allows `3 + 2 |x|` units for
/// an exponential).
const TOLERANCE: f32 = 2e-5;

/// Numbers between -1 and 1, determined by a seed.
fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let number = |index| (counted_random(seed, index) >> 40) as f32 / (1 << 23) as f32 - 1.0;
    (0..count as u64).map(number).collect()
}

fn tensor<const D: usize>(seed: u64, shape: [usize; D], device: &Device) -> Tensor<D> {
    let values = numbers(seed, shape.iter().product());
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Computes on both devices and compares all results.
fn compare(label: &str, compute: impl Fn(&Device) -> Vec<Vec<f32>>) {
    let Some(gpu) = gpu() else { return };
    let (found, expected) = (compute(&gpu), compute(&Device::flex()));
    assert_eq!(found.len(), expected.len());
    for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
        check_within(TOLERANCE, TOLERANCE, &format!("{label}, result {index}"), found, expected);
    }
}

#[test]
fn products() {
    // Few rows and many; widths with and without a rest in vectors of four.
    for (rows, inputs, outputs) in
        [(1, 48, 96), (3, 33, 50), (8, 100, 260), (1, 16, 2052), (2, 16, 4100), (40, 48, 64)]
    {
        compare(&format!("linear {rows}x{inputs}x{outputs}"), |device| {
            let x = tensor(1, [rows, inputs], device);
            let kernel = tensor(2, [inputs, outputs], device) * (1.0 / (inputs as f64).sqrt());
            let bias = tensor(3, [outputs], device);
            let residual = tensor(4, [rows, outputs], device);
            let table = tensor(5, [outputs, inputs], device) * (1.0 / (inputs as f64).sqrt());
            let (other, third) = (kernel.clone() * 0.5, kernel.clone() * -2.0);
            let biases = [bias.clone(), bias.clone() * 3.0, bias.clone() + 1.0];
            let [query, key, value] =
                projections(x.clone(), [kernel.clone(), other, third], biases);
            vec![
                values(query),
                values(key),
                values(value),
                values(linear(x.clone(), kernel.clone(), bias.clone())),
                values(linear_gelu(x.clone(), kernel.clone(), bias.clone())),
                values(linear_add(x.clone(), kernel, bias, residual)),
                values(reverse_embedding(x, table)),
            ]
        });
    }
}

#[test]
fn gelu_and_its_gradient() {
    compare("gelu", |device| {
        let x = tensor(1, [7, 31], device) * 6.0;
        let x = Tensor::cat(vec![x, Tensor::from_data([[1e4; 31], [-1e4; 31]], device)], 0);
        let x = x.autodiff().require_grad();
        let y = gelu(x.clone());
        let gradients = (y.clone() * Tensor::from_inner(tensor(2, [9, 31], device))).sum();
        vec![values(y.inner()), values(x.grad(&gradients.backward()).unwrap())]
    });
}

#[test]
fn layer_normalisation_and_its_gradients() {
    for (rows, width) in [(1, 8), (5, 33), (300, 64), (3, 800)] {
        compare(&format!("layer norm {rows}x{width}"), |device| {
            let leaf = |x: Tensor<2>| x.autodiff().require_grad();
            let x = leaf(tensor(1, [rows, width], device) * 3.0 + 1.0);
            let gamma = tensor(2, [width], device).autodiff().require_grad();
            let beta = tensor(3, [width], device).autodiff().require_grad();
            let y = layer_norm(x.clone(), gamma.clone(), beta.clone(), 1e-5);
            let weights: Tensor<2> = tensor(4, [rows, width], device);
            let gradients =
                (y.clone() * Tensor::from_inner(weights / (rows as f64).sqrt())).sum().backward();
            vec![
                values(y.inner()),
                values(x.grad(&gradients).unwrap()),
                values(gamma.grad(&gradients).unwrap()),
                values(beta.grad(&gradients).unwrap()),
            ]
        });
    }
}

#[test]
fn dropout_drops_the_same_numbers() {
    if cfg!(feature = "fusion") {
        return skip("with `fusion`, dropout is burn's, from the device's own generator");
    }
    compare("dropout", |device| {
        let key = DropoutKey { key: 0xfedc_ba98_7654_3210, rate: 0.3 };
        vec![values(dropout(tensor(1, [100, 37], device), key))]
    });
}

fn mask(batch_size: usize, keys: usize, device: &Device) -> Tensor<2, Bool> {
    let kept = (0..batch_size * keys).map(|i| i % 7 != 3 && (i / keys != 1 || i % keys > 2));
    let data = TensorData::new(kept.collect::<Vec<bool>>(), [batch_size, keys]);
    Tensor::from_data(data, device)
}

#[test]
fn attention_and_its_gradients() {
    let key = DropoutKey { key: 77, rate: 0.25 };
    // One block of keys and two; heads with and without a rest in vectors of four.
    for (tokens, heads, width) in [(1, 3, 8), (20, 3, 8), (300, 2, 8), (11, 2, 5)] {
        let dropped = (!cfg!(feature = "fusion")).then_some(key);
        for (is_masked, dropout) in [(false, None), (true, dropped)] {
            let label = format!("attention {tokens}x{heads}x{width}, {is_masked} {dropout:?}");
            compare(&label, |device| {
                let options = AttentionOptions {
                    num_heads: heads,
                    scale: (width as f64).powf(-0.5),
                    dropout,
                };
                let shape = [2, tokens, heads * width];
                let leaf = |seed| tensor(seed, shape, device).autodiff().require_grad();
                let [query, key, value] = [leaf(1), leaf(2), leaf(3)];
                let mask = is_masked.then(|| mask(2, tokens, device));
                let qkv = Qkv::from([query.clone(), key.clone(), value.clone()]);
                let y = attention(qkv, mask, options);
                let weights = Tensor::from_inner(tensor(4, shape, device));
                let gradients = (y.clone() * weights).sum().backward();
                vec![
                    values(y.inner()),
                    values(query.grad(&gradients).unwrap()),
                    values(key.grad(&gradients).unwrap()),
                    values(value.grad(&gradients).unwrap()),
                ]
            });
        }
    }
}

#[test]
fn attention_to_a_cache() {
    let room = 300;
    for (start, new) in [(0, 5), (6, 1), (6, 9), (280, 1), (270, 20)] {
        for variant in ["straight", "rows", "mask"] {
            compare(&format!("cached attention {start}+{new}, {variant}"), |device| {
                let (heads, width) = (2, 8);
                let options = AttentionOptions { num_heads: heads, scale: 0.5, dropout: None };
                let shape = [3, new, heads * width];
                // The cache has a row to which no sequence writes.
                let cache = |seed| tensor(seed, [4, heads, room, width], device);
                let caches = Caches { keys: cache(5), values: cache(6) };
                let rows = (variant == "rows").then(|| {
                    let row = |place: usize| ((place * 7 + place / room) % 4) as u32;
                    (0..3 * room).map(row).collect()
                });
                let mask = (variant == "mask").then(|| mask(3, start + new, device));
                let qkv = Qkv::from([1, 2, 3].map(|seed| tensor(seed, shape, device)));
                let cached = CachedKeys { start, rows };
                let (y, caches) = cached_attention(qkv, caches, mask, cached, options);
                vec![values(y), values(caches.keys), values(caches.values)]
            });
        }
    }
}

#[test]
fn cross_entropies_and_their_gradients() {
    for (rows, vocabulary, tied, wanted) in
        [(5, 300, true, true), (17, 1000, true, true), (4, 77, false, true), (3, 50, true, false)]
    {
        compare(&format!("cross-entropy {rows}x{vocabulary}, {tied}"), |device| {
            let width = 24;
            let hidden = tensor(1, [rows, width], device);
            let shape = if tied { [vocabulary, width] } else { [width, vocabulary] };
            let table = tensor(2, shape, device);
            let factors = numbers(3, rows);
            let request = CrossEntropy {
                targets: (0..rows).map(|row| (row * 31 % vocabulary) as u32).collect(),
                tied,
                gradients: wanted.then_some(CrossEntropyGradients { factors, table: true }),
                compute_dtype: None,
            };
            let output = cross_entropy(hidden, table, request);
            let mut results = vec![
                values(output.losses),
                output.best.into_data().iter::<f32>().collect::<Vec<f32>>(),
            ];
            results.extend(output.hidden_gradient.map(values));
            results.extend(output.table_gradient.map(values));
            assert_eq!(results.len(), if wanted { 4 } else { 2 });
            results
        });
    }
}

#[test]
fn steps_of_adam() {
    for count in [7, 1000] {
        compare(&format!("adam of {count}"), |device| {
            let mut moments = [tensor(3, [count], device) * 0.1, tensor(4, [count], device).abs()];
            let step = AdamStep { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7, alpha: 1e-3 };
            let variable =
                adam(tensor(1, [count], device), tensor(2, [count], device), &mut moments, step);
            let [momentum, velocity] = moments;
            vec![values(variable), values(momentum), values(velocity)]
        });
    }
}

/// Only the storage has 16 bits: all sums are in 32-bit floats. The result is that of 32-bit floats
/// with the same inputs, rounded.
#[test]
fn sixteen_bit_floats_are_rounded_once() {
    let Some(gpu) = gpu() else { return };
    if cfg!(feature = "fusion") {
        return skip("with `fusion`, the operations are burn's, which round each result");
    }
    for dtype in [DType::F16, DType::BF16] {
        if !gpu.supports_dtype(dtype) {
            skip(format!("the device does not compute in {dtype:?}"));
            continue;
        }
        let narrow = |x: Tensor<2>| x.cast(dtype);
        let x = narrow(tensor(1, [2, 64], &gpu));
        let kernel = narrow(tensor::<2>(2, [64, 96], &gpu) / 8.0);
        let bias = tensor::<1>(3, [96], &gpu).cast(dtype);
        let found = values(linear(x.clone(), kernel.clone(), bias.clone()));
        let wide = |x: Tensor<2>| x.cast(DType::F32);
        let exact = linear(wide(x), wide(kernel), bias.cast(DType::F32));
        let rounded = values(exact.cast(dtype));
        // Sums in another order may round to the other side: one unit in the last place.
        let unit = if dtype == DType::F16 { 1.0 / 1024.0 } else { 1.0 / 128.0 };
        check_within(1e-6, unit, &format!("linear in {dtype:?}"), &found, &rounded);
    }
}

/// A number that draws the token at `rank` among `weights`: the middle of its share.
fn number_for(weights: &[f64], rank: usize) -> f32 {
    let below: f64 = weights[..rank].iter().sum();
    ((below + weights[rank] / 2.0) / weights.iter().sum::<f64>()) as f32
}

#[test]
fn chosen_tokens() {
    let Some(gpu) = gpu() else { return };
    assert_eq!(chooses_tokens(&gpu), !cfg!(feature = "fusion"));
    if !chooses_tokens(&gpu) {
        return skip("the device does not choose tokens");
    }
    let (rows, width, temperature) = (4, 777, 0.5);
    let mut logits = numbers(9, rows * width);
    // Two logits with the same probability, the larger one second; and two equal ones, the largest.
    logits[..width].iter_mut().for_each(|logit| *logit *= 0.1);
    logits[50] = 0.2;
    logits[40] = 0.2_f32.next_down();
    (logits[width + 700], logits[width + 70]) = (3.0, 3.0);
    let damaged = 2 * width + 5;
    let choose = |logits: &[f32], numbers: Vec<f32>, choice| -> Vec<i32> {
        let logits = TensorData::new(logits.to_vec(), [rows, width]);
        let logits = Tensor::<2>::from_data(logits, &gpu);
        let numbers = Tensor::from_data(TensorData::new(numbers, [rows]), &gpu);
        choose_tokens(logits, numbers, choice).unwrap().into_data().iter::<i32>().collect()
    };
    let best = |row: usize| {
        let mut row = logits[row * width..][..width].to_vec();
        gpt2_task::softmax(&mut row, 1.0);
        gpt2_task::argmax(&row) as i32
    };
    let greedy = choose(&logits, vec![0.0; rows], TokenChoice::Greedy);
    assert_eq!(greedy, (0..rows).map(best).collect::<Vec<_>>());
    assert_eq!(greedy[..2], [40, 70]);

    let weights: Vec<Vec<f64>> = logits
        .chunks_exact(width)
        .map(|row| row.iter().map(|&logit| (f64::from(logit) / temperature).exp()).collect())
        .collect();
    let temperature = temperature as f32;
    for wanted in [[0, 776, 333, 50], [776, 0, 2, 3], [256, 255, 512, 40]] {
        let numbers = (0..rows).map(|row| number_for(&weights[row], wanted[row])).collect();
        let found = choose(&logits, numbers, TokenChoice::Random { temperature });
        assert_eq!(found, wanted.map(|token| token as i32));
    }
    // Candidates of each row, the most probable first, and a choice that keeps exactly these.
    let top_k = |k| (vec![k; rows], TokenChoice::TopK { k, temperature });
    let top_p = |p: f64, k: Option<usize>| {
        let count = |row: &Vec<f64>| {
            let mut sorted = row.clone();
            sorted.sort_by(|a, b| b.total_cmp(a));
            let target = p * row.iter().sum::<f64>();
            let sums = sorted.iter().scan(0.0, |sum, weight| {
                *sum += weight;
                Some(*sum)
            });
            let kept = sums.take_while(|sum| *sum <= target).count() + 1;
            kept.min(k.unwrap_or(width)).min(width)
        };
        let p = p as f32;
        (weights.iter().map(count).collect(), TokenChoice::TopP { p, k, temperature })
    };
    let mut kept_counts = Vec::new();
    for (counts, choice) in [
        top_k(1),
        top_k(5),
        top_k(64),
        top_k(500),
        top_k(width),
        top_p(0.001, None),
        top_p(0.3, None),
        top_p(0.9, None),
        top_p(0.9, Some(20)),
        top_p(0.01, Some(700)),
        top_p(1.0, None),
    ] {
        let sorted: Vec<Vec<usize>> = logits
            .chunks_exact(width)
            .zip(&counts)
            .map(|(row, count)| gpt2_task::top_k(row, *count))
            .collect();
        // The first, a middle one and the last of the candidates.
        for share in [0.0, 0.4, 1.0] {
            let rank = |row: usize| ((counts[row] - 1) as f64 * share) as usize;
            let number = |row: usize| {
                let kept: Vec<f64> = sorted[row].iter().map(|&token| weights[row][token]).collect();
                number_for(&kept, rank(row))
            };
            let found = choose(&logits, (0..rows).map(number).collect(), choice);
            let expected: Vec<i32> = (0..rows).map(|row| sorted[row][rank(row)] as i32).collect();
            assert_eq!(found, expected, "share {share} of {choice:?}, {counts:?}");
        }
        // The largest number below 1 draws a candidate.
        let found = choose(&logits, vec![1f32.next_down(); rows], choice);
        let kept = |row: usize| sorted[row].contains(&(found[row] as usize));
        assert!((0..rows).all(kept), "{choice:?} draws {found:?}");
        kept_counts.extend(counts);
    }
    assert!(kept_counts.iter().any(|count| (2..20).contains(count)), "{kept_counts:?}");

    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        logits[damaged] = value;
        let choices = [
            TokenChoice::Greedy,
            TokenChoice::Random { temperature },
            TokenChoice::TopK { k: 3, temperature },
            TokenChoice::TopP { p: 0.5, k: Some(100), temperature },
        ];
        for choice in choices {
            let found = choose(&logits, vec![0.5; rows], choice);
            let marked: Vec<bool> = found.iter().map(|token| *token == width as i32).collect();
            assert_eq!(marked, [false, false, true, false], "{value}, {choice:?}");
        }
    }
}

#[test]
fn most_probable_tokens() {
    let Some(gpu) = gpu() else { return };
    if !chooses_tokens(&gpu) {
        return skip("the device does not choose tokens");
    }
    let (rows, width, temperature) = (3, 777, 0.5);
    let mut logits = numbers(11, rows * width);
    // The first of equal ones are kept.
    for token in [7, 300, 301, 500, 776] {
        logits[width + token] = 2.0;
    }
    let top = |logits: &[f32], k: usize| -> (Vec<i32>, Vec<f32>) {
        let logits = TensorData::new(logits.to_vec(), [rows, width]);
        let logits = Tensor::<2>::from_data(logits, &gpu);
        let (probabilities, tokens) = top_tokens(logits, k, temperature).unwrap();
        (tokens.into_data().iter().collect(), values(probabilities))
    };
    for k in [1, 3, 5, 100, 777] {
        let (tokens, probabilities) = top(&logits, k);
        for row in 0..rows {
            let mut exact = logits[row * width..][..width].to_vec();
            let mut expected = gpt2_task::top_k(&exact, k);
            expected.sort_unstable();
            let found = &tokens[row * k..][..k];
            assert_eq!(found, expected.iter().map(|&token| token as i32).collect::<Vec<_>>());
            gpt2_task::softmax(&mut exact, temperature);
            let exact: Vec<f32> = expected.iter().map(|&token| exact[token]).collect();
            let found = &probabilities[row * k..][..k];
            check_within(0.0, TOLERANCE, "probabilities", found, &exact);
        }
    }
    logits[width + 9] = f32::NAN;
    let (tokens, _) = top(&logits, 5);
    let marked: Vec<bool> = (0..rows).map(|row| tokens[row * 5] == width as i32).collect();
    assert_eq!(marked, [false, true, false]);
}

/// A state that advances by itself, and whose values are read one step late.
#[test]
fn repeated_steps() {
    let Some(gpu) = gpu() else { return };
    if !has_steps(&gpu, 8) {
        return skip("the device does not repeat a step");
    }
    let (rows, positions, vocabulary_size) = (2, 12, 100);
    // The second row's tokens are chosen up to the sixth.
    let forced = |place: usize| {
        let (position, row) = (place / rows, place % rows);
        if row == 1 && position < 6 { -1 } else { (10 * row + position) as i32 }
    };
    let plan = StepPlan {
        numbers: (0..positions * rows).map(|place| place as f32).collect(),
        forced: (0..positions * rows).map(forced).collect(),
        rows,
    };
    let chosen = |tokens: [i32; 2]| Tensor::<1, Int>::from_data(tokens, (&gpu, DType::I32));
    let mut state = StepState::new(3, chosen([50, 100]), vocabulary_size, &plan, &gpu);
    let always = chosen([70, 71]);
    let mut steps = Repeated::new(&gpu, move || {
        state.advance(always.clone(), vocabulary_size);
        let tokens = state.tokens.clone() * 1000 + state.position.clone();
        Tensor::stack::<2>(vec![tokens.float(), state.numbers.clone()], 0)
    });
    let mut found = Vec::new();
    let mut last = None;
    for _ in 4..positions {
        let next = start_read(steps.run().unwrap());
        found.extend(last.replace(next).map(|read: PendingRead| read.wait().unwrap()));
    }
    found.extend(last.map(|read| read.wait().unwrap()));
    for (position, found) in (4..).zip(&found) {
        let token = |row: usize| match forced(position * rows + row) {
            -1 => 71,
            token => token,
        };
        let following = (position + 1).min(positions - 1);
        let expected = [0, 1].map(|row| (token(row) as usize * 1000 + position) as f32);
        let numbers = [0, 1].map(|row| (following * rows + row) as f32);
        let found: Vec<f32> = found.iter().collect();
        assert_eq!(found, [expected, numbers].concat(), "position {position}");
    }
    assert_eq!(found.len(), positions - 4);
}

/// Data that are sent to the device cannot be part of a recording.
#[test]
fn a_recording_that_fails_is_an_error_and_the_device_goes_on() {
    let Some(gpu) = gpu() else { return };
    if !has_steps(&gpu, 8) {
        return skip("the device does not repeat a step");
    }
    let (device, x) = (gpu.clone(), tensor::<1>(1, [5], &gpu));
    let mut sums = Repeated::new(&gpu, move || {
        x.clone() + Tensor::<1>::from_data([1.0, 2.0, 3.0, 4.0, 5.0], &device)
    });
    let first = values(sums.run().unwrap());
    assert!(sums.run().is_err());
    assert_eq!(values(sums.run().unwrap()), first);
    // A computation that ends before it was recorded leaves the device unchanged.
    let x = tensor::<1>(1, [5], &gpu);
    let mut doubled = Repeated::new(&gpu, move || x.clone() * 2.0);
    let once = values(doubled.run().unwrap());
    drop(doubled);
    assert_eq!(values(tensor::<1>(1, [5], &gpu) * 2.0), once);
}
