//! Products on the CPU. With few rows they are bound by memory.

#![allow(
    clippy::needless_range_loop,
    reason = "loops over rows and vectors that the compiler unrolls index several arrays at once"
)]

mod finish;
pub(crate) mod narrow;
mod operands;
mod wide;

use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Flex, TensorMetadata};

use self::finish::{Finish, SliceEpilogue};
use self::narrow::{MAX_ROWS, narrow_product};
use self::operands::Operands;
use self::wide::wide_product;
use super::epilogue::Epilogue;
use super::{LinearOps, composed};
use crate::cpu::tensors::{has_kernel, in_order, slice, tensor};
use crate::cpu::threads::{Shared, write_all};

impl LinearOps for Flex {
    fn fused_linear(
        x: FloatTensor<Self>,
        kernel: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epilogue: Epilogue<Self>,
    ) -> FloatTensor<Self> {
        let has_residual_kernel =
            epilogue.residual().is_none_or(|residual| has_kernel(&[residual]));
        if !has_residual_kernel || !has_kernel(&[&x, &kernel, &bias]) {
            return composed::linear::<Self>(x, kernel, bias, epilogue);
        }
        match epilogue {
            Epilogue::None => linear(x, kernel, bias, SliceEpilogue::None),
            Epilogue::Gelu => linear(x, kernel, bias, SliceEpilogue::Gelu),
            Epilogue::Add(residual) => {
                let residual = in_order(residual);
                linear(x, kernel, bias, SliceEpilogue::Add(slice(&residual)))
            }
        }
    }
}

/// `x [rows, inputs]`, `kernel [inputs, outputs]` and `bias [outputs]` to `[rows, outputs]`.
fn linear(
    x: FlexTensor,
    kernel: FlexTensor,
    bias: FlexTensor,
    epilogue: SliceEpilogue<'_>,
) -> FlexTensor {
    let [x, kernel, bias] = [x, kernel, bias].map(in_order);
    let ([rows, inputs], outputs) = (x.shape().dims(), bias.shape()[0]);
    let finish = Finish { bias: slice(&bias), epilogue };
    let operands = Operands { x: slice(&x), kernel: slice(&kernel), rows, inputs, outputs, finish };
    let values = write_all(rows * outputs, |output: Shared<'_>| {
        if rows <= MAX_ROWS {
            narrow_product(operands, output);
        } else {
            wide_product(operands, output);
        }
    });
    tensor(values, [rows, outputs])
}
