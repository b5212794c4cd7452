//! Products with a table from burn's own operations: for every device and float type.

use burn::backend::Backend;
use burn::backend::tensor::FloatTensor;

pub(super) fn reverse_embedding<B: Backend>(
    hidden: FloatTensor<B>,
    table: FloatTensor<B>,
) -> FloatTensor<B> {
    B::float_matmul(hidden, B::float_swap_dims(table, 0, 1))
}
