//! Places of the numbers of a head.

use crate::cpu::product::Matrix;

/// Queries, keys or values of all sequences and heads.
#[derive(Clone, Copy)]
pub(super) struct Sequences<'a> {
    pub(super) values: &'a [f32],
    /// Numbers of a head at one position.
    pub(super) width: usize,
    /// From a position to the next.
    pub(super) position: usize,
    /// From a head to the next.
    pub(super) head: usize,
    /// From a sequence to the next.
    pub(super) sequence: usize,
    /// In which row of a cache the first positions of a sequence are: how many positions, and the
    /// rows, `[batch_size][positions of a row]`.
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

    /// Some positions as the rows of a matrix.
    ///
    /// # Panics
    ///
    /// If they are in several rows of a cache: see [`gathered`](Self::gathered).
    pub(super) fn matrix(&self, first: usize) -> Matrix<'a> {
        assert!(self.rows.is_none(), "the positions lie at equal distances");
        let at = self.sequence * self.all.sequence + self.start + first * self.all.position;
        Matrix::strided_rows(&self.all.values[at..], self.all.width, self.all.position)
    }

    /// The first positions one behind the other, if they do not lie at equal distances.
    pub(super) fn gathered(&self, positions: usize) -> Option<Vec<f32>> {
        self.rows?;
        Some((0..positions).flat_map(|position| self.at(position)).copied().collect())
    }
}

/// The matrix of positions, gathered or where they lie.
pub(super) fn matrix<'a>(head: Head<'a>, gathered: &'a Option<Vec<f32>>) -> Matrix<'a> {
    match gathered {
        Some(values) => Matrix::rows(values, head.all.width),
        None => head.matrix(0),
    }
}
