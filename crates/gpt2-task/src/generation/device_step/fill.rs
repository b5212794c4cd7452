//! Host side: writes the tokens that the device chooses as they arrive.

use std::collections::VecDeque;

use gpt2_kernels::{StepPlan, TokenChoice};
use gpt2_tokenizer::TokenId;

use super::model::{DeviceModel, TokenRequest};
use crate::error::TaskError;
use crate::generation::draw::DrawSource;
use crate::generation::rows::Rows;

/// Steps that are launched before the tokens of the first of them are read.
const STEPS_UNDER_WAY: usize = 2;

/// Fills rows with tokens that the model chooses on its device.
///
/// # Errors
///
/// Those of the model, and [`TaskError::NonFiniteLogits`].
pub(crate) fn fill_on_device(
    model: &mut dyn DeviceModel,
    rows: &mut Rows<'_>,
    vocabulary_size: usize,
    choice: TokenChoice,
    draws: DrawSource,
) -> Result<(), TaskError> {
    let request = TokenRequest::new(choice, plan(rows, choice, draws));
    let mut under_way = VecDeque::new();
    let mut position = rows.index();
    while !rows.is_done() {
        if position < rows.width() {
            under_way.push_back(model.choose(rows.tokens(), position, &request)?);
            position += 1;
        }
        if under_way.len() == STEPS_UNDER_WAY || position == rows.width() {
            let Some(chosen) = under_way.pop_front() else { break };
            let chosen: Vec<TokenId> = chosen.wait()?.iter::<TokenId>().collect();
            if let Some(row) = chosen.iter().position(|token| *token as usize == vocabulary_size) {
                return Err(TaskError::NonFiniteLogits { row, position: rows.index() });
            }
            rows.write(&chosen)?;
            rows.advance();
            rows.announce();
        }
    }
    Ok(())
}

/// Random numbers and prompt tokens of all positions. Random numbers of filled positions are not
/// used.
fn plan(rows: &Rows<'_>, choice: TokenChoice, draws: DrawSource) -> StepPlan {
    let count = rows.count();
    let places = (0..rows.width()).flat_map(|position| (0..count).map(move |row| (row, position)));
    let forced = |(row, position)| rows.prompt_token(row, position).map_or(-1, |id| id as i32);
    // Rounding to 32 bits may turn a number into 1.
    let number = |(row, position)| match choice {
        TokenChoice::Greedy => 0.0,
        _ if position < rows.index() => 0.0,
        _ => (draws.draw(row, position).uniform() as f32).min(1f32.next_down()),
    };
    let numbers = places.clone().map(number).collect();
    StepPlan { numbers, forced: places.map(forced).collect(), rows: count }
}

#[cfg(test)]
#[cfg(feature = "flex")]
mod tests {
    use std::ops::ControlFlow;

    use burn::tensor::{Device, Int, Tensor};
    use gpt2_backbone::{PendingRead, start_read};

    use super::*;
    use crate::generation::rows::TokenEvent;
    use crate::generation::top_tokens::TokenProbability;

    const VOCABULARY_SIZE: usize = 10;

    /// Model that counts on from the token that it was fed, which the host may not have yet.
    struct Counter {
        chosen: Vec<i64>,
        /// Chosen positions, each with the number of tokens that the host had.
        calls: Vec<(usize, usize)>,
    }

    impl DeviceModel for Counter {
        fn top_tokens(
            &mut self,
            _rows: &[Vec<TokenId>],
            _index: usize,
            _k: usize,
            _temperature: f32,
        ) -> Result<Vec<Vec<TokenProbability>>, TaskError> {
            unreachable!("the rows are filled by `choose` alone")
        }

        fn choose(
            &mut self,
            rows: &[Vec<TokenId>],
            index: usize,
            request: &TokenRequest,
        ) -> Result<PendingRead, TaskError> {
            let known = rows[0].iter().take_while(|token| **token > 0).count();
            self.calls.push((index, known));
            if self.chosen.is_empty() {
                self.chosen = rows.iter().map(|row| i64::from(row[index - 1])).collect();
            }
            let forced = request.forced(index - 1);
            for (chosen, forced) in self.chosen.iter_mut().zip(forced) {
                *chosen = if *forced < 0 { *chosen } else { i64::from(*forced) } + 1;
            }
            let chosen = Tensor::<1, Int>::from_data(self.chosen.as_slice(), &Device::flex());
            Ok(start_read(chosen))
        }
    }

    fn fill(
        rows: Vec<Vec<TokenId>>,
        stop: &[TokenId],
    ) -> Result<(Counter, Vec<Vec<TokenId>>), TaskError> {
        let lengths = rows.iter().map(|row| row.iter().take_while(|id| **id > 0).count()).collect();
        let mut model = Counter { chosen: Vec::new(), calls: Vec::new() };
        let mut on_token = |_: TokenEvent| ControlFlow::Continue(());
        let mut rows = Rows::new(rows, lengths, VOCABULARY_SIZE, stop, &mut on_token);
        let draws = DrawSource { seed: 1, call: 0 };
        fill_on_device(&mut model, &mut rows, VOCABULARY_SIZE, TokenChoice::Greedy, draws)?;
        Ok((model, rows.into_tokens()))
    }

    #[test]
    fn the_device_is_a_step_ahead_and_prompts_stay() {
        let rows = vec![vec![1, 0, 0, 0, 0], vec![3, 6, 7, 0, 0]];
        let (model, filled) = fill(rows, &[]).unwrap();
        assert_eq!(filled, [[1, 2, 3, 4, 5], [3, 6, 7, 8, 9]]);
        assert_eq!(model.calls, [(1, 1), (2, 1), (3, 2), (4, 3)]);
    }

    #[test]
    fn a_stop_token_ends_it_and_a_sentinel_is_an_error() {
        let (model, filled) = fill(vec![vec![1, 0, 0, 0, 0]], &[3]).unwrap();
        assert_eq!(filled, [[1, 2, 3, 0, 0]]);
        assert_eq!(model.calls.len(), 3, "one step was under way");
        let damaged = fill(vec![vec![8, 0, 0, 0]], &[]).err();
        assert!(matches!(damaged, Some(TaskError::NonFiniteLogits { row: 0, position: 2 })));
    }
}
