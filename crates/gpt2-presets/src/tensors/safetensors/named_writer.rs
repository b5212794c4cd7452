//! Writer of named tensors to a safetensors file. Each is on the host only while it is written.

use std::io::{self, BufWriter, Write};

use safetensors::Dtype;

use crate::tensors::named_tensor::NamedTensor;
use crate::tensors::safetensors::layout::Layout;

/// Writes tensors as 32-bit floats, and named bytes, if there are any.
pub(crate) fn write(
    file: &mut impl Write,
    metadata: &[(&str, String)],
    bytes: Option<(&str, &[u8])>,
    tensors: &[NamedTensor],
) -> io::Result<()> {
    let mut layout = Layout::new(metadata);
    // Tensors precede the bytes, which keeps them aligned.
    for NamedTensor { name, shape, .. } in tensors {
        layout.add(name, Dtype::F32, shape);
    }
    if let Some((name, bytes)) = bytes {
        layout.add(name, Dtype::U8, &[bytes.len()]);
    }
    let mut file = BufWriter::new(file);
    file.write_all(&layout.into_bytes())?;
    for tensor in tensors {
        file.write_all(bytemuck::cast_slice(&tensor.to_host()?))?;
    }
    file.write_all(bytes.map_or(&[], |(_, bytes)| bytes))?;
    file.flush()
}
