//! The tensors of a step's state, and how they go to the next position.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, ExtensionType, TensorMetadata, get_or_init_device_settings};
use burn::tensor::Shape;

/// The tensors of a [`StepState`](crate::StepState).
#[derive(Debug, Clone, ExtensionType)]
pub struct StepTensors<B: Backend> {
    /// Number of tokens in the cache, `[1]`.
    pub(crate) position: IntTensor<B>,
    /// The token of each row that follows them, `[rows]`.
    pub(crate) tokens: IntTensor<B>,
    /// The random number of each row for the token after, `[rows]`.
    pub(crate) numbers: FloatTensor<B>,
    /// The random numbers of all positions, `[positions, rows]`.
    pub(crate) all_numbers: FloatTensor<B>,
    /// The given tokens of all positions, or -1, `[positions, rows]`.
    pub(crate) forced: IntTensor<B>,
}

/// The state of the next position, whose token is `chosen` where none is given.
pub(crate) fn advance<B: Backend>(
    state: StepTensors<B>,
    chosen: IntTensor<B>,
    vocabulary_size: usize,
) -> StepTensors<B> {
    let StepTensors { position, tokens, all_numbers, forced, .. } = state;
    let [positions, rows] = forced.shape().dims();
    let settings = get_or_init_device_settings::<B>(&forced.device());
    let row = Shape::new([rows]);
    // Entries past the last position are not used: the generation ends there.
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
