//! Operands of a product as slices.

use super::finish::Finish;

/// `x [rows, inputs]`, `kernel [inputs, outputs]`, and the epilogue.
#[derive(Clone, Copy)]
pub(super) struct Operands<'a> {
    pub(super) x: &'a [f32],
    pub(super) kernel: &'a [f32],
    pub(super) rows: usize,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) finish: Finish<'a>,
}
