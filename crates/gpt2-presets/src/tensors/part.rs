//! Stage 5: which elements of a tensor a parameter is, and in which order.

/// What of a tensor a parameter is: some of its rows and columns, which may be exchanged.
///
/// The last axis is the columns, all axes before it are the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    cut: Cut,
    /// Whether the parameter has rows and columns exchanged.
    pub(crate) transposed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    Nothing,
    /// This third, from 0.
    Rows(usize),
    /// This third, from 0.
    Columns(usize),
    /// So many rows from this one on.
    Piece {
        top: usize,
        rows: usize,
    },
}

impl Part {
    /// All of it. The shapes may differ (heads are an axis in Keras), the order of elements does not.
    pub(crate) const WHOLE: Self = Self { cut: Cut::Nothing, transposed: false };

    /// This third, from 0, of its rows.
    pub(crate) const fn rows(third: usize) -> Self {
        Self { cut: Cut::Rows(third), transposed: false }
    }

    /// This third, from 0, of its columns.
    pub(crate) const fn columns(third: usize) -> Self {
        Self { cut: Cut::Columns(third), transposed: false }
    }

    /// All of a tensor of this shape, in whole rows of some `elements` together, at least one.
    pub(crate) fn pieces(shape: &[usize], elements: usize) -> impl Iterator<Item = Self> {
        let whole = Self::WHOLE.block(shape);
        let step = (elements / whole.columns.max(1)).max(1);
        (0..whole.rows).step_by(step).map(move |top| {
            let rows = step.min(whole.rows - top);
            Self { cut: Cut::Piece { top, rows }, transposed: false }
        })
    }

    /// The same elements, rows and columns exchanged.
    pub(crate) const fn transposed(self) -> Self {
        Self { transposed: true, ..self }
    }

    /// Where the elements are in a tensor of this shape.
    pub(crate) fn block(self, shape: &[usize]) -> Block {
        let (&width, rows) = shape.split_last().unwrap_or((&1, &[]));
        let height = rows.iter().product();
        let whole = Block { top: 0, left: 0, rows: height, columns: width, width };
        match self.cut {
            Cut::Nothing => whole,
            Cut::Rows(third) => Block { top: third * (height / 3), rows: height / 3, ..whole },
            Cut::Columns(third) => Block { left: third * (width / 3), columns: width / 3, ..whole },
            Cut::Piece { top, rows } => Block { top, rows, ..whole },
        }
    }

    /// Where element `index` of the part stands in a tensor of this shape, in row-major order.
    pub(crate) fn index_in_tensor(self, index: usize, shape: &[usize]) -> usize {
        let block = self.block(shape);
        let (row, column) = if self.transposed {
            (index % block.rows.max(1), index / block.rows.max(1))
        } else {
            (index / block.columns.max(1), index % block.columns.max(1))
        };
        block.start(row) + column
    }
}

/// A rectangle in the rows and columns of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Block {
    top: usize,
    left: usize,
    /// How many rows it has.
    pub(crate) rows: usize,
    /// How many columns it has.
    pub(crate) columns: usize,
    /// Columns of the tensor.
    width: usize,
}

impl Block {
    /// How many elements it has.
    pub(crate) fn elements(&self) -> usize {
        self.rows * self.columns
    }

    /// How many elements lie behind each other in the tensor, from the beginning of a row on.
    pub(crate) fn run(&self) -> usize {
        let joined = self.columns == self.width || self.rows == 1;
        if joined { self.elements() } else { self.columns }
    }

    /// The index in the tensor of the first element of a row.
    pub(crate) fn start(&self, row: usize) -> usize {
        (self.top + row) * self.width + self.left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_of_parts_are_found_in_their_tensor() {
        let at = |part: Part, index, shape: &[usize]| part.index_in_tensor(index, shape);
        assert_eq!(at(Part::WHOLE, 7, &[2, 6]), 7);
        // Rows of six: the second third of the second row begins at 6 + 2.
        assert_eq!(at(Part::columns(1), 2, &[2, 6]), 8);
        assert_eq!(at(Part::columns(1), 1, &[6]), 3);
        // The second third of six rows of two begins at 2 * 2.
        assert_eq!(at(Part::rows(1), 1, &[6, 2]), 5);
        // Three columns of two become two columns of three.
        assert_eq!(at(Part::WHOLE.transposed(), 3, &[2, 3]), 4);
        // Rows 2 and 3 of two columns; the second of them comes second.
        assert_eq!(at(Part::rows(1).transposed(), 1, &[6, 2]), 6);
        assert_eq!(at(Part::rows(1).transposed(), 2, &[6, 2]), 5);
    }

    #[test]
    fn pieces_are_rows_that_follow_each_other() {
        let pieces = |shape: &[usize], elements| -> Vec<_> {
            let blocks = Part::pieces(shape, elements).map(|piece| piece.block(shape));
            blocks.map(|block| (block.start(0), block.elements())).collect()
        };
        assert_eq!(pieces(&[5, 3], 7), [(0, 6), (6, 6), (12, 3)]);
        assert_eq!(pieces(&[2, 3], 1), [(0, 3), (3, 3)]);
        assert_eq!(pieces(&[4], 100), [(0, 4)]);
        assert_eq!(pieces(&[0, 3], 7), []);
        assert_eq!(pieces(&[2, 0], 7), [(0, 0)]);
    }

    #[test]
    fn elements_that_lie_behind_each_other_are_one_run() {
        let run = |part: Part, shape: &[usize]| part.block(shape).run();
        assert_eq!(run(Part::WHOLE, &[2, 3, 4]), 24);
        assert_eq!(run(Part::rows(2), &[6, 4]), 8);
        assert_eq!(run(Part::columns(2), &[6]), 2);
        assert_eq!(run(Part::columns(2), &[2, 6]), 2);
    }
}
