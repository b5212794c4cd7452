//! Work in pieces of fixed size: results do not depend on the number of threads.

use rayon::prelude::*;

/// Elements of a task in an elementwise pass: 64 KiB of 32-bit floats.
pub(crate) const CHUNK: usize = 1 << 14;

/// Number of multiplications up to which a second thread costs more than it saves.
const SERIAL: usize = 1 << 15;

/// Calls `task` with every index below `count`, on all cores if the work is large enough.
pub(crate) fn for_each(count: usize, multiplications: usize, task: impl Fn(usize) + Sync + Send) {
    if count > 1 && multiplications > SERIAL {
        (0..count).into_par_iter().with_max_len(1).for_each(task);
    } else {
        (0..count).for_each(task);
    }
}

/// Calls `change` with the start and the numbers of each chunk of a slice, on all cores. A number
/// costs as much as `products` multiplications.
pub(crate) fn in_chunks(
    x: &mut [f32],
    products: usize,
    change: impl Fn(usize, &mut [f32]) + Sync + Send,
) {
    let length = x.len();
    let shared = Shared::new(x);
    for_each(length.div_ceil(CHUNK), products * length, |task| {
        let start = task * CHUNK;
        // SAFETY: the chunk belongs to this task alone.
        change(start, unsafe { shared.part(start, CHUNK.min(length - start)) });
    });
}

/// Number of cores that share work.
pub(crate) fn number_of_cores() -> usize {
    rayon::current_num_threads()
}

/// Vector of `length` numbers, all of which `write` writes.
///
/// The memory is not zeroed first: that would take as long as some of the operations do.
pub(crate) fn write_all(length: usize, write: impl FnOnce(Shared<'_>)) -> Vec<f32> {
    let mut values: Vec<f32> = Vec::with_capacity(length);
    let pointer = values.as_mut_ptr();
    write(Shared { pointer, length, lifetime: std::marker::PhantomData });
    // SAFETY: the vector has room for the numbers, and `write` has written all of them.
    unsafe { values.set_len(length) };
    values
}

/// A slice whose disjoint parts are written by several tasks.
pub(crate) struct Shared<'a, T = f32> {
    pointer: *mut T,
    length: usize,
    lifetime: std::marker::PhantomData<&'a mut [T]>,
}

impl<T> Clone for Shared<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Shared<'_, T> {}

// SAFETY: `part` has its callers promise that no two parts overlap.
unsafe impl<T: Send> Send for Shared<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        let (pointer, length) = (slice.as_mut_ptr(), slice.len());
        Self { pointer, length, lifetime: std::marker::PhantomData }
    }

    /// Elements from `start` on.
    ///
    /// # Safety
    ///
    /// While the part lives, no other reference to its elements may exist. Elements of
    /// [`write_all`] must be written before they are read.
    #[inline(always)]
    pub(crate) unsafe fn part(&self, start: usize, length: usize) -> &'a mut [T] {
        assert!(start + length <= self.length, "the part lies within the slice");
        // SAFETY: the part lies within the slice, and the caller promises that it does not overlap
        // another.
        unsafe { std::slice::from_raw_parts_mut(self.pointer.add(start), length) }
    }
}
