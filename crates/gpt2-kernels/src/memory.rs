//! Reuse of freed memory.

/// Has the C library keep and reuse the memory that this process frees, in place of returning it to
/// the system. Call it in programs that train, or generate for long.
///
/// A training step allocates and frees gigabytes; to request them anew from the system takes a
/// sixth of the step. The memory kept has pages of 2 MB where the system offers them, so that
/// weights copied from a file are read faster than from a memory map.
///
/// The setting holds for the whole process. No function of this library calls it: the program does,
/// before it starts a thread. It has no effect with a C library other than GNU's, or with an
/// allocator of the program's own.
pub fn reuse_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `mallopt` changes the C library's own settings and may be called at any time.
    unsafe {
        // No block gets a mapping of its own, and no memory is returned to the system.
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, -1);
        advise_large_pages();
    }
}

/// Requests large pages for the addresses that the allocator will use next: half of the machine's
/// memory, reserved but not yet in use.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn advise_large_pages() {
    const LARGE_PAGE: usize = 2 << 20;
    // SAFETY: `sysconf` only returns numbers.
    let (pages, page) = unsafe {
        (libc::sysconf(libc::_SC_PHYS_PAGES) as usize, libc::sysconf(libc::_SC_PAGESIZE) as usize)
    };
    let size = (pages / 2).saturating_mul(page);
    // SAFETY: the block is not read or written, the advice lies within it, and it is freed once. If
    // the system refuses the block or the advice, pages stay small.
    unsafe {
        let block = libc::malloc(size);
        let before = block.align_offset(LARGE_PAGE);
        if !block.is_null() && before < size {
            libc::madvise(block.byte_add(before), size - before, libc::MADV_HUGEPAGE);
        }
        libc::free(block);
    }
}
