//! Where a generation is, kept on the device.

use burn::backend::Dispatch;
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use crate::kernels::Kernels;

/// The tokens that are fed next, and everything that follows from their position: a step then has the
/// same operations as the one before it.
///
/// Clones are the same state: [`advance`](Self::advance) changes it in place.
#[derive(Debug, Clone)]
pub struct StepState {
    /// Number of tokens in the cache, `[1]`.
    pub position: Tensor<1, Int>,
    /// The token of each row that follows them, `[rows]`.
    pub tokens: Tensor<1, Int>,
    /// A number of `[0, 1)` for each row, with which the token behind is chosen, `[rows]`.
    pub numbers: Tensor<1>,
    /// The numbers for all positions, `[positions, rows]`.
    all_numbers: Tensor<2>,
    /// The tokens that rows have at a position, whatever is chosen, or -1: `[positions, rows]`.
    forced: Tensor<2, Int>,
}

/// What a [`StepState`] needs to know of the positions to come: entries for each position from 0 on,
/// with one value for each row.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StepPlan {
    /// A number of `[0, 1)`, with which the token there is chosen.
    pub numbers: Vec<f32>,
    /// The token there, whatever is chosen, or -1.
    pub forced: Vec<i32>,
    /// Number of rows.
    pub rows: usize,
}

impl StepState {
    /// The state in which tokens have been chosen for `position`, where the cache ends.
    ///
    /// # Panics
    ///
    /// If the plan does not go beyond the position, or has not an entry for each row.
    pub fn new(
        position: usize,
        chosen: Tensor<1, Int>,
        vocabulary_size: usize,
        plan: &StepPlan,
        device: &Device,
    ) -> Self {
        let rows = plan.rows;
        let positions = plan.numbers.len() / rows;
        assert!(position < positions, "position {position} of {positions}");
        let shape = [positions, rows];
        let float = |values: Vec<f32>, shape: [usize; 2]| {
            Tensor::<2>::from_data(TensorData::new(values, shape), (device, DType::F32))
        };
        let int = |values: Vec<i32>, shape: [usize; 2]| {
            Tensor::<2, Int>::from_data(TensorData::new(values, shape), (device, DType::I32))
        };
        let state = Self {
            // `advance` takes it to the position of the chosen tokens.
            position: int(vec![position as i32 - 1], [1, 1]).flatten(0, 1),
            tokens: int(vec![0; rows], [rows, 1]).flatten(0, 1),
            numbers: float(vec![0.0; rows], [rows, 1]).flatten(0, 1),
            all_numbers: float(plan.numbers.clone(), shape),
            forced: int(plan.forced.clone(), shape),
        };
        state.advance(chosen, vocabulary_size);
        state
    }

    /// Goes on by the tokens that were chosen for the position behind, or those that rows have there.
    ///
    /// What stands for logits that are not finite is no token, and is not fed.
    ///
    /// # Panics
    ///
    /// If the device [has no steps](crate::has_steps), or the tokens are not 32-bit integers.
    pub fn advance(&self, chosen: Tensor<1, Int>, vocabulary_size: usize) {
        let moved = Dispatch::fused_advance(
            self.position.clone().into_dispatch(),
            self.tokens.clone().into_dispatch(),
            self.numbers.clone().into_dispatch(),
            chosen.into_dispatch(),
            self.all_numbers.clone().into_dispatch(),
            self.forced.clone().into_dispatch(),
            vocabulary_size,
        );
        assert!(moved.is_some(), "the device has no steps for these types");
    }
}
