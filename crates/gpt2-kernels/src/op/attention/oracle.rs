//! Attention and its gradients in 64-bit floats, query by query, from the definition
//! `dropout(softmax(scale Q K^T + mask)) V`.

use burn::backend::flex::FlexTensor;
use burn::backend::{Flex, TensorMetadata};

use super::inputs::{AttentionOptions, CacheTensors, CachedKeys, QkvTensors};
use crate::cpu::testing::values;
use crate::random::counted_random;

/// Attention of each sequence's last tokens to all of its tokens.
#[derive(Clone)]
pub(super) struct Problem {
    /// Queries of the new tokens, and keys and values of all tokens: `[batch_size, tokens,
    /// hidden_dim]` each.
    pub(super) inputs: [Vec<f64>; 3],
    batch_size: usize,
    hidden_dim: usize,
    /// Whether a key may be seen, `[batch_size, keys]`.
    keep: Option<Vec<bool>>,
    options: AttentionOptions,
}

/// One query of one head.
struct Query {
    sequence: usize,
    head: usize,
    /// Index among the new tokens.
    index: usize,
}

impl Problem {
    /// An attention of tokens to themselves.
    pub(super) fn packed(
        qkv: &QkvTensors<Flex>,
        keep: Option<&[bool]>,
        options: AttentionOptions,
    ) -> Self {
        let [batch_size, _, hidden_dim] = qkv.query.shape().dims();
        let inputs = [&qkv.query, &qkv.key, &qkv.value].map(wide);
        Self { inputs, batch_size, hidden_dim, keep: keep.map(<[bool]>::to_vec), options }
    }

    /// An attention to a cache, and to new tokens after it.
    pub(super) fn cached(
        qkv: &QkvTensors<Flex>,
        caches: &CacheTensors<Flex>,
        cached: &CachedKeys,
        keep: Option<&[bool]>,
        options: AttentionOptions,
    ) -> Self {
        let all = |cache, new| joined(cache, new, cached);
        let inputs =
            [wide(&qkv.query), all(&caches.keys, &qkv.key), all(&caches.values, &qkv.value)];
        Self { inputs, ..Self::packed(qkv, keep, options) }
    }

    fn new_tokens(&self) -> usize {
        self.inputs[0].len() / self.batch_size / self.hidden_dim
    }

    fn tokens(&self) -> usize {
        self.inputs[1].len() / self.batch_size / self.hidden_dim
    }

    fn head_dim(&self) -> usize {
        self.hidden_dim / self.options.num_heads
    }

    fn queries(&self) -> impl Iterator<Item = Query> {
        let (heads, new) = (self.options.num_heads, self.new_tokens());
        (0..self.batch_size * heads * new).map(move |place| Query {
            sequence: place / new / heads,
            head: place / new % heads,
            index: place % new,
        })
    }

    /// Offset of the query's head in a token, of `tokens` a sequence.
    fn at(&self, query: &Query, token: usize, tokens: usize) -> usize {
        (query.sequence * tokens + token) * self.hidden_dim + query.head * self.head_dim()
    }

    /// Offset of a query in queries, outputs and their gradients.
    fn own(&self, query: &Query) -> usize {
        self.at(query, query.index, self.new_tokens())
    }

    /// `softmax(scale q K^T + mask)`, with zeros for hidden keys: those after the query, and
    /// padding.
    fn probabilities(&self, query: &Query) -> Vec<f64> {
        let (tokens, width, own) = (self.tokens(), self.head_dim(), self.own(query));
        let [queries, keys, _] = &self.inputs;
        let last = tokens - self.new_tokens() + query.index;
        let is_seen = |key: &usize| {
            let keep = self.keep.as_ref();
            *key <= last && keep.is_none_or(|keep| keep[query.sequence * tokens + key])
        };
        let mut weights = vec![0.0; tokens];
        for key in (0..tokens).filter(is_seen) {
            let at = self.at(query, key, tokens);
            let score = self.options.scale * dot(&queries[own..][..width], &keys[at..][..width]);
            weights[key] = score.exp();
        }
        let sum: f64 = weights.iter().sum();
        // A query that sees no key gets zeros.
        weights.iter().map(|weight| if sum > 0.0 { weight / sum } else { 0.0 }).collect()
    }

    /// Dropout factor of a probability.
    fn factor(&self, query: &Query, key: usize) -> f64 {
        let Some(dropout) = self.options.dropout else { return 1.0 };
        let head = query.sequence * self.options.num_heads + query.head;
        let index = (head * self.new_tokens() + query.index) * self.tokens() + key;
        let number = (counted_random(dropout.key, index as u64) >> 32) as f64 / 2f64.powi(32);
        let keep = 1.0 - dropout.rate;
        if number < keep { 1.0 / keep } else { 0.0 }
    }

    /// `[batch_size, new, hidden_dim]`.
    pub(super) fn output(&self) -> Vec<f64> {
        let mut output = vec![0.0; self.inputs[0].len()];
        for query in self.queries() {
            let own = self.own(&query);
            for (key, probability) in self.probabilities(&query).into_iter().enumerate() {
                let at = self.at(&query, key, self.tokens());
                let weight = probability * self.factor(&query, key);
                for place in 0..self.head_dim() {
                    output[own + place] += weight * self.inputs[2][at + place];
                }
            }
        }
        output
    }

    /// Gradients by queries, keys and values, from the output's gradient.
    pub(super) fn gradients(&self, gradient: &[f32]) -> [Vec<f64>; 3] {
        let gradient: Vec<f64> = gradient.iter().map(|value| f64::from(*value)).collect();
        let [queries, keys, values] = &self.inputs;
        let mut gradients = self.inputs.each_ref().map(|input| vec![0.0; input.len()]);
        let [by_query, by_key, by_value] = &mut gradients;
        let (tokens, width) = (self.tokens(), self.head_dim());
        for query in self.queries() {
            let own = self.own(&query);
            let probabilities = self.probabilities(&query);
            let slopes: Vec<f64> = (0..tokens)
                .map(|key| {
                    let at = self.at(&query, key, tokens);
                    let slope = dot(&gradient[own..][..width], &values[at..][..width]);
                    slope * self.factor(&query, key)
                })
                .collect();
            let mean = dot(&probabilities, &slopes);
            for key in 0..tokens {
                let at = self.at(&query, key, tokens);
                let weight = probabilities[key] * self.factor(&query, key);
                let by_score = probabilities[key] * (slopes[key] - mean) * self.options.scale;
                for place in 0..width {
                    by_value[at + place] += weight * gradient[own + place];
                    by_query[own + place] += by_score * keys[at + place];
                    by_key[at + place] += by_score * queries[own + place];
                }
            }
        }
        gradients
    }
}

fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}

fn wide(tensor: &FlexTensor) -> Vec<f64> {
    values(tensor).into_iter().map(f64::from).collect()
}

/// Tokens of a cache, `[rows, num_heads, max_length, head_dim]`, then new ones, `[batch_size, new,
/// hidden_dim]`: as `[batch_size, tokens, hidden_dim]`.
fn joined(cache: &FlexTensor, new: &FlexTensor, cached: &CachedKeys) -> Vec<f64> {
    let [_, heads, max_length, width] = cache.shape().dims();
    let [batch_size, length, hidden_dim] = new.shape().dims();
    let (cache, new) = (wide(cache), wide(new));
    let mut joined = Vec::new();
    for sequence in 0..batch_size {
        for token in 0..cached.start {
            let row = cached
                .rows
                .as_ref()
                .map_or(sequence, |rows| rows[sequence * max_length + token] as usize);
            for head in 0..heads {
                let at = ((row * heads + head) * max_length + token) * width;
                joined.extend(&cache[at..][..width]);
            }
        }
        joined.extend(&new[sequence * length * hidden_dim..][..length * hidden_dim]);
    }
    joined
}
