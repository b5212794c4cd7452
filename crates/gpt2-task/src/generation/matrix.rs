//! Matrix on the host.

/// Row-major matrix on the host.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    values: Vec<f32>,
    width: usize,
}

impl Matrix {
    /// Matrix with rows of `width` values.
    ///
    /// # Panics
    ///
    /// If the number of values is not a multiple of `width`.
    pub fn new(values: Vec<f32>, width: usize) -> Self {
        assert!(values.len().is_multiple_of(width), "{} values in rows of {width}", values.len());
        Self { values, width }
    }

    /// Rows of the matrix.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.width)
    }

    /// Mutable rows of the matrix.
    pub fn rows_mut(&mut self) -> impl ExactSizeIterator<Item = &mut [f32]> {
        self.values.chunks_exact_mut(self.width)
    }

    /// One row.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.width..(row + 1) * self.width]
    }
}
