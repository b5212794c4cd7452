//! The next state of a step from burn's own operations: for every device.

use burn::backend::tensor::IntTensor;
use burn::backend::{Backend, TensorMetadata, get_or_init_device_settings};
use burn::tensor::Shape;

use super::tensors::StepTensors;

/// State of the next position, whose token is the plan's or, without one, `chosen`.
pub(super) fn advance<B: Backend>(
    state: StepTensors<B>,
    chosen: IntTensor<B>,
    vocabulary_size: usize,
) -> StepTensors<B> {
    let StepTensors { position, tokens, all_numbers, forced, .. } = state;
    let [positions, rows] = forced.shape().dims();
    let settings = get_or_init_device_settings::<B>(&forced.device());
    let row = Shape::new([rows]);
    // Clamped: entries past the last position are never used, because the generation ends there.
    let entry = |position: &IntTensor<B>, offset: i64| {
        let entry = B::int_add_scalar(position.clone(), offset.into());
        B::int_clamp_max(entry, (positions as i64 - 1).into())
    };
    let given = B::int_select(forced.clone(), 0, entry(&position, 1));
    let given = B::int_reshape(given, row.clone());
    let numbers = B::float_select(all_numbers.clone(), 0, entry(&position, 2));
    // The sentinel for non-finite logits is not a valid id: clamp it.
    let chosen = B::int_cast(chosen, tokens.dtype().into());
    let chosen = B::int_clamp_max(chosen, (vocabulary_size as i64 - 1).into());
    let is_given = B::int_greater_equal_elem(given.clone(), 0i64.into(), settings.bool_dtype);
    StepTensors {
        position: B::int_add_scalar(position, 1i64.into()),
        tokens: B::int_mask_where(chosen, is_given, given),
        numbers: B::float_reshape(numbers, row),
        all_numbers,
        forced,
    }
}
