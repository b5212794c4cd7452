//! Layout of heads in memory.

use crate::cpu::product::Matrix;

/// Queries, keys or values of all sequences and heads.
#[derive(Clone, Copy)]
pub(super) struct Sequences<'a> {
    pub(super) values: &'a [f32],
    /// Size of a head at one position.
    pub(super) width: usize,
    /// Distance from one position to the next.
    pub(super) position: usize,
    /// Distance from one head to the next.
    pub(super) head: usize,
    /// Distance from one sequence to the next.
    pub(super) sequence: usize,
    /// Number of cached positions, and the table of their cache rows, `[batch_size][max_length]`.
    pub(super) rows: Option<(usize, &'a [u32])>,
}

impl<'a> Sequences<'a> {
    /// `[batch_size, length, num_heads * width]`
    pub(super) fn packed(values: &'a [f32], length: usize, heads: usize, width: usize) -> Self {
        let position = heads * width;
        let sequence = length * position;
        Self { values, width, position, head: width, sequence, rows: None }
    }

    /// `[rows, num_heads, max_length, width]`
    pub(super) fn cached(
        values: &'a [f32],
        max_length: usize,
        heads: usize,
        width: usize,
        rows: Option<(usize, &'a [u32])>,
    ) -> Self {
        let head = max_length * width;
        Self { values, width, position: width, head, sequence: heads * head, rows }
    }

    /// One head of one sequence.
    pub(super) fn head(&self, sequence: usize, head: usize) -> Head<'a> {
        let max_length = self.head / self.width;
        let rows = self.rows.map(|(cached, rows)| &rows[sequence * max_length..][..cached]);
        Head { all: *self, sequence, start: head * self.head, rows }
    }
}

/// One head of one sequence.
#[derive(Clone, Copy)]
pub(super) struct Head<'a> {
    all: Sequences<'a>,
    sequence: usize,
    start: usize,
    rows: Option<&'a [u32]>,
}

impl<'a> Head<'a> {
    /// The numbers of one position.
    #[inline(always)]
    pub(super) fn at(&self, position: usize) -> &'a [f32] {
        let cached = self.rows.and_then(|rows| rows.get(position));
        let row = cached.map_or(self.sequence, |row| *row as usize);
        let at = row * self.all.sequence + self.start + position * self.all.position;
        &self.all.values[at..at + self.all.width]
    }

    /// Positions from `first` on as the rows of a matrix.
    ///
    /// # Panics
    ///
    /// If a table of cache rows is used: see [`gathered`](Self::gathered).
    pub(super) fn matrix(&self, first: usize) -> Matrix<'a> {
        assert!(self.rows.is_none(), "the positions are equidistant");
        let at = self.sequence * self.all.sequence + self.start + first * self.all.position;
        Matrix::strided_rows(&self.all.values[at..], self.all.width, self.all.position)
    }

    /// Copy of the first positions without gaps, if they are not equidistant in memory.
    pub(super) fn gathered(&self, positions: usize) -> Option<Vec<f32>> {
        self.rows?;
        Some((0..positions).flat_map(|position| self.at(position)).copied().collect())
    }
}

/// Matrix of all positions: of the gathered copy, or of the memory itself.
pub(super) fn matrix<'a>(head: Head<'a>, gathered: &'a Option<Vec<f32>>) -> Matrix<'a> {
    match gathered {
        Some(values) => Matrix::rows(values, head.all.width),
        None => head.matrix(0),
    }
}
