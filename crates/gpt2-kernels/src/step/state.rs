//! State of a generation's step, on the device.

use burn::backend::Dispatch;
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use super::advance::AdvanceOps;
use super::advance::tensors::StepTensors;

/// The tokens to feed next, their position, and the plan for later positions. All of it is on the
/// device, so that a step has the same operations at every position.
///
/// On devices that [have steps](crate::has_steps), [`advance`](Self::advance) writes to the tensors
/// in place: clones are the same state.
#[derive(Debug, Clone)]
pub struct StepState {
    /// Number of tokens in the cache, `[1]`.
    pub position: Tensor<1, Int>,
    /// Token of each row to feed at that position, `[rows]`.
    pub tokens: Tensor<1, Int>,
    /// Random number of `[0, 1)` for each row, which chooses the token after, `[rows]`.
    pub numbers: Tensor<1>,
    /// Random numbers of all positions, `[positions, rows]`.
    all_numbers: Tensor<2>,
    /// Given tokens of all positions, or -1, `[positions, rows]`.
    forced: Tensor<2, Int>,
}

/// Plan of a [`StepState`]: entries for each position from 0 on, one value a row.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StepPlan {
    /// Random number of `[0, 1)`, which chooses the token of the position.
    pub numbers: Vec<f32>,
    /// Given token of the position, used in place of the chosen one, or -1.
    pub forced: Vec<i32>,
    /// Number of rows.
    pub rows: usize,
}

impl StepState {
    /// State after tokens were chosen for `position`, which is the cache's length.
    ///
    /// # Panics
    ///
    /// If the plan ends before the position, or has not an entry for each row.
    pub fn new(
        position: usize,
        chosen: Tensor<1, Int>,
        vocabulary_size: usize,
        plan: &StepPlan,
        device: &Device,
    ) -> Self {
        let rows = plan.rows;
        let positions = plan.numbers.len() / rows;
        assert!(
            position < positions,
            "the plan of {positions} positions has none for position {position}"
        );
        let shape = [positions, rows];
        let float = |values: Vec<f32>, shape: [usize; 2]| {
            Tensor::<2>::from_data(TensorData::new(values, shape), (device, DType::F32))
        };
        let int = |values: Vec<i32>, shape: [usize; 2]| {
            Tensor::<2, Int>::from_data(TensorData::new(values, shape), (device, DType::I32))
        };
        let mut state = Self {
            // `advance` moves this to the position of the chosen tokens.
            position: int(vec![position as i32 - 1], [1, 1]).flatten(0, 1),
            tokens: int(vec![0; rows], [rows, 1]).flatten(0, 1),
            numbers: float(vec![0.0; rows], [rows, 1]).flatten(0, 1),
            all_numbers: float(plan.numbers.clone(), shape),
            forced: int(plan.forced.clone(), shape),
        };
        state.advance(chosen, vocabulary_size);
        state
    }

    /// Moves to the next position. Its token is the plan's if there is one, else the chosen one.
    ///
    /// The sentinel for non-finite logits is not a valid id: it is clamped to the last token.
    pub fn advance(&mut self, chosen: Tensor<1, Int>, vocabulary_size: usize) {
        let state = StepTensors {
            position: self.position.clone().into_dispatch(),
            tokens: self.tokens.clone().into_dispatch(),
            numbers: self.numbers.clone().into_dispatch(),
            all_numbers: self.all_numbers.clone().into_dispatch(),
            forced: self.forced.clone().into_dispatch(),
        };
        let next = Dispatch::fused_advance(state, chosen.into_dispatch(), vocabulary_size);
        self.position = Tensor::from_dispatch(next.position);
        self.tokens = Tensor::from_dispatch(next.tokens);
        self.numbers = Tensor::from_dispatch(next.numbers);
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;

    fn integers(tensor: &Tensor<1, Int>) -> Vec<i32> {
        tensor.clone().into_data().iter().collect()
    }

    #[test]
    fn given_tokens_come_before_chosen_ones_and_sentinels_are_clamped() {
        let device = Device::flex();
        let chosen = |ids: [i32; 2]| Tensor::<1, Int>::from_data(ids, &device);
        let plan = StepPlan {
            numbers: (0..10).map(|index| index as f32 / 16.0).collect(),
            forced: vec![-1, 11, -1, -1, 7, -1, -1, 0, -1, -1],
            rows: 2,
        };
        let mut state = StepState::new(1, chosen([50, 100]), 100, &plan, &device);
        // A state's random number is for the token after the one that it feeds.
        let mut expected = vec![(1, [50, 99], [4, 5]), (2, [7, 31], [6, 7]), (3, [30, 0], [8, 9])];
        // Past the end of the plan, its last entries are used.
        expected.push((4, [30, 31], [8, 9]));
        for (position, tokens, numbers) in expected {
            assert_eq!(integers(&state.position), [position]);
            assert_eq!(integers(&state.tokens), tokens, "position {position}");
            let found: Vec<f32> = state.numbers.to_data().iter().collect();
            assert_eq!(found, numbers.map(|index| index as f32 / 16.0), "position {position}");
            state.advance(chosen([30, 31]), 100);
        }
        let first = StepState::new(0, chosen([50, 60]), 100, &plan, &device);
        assert_eq!(integers(&first.tokens), [50, 11]);
    }
}
