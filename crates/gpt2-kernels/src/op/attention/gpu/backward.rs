//! Gradients of attention. The scores are computed again, block by block: a first kernel computes
//! the statistics of each query; a second the gradients of queries, then those of keys and values.

use burn::backend::{DType, TensorMetadata};
use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;

use super::side_gradient::{Side, side_gradient_kernel};
use super::statistics::statistics_kernel;
use super::variant::{Variant, dropout_of, sizes_of};
use crate::gpu::launch::{buffer, contiguous, cube_dim, cubes, elem, empty, vector_size};
use crate::op::attention::inputs::{AttentionOptions, QkvTensors};

/// Gradients by query, key and value; `mask` is true where a token may be seen.
pub(super) fn attention_backward(
    qkv: QkvTensors<CubeBackend>,
    gradient: CubeTensor,
    mask: Option<CubeTensor>,
    options: AttentionOptions,
    variant: Variant,
) -> QkvTensors<CubeBackend> {
    let (QkvTensors { query, key, value }, gradient) = (qkv.map(contiguous), contiguous(gradient));
    let [batch_size, queries, hidden_dim] = query.shape().dims();
    let mask = mask.map_or_else(|| query.clone(), contiguous);
    let heads = batch_size * options.num_heads;
    let statistics = empty(&query, [heads, queries, 2], DType::F32);
    let [by_query, by_key, by_value] = [(); 3].map(|()| empty(&query, query.shape(), query.dtype));
    let size = vector_size(hidden_dim / options.num_heads);
    let count = heads * queries.div_ceil(variant.tile);
    // SAFETY: the kernels stop surplus cubes and skip queries and keys past the last. Without a
    // mask they do not read the buffer that is bound in its place.
    unsafe {
        statistics_kernel::launch_unchecked(
            &query.client,
            cubes(heads * queries),
            cube_dim(),
            size,
            buffer(&query),
            buffer(&key),
            buffer(&value),
            buffer(&gradient),
            buffer(&mask),
            buffer(&statistics),
            sizes_of(&query, &options, variant),
            dropout_of(&options),
            heads * queries,
            variant,
            elem(&query),
            elem(&mask),
        );
        // The queries' side writes one gradient only: the first buffer is bound also as the second.
        for (side, [own_first, own_second], [other_first, other_second], [by_first, by_second]) in [
            (Side::Queries, [&query, &gradient], [&key, &value], [&by_query, &by_query]),
            (Side::Keys, [&key, &value], [&query, &gradient], [&by_key, &by_value]),
        ] {
            side_gradient_kernel::launch_unchecked(
                &query.client,
                cubes(count),
                cube_dim(),
                size,
                buffer(own_first),
                buffer(own_second),
                buffer(other_first),
                buffer(other_second),
                buffer(&mask),
                buffer(&statistics),
                buffer(by_first),
                buffer(by_second),
                sizes_of(&query, &options, variant),
                dropout_of(&options),
                count,
                side,
                variant,
                elem(&query),
                elem(&mask),
            );
        }
    }
    [by_query, by_key, by_value].into()
}
