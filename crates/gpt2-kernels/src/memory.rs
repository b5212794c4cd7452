//! Memory that is used again.

/// Has the C library keep the memory that this process frees, and use it again, where it would
/// return it to the system at once: for programs that train, or generate for long.
///
/// A training step allocates and frees gigabytes. To ask the system for each megabyte of them anew
/// takes a sixth of the step. What is kept lies in pages of 2 MB where the system has them, so that
/// weights that were copied from their file are read faster than in a map of it.
///
/// This concerns the whole process, so it is the program that decides, before it starts a thread:
/// no function of this library calls it. Without effect where the C library is not GNU's, or
/// where the program has an allocator of its own.
pub fn reuse_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the C library's own settings, which it may be given at any time.
    unsafe {
        // No block is so large that it has a mapping of its own, and none is given back.
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, -1);
        advise_large_pages();
    }
}

/// Asks for large pages where the allocator will take its memory from: addresses of half of the
/// machine's memory, of which none is in use until it is needed.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn advise_large_pages() {
    const LARGE_PAGE: usize = 2 << 20;
    // SAFETY: these ask for numbers.
    let (pages, page) = unsafe {
        (libc::sysconf(libc::_SC_PHYS_PAGES) as usize, libc::sysconf(libc::_SC_PAGESIZE) as usize)
    };
    let size = (pages / 2).saturating_mul(page);
    // SAFETY: the block is not read or written, the advice lies within it, and it is freed once.
    // Where the system refuses the block or the advice, pages are small as before.
    unsafe {
        let block = libc::malloc(size);
        let before = block.align_offset(LARGE_PAGE);
        if !block.is_null() && before < size {
            libc::madvise(block.byte_add(before), size - before, libc::MADV_HUGEPAGE);
        }
        libc::free(block);
    }
}
