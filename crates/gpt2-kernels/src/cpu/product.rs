//! Matrix products, by the `gemm` crate.

use gemm::Parallelism;

/// A matrix in a slice.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Matrix<'a> {
    values: &'a [f32],
    /// Distance from one row to the next.
    row_stride: usize,
    /// Distance from one column to the next.
    column_stride: usize,
    columns: usize,
}

impl<'a> Matrix<'a> {
    /// Rows without gaps between them.
    pub(crate) fn rows(values: &'a [f32], columns: usize) -> Self {
        Self::strided_rows(values, columns, columns)
    }

    /// Rows that begin at equal distances.
    pub(crate) fn strided_rows(values: &'a [f32], columns: usize, row_stride: usize) -> Self {
        Self { values, row_stride, column_stride: 1, columns }
    }

    /// Transpose of the first `rows` rows.
    pub(crate) fn transposed(self, rows: usize) -> Self {
        let (row_stride, column_stride) = (self.column_stride, self.row_stride);
        Self { row_stride, column_stride, columns: rows, ..self }
    }

    /// Whether the slice holds at least this number of rows.
    fn holds(&self, rows: usize) -> bool {
        (rows - 1) * self.row_stride + (self.columns - 1) * self.column_stride < self.values.len()
    }
}

/// The product of two matrices.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Product<'a> {
    left: Matrix<'a>,
    right: Matrix<'a>,
    parallelism: Parallelism,
}

impl<'a> Product<'a> {
    /// A product on one core.
    pub(crate) fn of(left: Matrix<'a>, right: Matrix<'a>) -> Self {
        Self { left, right, parallelism: Parallelism::None }
    }

    /// Computes the product on all cores. The result does not depend on their number.
    pub(crate) fn on_all_cores(self) -> Self {
        Self { parallelism: Parallelism::Rayon(0), ..self }
    }

    /// Writes the first `rows` rows of the product.
    pub(crate) fn write(self, rows: usize, output: &mut [f32]) {
        self.run(rows, output, false);
    }

    /// Adds the first `rows` rows of the product to the output.
    pub(crate) fn add_to(self, rows: usize, output: &mut [f32]) {
        self.run(rows, output, true);
    }

    fn run(self, rows: usize, output: &mut [f32], add: bool) {
        let Self { left, right, parallelism } = self;
        let (depth, columns) = (left.columns, right.columns);
        assert_eq!(
            output.len(),
            rows * columns,
            "the output has room for the product and nothing else"
        );
        if rows == 0 || columns == 0 {
            return;
        }
        assert!(
            depth > 0 && left.holds(rows) && right.holds(depth),
            "the matrices lie within their slices"
        );
        // SAFETY: all elements lie within their slices, and the output is borrowed alone.
        unsafe {
            gemm::gemm(
                rows,
                columns,
                depth,
                output.as_mut_ptr(),
                1,
                columns as isize,
                add,
                left.values.as_ptr(),
                left.column_stride as isize,
                left.row_stride as isize,
                right.values.as_ptr(),
                right.column_stride as isize,
                right.row_stride as isize,
                if add { 1.0 } else { 0.0 },
                1.0,
                false,
                false,
                false,
                parallelism,
            );
        }
    }
}
