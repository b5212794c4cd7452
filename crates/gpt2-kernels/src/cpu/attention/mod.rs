//! Causal attention without scores of all tokens: of some queries at a time, and in decoding of
//! one, which reads the cache where it lies.

mod blocks;
mod heads;
mod single;
mod softmax;

pub(crate) use blocks::attend_backward;
use blocks::attend_blocks;
pub(crate) use heads::Sequences;
use single::attend_single;

use crate::attention::AttentionOptions;
use crate::cpu::threads::write_all;

/// New tokens of a sequence from which on the matrix products of blocks are faster.
const BLOCK_QUERIES: usize = 8;

/// What an attention reads.
#[derive(Clone, Copy)]
pub(crate) struct Inputs<'a> {
    /// Of the new tokens only.
    pub(crate) query: Sequences<'a>,
    /// Of all tokens, the new ones last.
    pub(crate) key: Sequences<'a>,
    /// As `key`.
    pub(crate) value: Sequences<'a>,
    /// 1 where a key may be seen, `[batch_size, keys]`.
    pub(crate) keep: Option<&'a [u8]>,
    pub(crate) batch_size: usize,
    pub(crate) queries: usize,
    pub(crate) keys: usize,
    pub(crate) options: AttentionOptions,
}

impl Inputs<'_> {
    /// Width of a head.
    fn width(&self) -> usize {
        self.query.width
    }

    /// Products of queries and keys, all heads together.
    fn work(&self) -> usize {
        2 * self.batch_size * self.options.num_heads * self.queries * self.keys * self.width()
    }

    /// Which keys of a sequence may be seen, if some may not.
    fn keep(&self, sequence: usize) -> Option<&[u8]> {
        self.keep.map(|keep| &keep[sequence * self.keys..][..self.keys])
    }
}

/// The output, `[batch_size, queries, num_heads * width]`.
pub(crate) fn attend(inputs: Inputs<'_>) -> Vec<f32> {
    let hidden = inputs.options.num_heads * inputs.width();
    write_all(inputs.batch_size * inputs.queries * hidden, |output| {
        if inputs.queries < BLOCK_QUERIES && inputs.options.dropout.is_none() {
            attend_single(inputs, output);
        } else {
            attend_blocks(inputs, output);
        }
    })
}
