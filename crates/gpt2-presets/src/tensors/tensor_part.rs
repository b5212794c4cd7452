//! Part of a tensor: the elements of a parameter, and their order.

/// Rows and columns of a tensor, optionally transposed.
///
/// The last axis is the columns, all axes before it are the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TensorPart {
    selection: Selection,
    /// Whether the part is transposed.
    pub(crate) transposed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Selection {
    All,
    /// A third of the rows, counted from 0.
    Rows(usize),
    /// A third of the columns, counted from 0.
    Columns(usize),
    /// Rows from `top` on.
    Piece {
        top: usize,
        rows: usize,
    },
}

impl TensorPart {
    /// The whole tensor. The parameter may have another shape (Keras has an axis for heads), but
    /// the order of elements is the same.
    pub(crate) const WHOLE: Self = Self { selection: Selection::All, transposed: false };

    /// A third, counted from 0, of the rows.
    pub(crate) const fn rows(third: usize) -> Self {
        Self { selection: Selection::Rows(third), transposed: false }
    }

    /// A third, counted from 0, of the columns.
    pub(crate) const fn columns(third: usize) -> Self {
        Self { selection: Selection::Columns(third), transposed: false }
    }

    /// A whole tensor in pieces of whole rows, with about `elements` each and at least one row.
    pub(crate) fn pieces(shape: &[usize], elements: usize) -> impl Iterator<Item = Self> {
        let whole = Self::WHOLE.rectangle(shape);
        let step = (elements / whole.columns.max(1)).max(1);
        (0..whole.rows).step_by(step).map(move |top| {
            let rows = step.min(whole.rows - top);
            Self { selection: Selection::Piece { top, rows }, transposed: false }
        })
    }

    /// The transposed part.
    pub(crate) const fn transposed(self) -> Self {
        Self { transposed: true, ..self }
    }

    /// Location of the elements in a tensor of this shape.
    pub(crate) fn rectangle(self, shape: &[usize]) -> Rectangle {
        let (&width, rows) = shape.split_last().unwrap_or((&1, &[]));
        let height = rows.iter().product();
        let whole = Rectangle { top: 0, left: 0, rows: height, columns: width, width };
        match self.selection {
            Selection::All => whole,
            Selection::Rows(third) => {
                Rectangle { top: third * (height / 3), rows: height / 3, ..whole }
            }
            Selection::Columns(third) => {
                Rectangle { left: third * (width / 3), columns: width / 3, ..whole }
            }
            Selection::Piece { top, rows } => Rectangle { top, rows, ..whole },
        }
    }

    /// Row-major index, in a tensor of this shape, of element `index` of the part.
    pub(crate) fn index_in_tensor(self, index: usize, shape: &[usize]) -> usize {
        let rectangle = self.rectangle(shape);
        let (row, column) = if self.transposed {
            (index % rectangle.rows.max(1), index / rectangle.rows.max(1))
        } else {
            (index / rectangle.columns.max(1), index % rectangle.columns.max(1))
        };
        rectangle.start(row) + column
    }
}

/// A rectangle in the rows and columns of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rectangle {
    top: usize,
    left: usize,
    /// Number of rows.
    pub(crate) rows: usize,
    /// Number of columns.
    pub(crate) columns: usize,
    /// Number of columns of the tensor.
    width: usize,
}

impl Rectangle {
    /// Number of elements.
    pub(crate) fn elements(&self) -> usize {
        self.rows * self.columns
    }

    /// Number of elements that are contiguous in the tensor, from the start of a row.
    pub(crate) fn run(&self) -> usize {
        let joined = self.columns == self.width || self.rows == 1;
        if joined { self.elements() } else { self.columns }
    }

    /// Index of a row's first element in the tensor.
    pub(crate) fn start(&self, row: usize) -> usize {
        (self.top + row) * self.width + self.left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_of_parts_are_found_in_their_tensor() {
        let at = |part: TensorPart, index, shape: &[usize]| part.index_in_tensor(index, shape);
        assert_eq!(at(TensorPart::WHOLE, 7, &[2, 6]), 7);
        // Rows of six: the second third of the second row begins at 6 + 2.
        assert_eq!(at(TensorPart::columns(1), 2, &[2, 6]), 8);
        assert_eq!(at(TensorPart::columns(1), 1, &[6]), 3);
        // The second third of six rows of two begins at 2 * 2.
        assert_eq!(at(TensorPart::rows(1), 1, &[6, 2]), 5);
        // Three columns of two become two columns of three.
        assert_eq!(at(TensorPart::WHOLE.transposed(), 3, &[2, 3]), 4);
        // Rows 2 and 3 of two columns; the second of them comes second.
        assert_eq!(at(TensorPart::rows(1).transposed(), 1, &[6, 2]), 6);
        assert_eq!(at(TensorPart::rows(1).transposed(), 2, &[6, 2]), 5);
    }

    #[test]
    fn pieces_are_rows_that_follow_each_other() {
        let pieces = |shape: &[usize], elements| -> Vec<_> {
            let rectangles =
                TensorPart::pieces(shape, elements).map(|piece| piece.rectangle(shape));
            rectangles.map(|it| (it.start(0), it.elements())).collect()
        };
        assert_eq!(pieces(&[5, 3], 7), [(0, 6), (6, 6), (12, 3)]);
        assert_eq!(pieces(&[2, 3], 1), [(0, 3), (3, 3)]);
        assert_eq!(pieces(&[4], 100), [(0, 4)]);
        assert_eq!(pieces(&[0, 3], 7), []);
        assert_eq!(pieces(&[2, 0], 7), [(0, 0)]);
    }

    #[test]
    fn elements_that_follow_each_other_are_one_run() {
        let run = |part: TensorPart, shape: &[usize]| part.rectangle(shape).run();
        assert_eq!(run(TensorPart::WHOLE, &[2, 3, 4]), 24);
        assert_eq!(run(TensorPart::rows(2), &[6, 4]), 8);
        assert_eq!(run(TensorPart::columns(2), &[6]), 2);
        assert_eq!(run(TensorPart::columns(2), &[2, 6]), 2);
    }
}
