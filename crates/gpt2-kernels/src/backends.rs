//! Backends that have burn's own operations in place of a kernel.

/// Implements an operation's trait by its composed defaults, for the named ones of `Flex`, `NdArray`,
/// `Cube`, `FusedCube`, where burn joins its own operations into kernels, and `Autodiff`, which then
/// has no gradient of its own for the operation.
macro_rules! composed_on {
    ($ops:ident: $($backend:ident),+) => {
        $($crate::backends::composed_on!(@ $backend $ops);)+
    };
    (@ Flex $ops:ident) => {
        #[cfg(feature = "flex")]
        impl $ops for burn::backend::Flex {}
    };
    (@ NdArray $ops:ident) => {
        #[cfg(feature = "ndarray")]
        impl $ops for burn::backend::NdArray {}
    };
    (@ FusedCube $ops:ident) => {
        #[cfg(all(feature = "fusion", feature = "gpu"))]
        impl $ops for burn::backend::Cube {}
    };
    (@ Cube $ops:ident) => {
        #[cfg(feature = "gpu")]
        impl $ops for burn::backend::Cube {}
    };
    (@ Autodiff $ops:ident) => {
        impl<B, C> $ops for burn::backend::Autodiff<B, C>
        where
            B: burn::backend::Backend + $ops,
            C: burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy,
        {
        }
    };
}

pub(crate) use composed_on;
