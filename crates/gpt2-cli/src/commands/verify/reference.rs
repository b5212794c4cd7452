//! A safetensors file of reference values: a few named tensors.

use std::path::Path;

use anyhow::{Context, bail, ensure};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

/// The bytes of a reference file.
pub struct Reference {
    bytes: Vec<u8>,
}

impl Reference {
    /// Reads and checks the whole file.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let bytes =
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        SafeTensors::deserialize(&bytes)
            .with_context(|| format!("{} is not a safetensors file", path.display()))?;
        Ok(Self { bytes })
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> anyhow::Result<Vec<String>> {
        let mut names: Vec<String> =
            self.tensors()?.names().into_iter().map(str::to_owned).collect();
        names.sort();
        Ok(names)
    }

    /// Rows of an integer tensor of rank 2, if it exists.
    pub fn integers(&self, name: &str) -> anyhow::Result<Option<Vec<Vec<i64>>>> {
        let tensors = self.tensors()?;
        let Ok(tensor) = tensors.tensor(name) else { return Ok(None) };
        let &[_, width] = tensor.shape() else {
            bail!("`{name}` must have the shape [B, T], found {:?}", tensor.shape());
        };
        ensure!(width > 0, "`{name}` has empty rows");
        let values = integers_of(name, &tensor)?;
        Ok(Some(values.chunks_exact(width).map(<[i64]>::to_vec).collect()))
    }

    /// Values and shape of a float tensor, if it exists.
    pub fn floats(&self, name: &str) -> anyhow::Result<Option<(Vec<f64>, Vec<usize>)>> {
        let tensors = self.tensors()?;
        let Ok(tensor) = tensors.tensor(name) else { return Ok(None) };
        let data = tensor.data();
        let values = match tensor.dtype() {
            Dtype::F32 => decode(data, |bytes| f32::from_le_bytes(bytes).into()),
            Dtype::F64 => decode(data, f64::from_le_bytes),
            other => bail!("`{name}` must hold 32- or 64-bit floats, found {other:?}"),
        };
        Ok(Some((values, tensor.shape().to_vec())))
    }

    fn tensors(&self) -> anyhow::Result<SafeTensors<'_>> {
        Ok(SafeTensors::deserialize(&self.bytes)?)
    }
}

fn integers_of(name: &str, tensor: &TensorView<'_>) -> anyhow::Result<Vec<i64>> {
    let data = tensor.data();
    Ok(match tensor.dtype() {
        Dtype::I64 => decode(data, i64::from_le_bytes),
        Dtype::I32 => decode(data, |bytes| i32::from_le_bytes(bytes).into()),
        Dtype::U32 => decode(data, |bytes| u32::from_le_bytes(bytes).into()),
        Dtype::U8 | Dtype::BOOL => data.iter().map(|&byte| byte.into()).collect(),
        other => bail!("`{name}` must hold integers or booleans, found {other:?}"),
    })
}

fn decode<const N: usize, T>(data: &[u8], value: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (chunks, _) = data.as_chunks::<N>();
    chunks.iter().map(|&bytes| value(bytes)).collect()
}
