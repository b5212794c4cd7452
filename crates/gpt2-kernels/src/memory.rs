//! Memory that is used again.

/// Has the C library keep the memory that this process frees, and use it again, where it would
/// return it to the system at once: for programs that train or generate.
///
/// A training step allocates and frees gigabytes. To ask the system for each megabyte of them anew
/// takes a sixth of the step. This concerns the whole process, so it is the program that decides:
/// no function of this library calls it. Without effect where the C library is not GNU's, or
/// where the program has an allocator of its own.
pub fn reuse_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the C library's own settings, which it may be given at any time.
    unsafe {
        // No block is so large that it has a mapping of its own, and none is given back.
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, -1);
    }
}
