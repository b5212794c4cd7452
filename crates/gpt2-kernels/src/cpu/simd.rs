//! Vectors of the widest kind that the processor has, chosen at run time.

use std::sync::LazyLock;

#[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
use pulp::x86::V3;
use pulp::{Arch, Simd, WithSimd};

use crate::setting::setting;

/// Runs a kernel with the instructions of this processor: AVX-512, AVX2 and FMA, NEON, or none.
pub(crate) fn dispatch<K: WithSimd>(kernel: K) -> K::Output {
    static ARCH: LazyLock<Arch> = LazyLock::new(|| match setting() {
        Some("scalar") => Arch::Scalar,
        #[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
        Some("avx2") => V3::try_new().map_or(Arch::Scalar, Arch::V3),
        _ => Arch::new(),
    });
    ARCH.dispatch(kernel)
}

/// Name of the instructions that kernels run with: `AVX-512`, `AVX2`, `NEON` or `none`.
pub fn cpu_vectors() -> &'static str {
    struct Name;
    impl WithSimd for Name {
        type Output = &'static str;

        fn with_simd<S: Simd>(self, _simd: S) -> &'static str {
            std::any::type_name::<S>()
        }
    }
    match dispatch(Name) {
        name if name.contains("V4") => "AVX-512",
        name if name.contains("V3") => "AVX2",
        name if name.contains("Neon") => "NEON",
        _ => "none",
    }
}

/// Vector at `slice[at..]`, without a bounds check: a check would double the time of some loops.
///
/// # Safety
///
/// `slice[at..]` must hold a whole vector.
#[inline(always)]
pub(crate) unsafe fn load_unchecked<S: Simd>(simd: S, slice: &[f32], at: usize) -> S::f32s {
    let _ = simd;
    debug_assert!(at + S::F32_LANES <= slice.len());
    // SAFETY: the caller promises that the vector lies within the slice.
    unsafe { slice.as_ptr().add(at).cast::<S::f32s>().read_unaligned() }
}

/// Vector at `slice[at..]`.
#[inline(always)]
pub(crate) fn load<S: Simd>(simd: S, slice: &[f32], at: usize) -> S::f32s {
    let _ = simd;
    assert!(at + S::F32_LANES <= slice.len());
    // SAFETY: the vector lies within the slice.
    unsafe { load_unchecked(simd, slice, at) }
}

/// Writes a vector to `slice[at..]`.
#[inline(always)]
pub(crate) fn store<S: Simd>(simd: S, slice: &mut [f32], at: usize, value: S::f32s) {
    let _ = simd;
    assert!(at + S::F32_LANES <= slice.len());
    // SAFETY: the vector lies within the slice, as checked above.
    unsafe { slice.as_mut_ptr().add(at).cast::<S::f32s>().write_unaligned(value) };
}

/// `e^x` to about one unit in the last place. Below -87.3, where 32-bit floats end, the result is
/// 0. NaNs stay NaNs.
///
/// Written without closures, as all code on vectors: a closure that is not inlined loses the CPU
/// features that are enabled for its caller.
#[inline(always)]
pub(crate) fn exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let lowest = simd.splat_f32s(-87.336_54);
    let is_zero = simd.less_than_f32s(x, lowest);
    let is_number = simd.equal_f32s(x, x);
    let given = x;
    let x = simd.min_f32s(simd.max_f32s(x, lowest), simd.splat_f32s(88.722_83));
    // Adding 1.5 * 2^23 rounds to an integer, which the low bits then hold.
    let magic = simd.splat_f32s(12_582_912.0);
    let shifted = simd.mul_add_e_f32s(x, simd.splat_f32s(std::f32::consts::LOG2_E), magic);
    let whole = simd.sub_f32s(shifted, magic);
    // ln 2 in two parts. The first ends in zero bits, so that the products with it are exact.
    let r = simd.negate_mul_add_e_f32s(whole, simd.splat_f32s(0.693_359_4), x);
    let r = simd.negate_mul_add_e_f32s(whole, simd.splat_f32s(-2.121_944_4e-4), r);
    // The polynomial of Cephes' `expf`.
    let mut p = simd.splat_f32s(1.987_569_1e-4);
    p = simd.mul_add_e_f32s(p, r, simd.splat_f32s(1.398_199_9e-3));
    p = simd.mul_add_e_f32s(p, r, simd.splat_f32s(8.333_452e-3));
    p = simd.mul_add_e_f32s(p, r, simd.splat_f32s(4.166_579_6e-2));
    p = simd.mul_add_e_f32s(p, r, simd.splat_f32s(1.666_666_5e-1));
    p = simd.mul_add_e_f32s(p, r, simd.splat_f32s(0.5));
    let fraction = simd.mul_add_e_f32s(simd.mul_f32s(r, r), p, r);
    let fraction = simd.add_f32s(fraction, simd.splat_f32s(1.0));
    // 2^whole as two factors: 2^128 is not a 32-bit float, but 2^127 times 2 is computed without
    // one.
    let bits = simd.transmute_u32s_f32s(shifted);
    let bits = simd.wrapping_dyn_shl_u32s(bits, simd.splat_u32s(23));
    let power = simd.transmute_f32s_u32s(simd.add_u32s(bits, simd.splat_u32s(126 << 23)));
    let value = simd.mul_f32s(simd.mul_f32s(fraction, power), simd.splat_f32s(2.0));
    let value = simd.select_f32s(is_zero, simd.splat_f32s(0.0), value);
    simd.select_f32s(is_number, value, given)
}

/// Prefetches `count` numbers from `slice[at]` on, which may lie past the end.
#[inline(always)]
pub(crate) fn prefetch(slice: &[f32], at: usize, count: usize) {
    #[cfg(target_arch = "x86_64")]
    for line in 0..count.div_ceil(LINE) {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        let address = slice.as_ptr().wrapping_add(at + line * LINE);
        // SAFETY: a prefetch is a hint: no address is invalid, and every x86-64 processor has it.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(address.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (slice, at, count);
}

/// Numbers in a cache line.
#[cfg(target_arch = "x86_64")]
const LINE: usize = 16;
