//! Panels and curves of a picture.

/// Name of the learning rate in logs. Its panel is the last.
pub(super) const LEARNING_RATE: &str = "learning_rate";

/// A metric's curves, which share an axis.
#[derive(Debug, PartialEq)]
pub(super) struct Panel {
    pub(super) title: String,
    pub(super) curves: Vec<Curve>,
}

#[derive(Debug, PartialEq)]
pub(super) struct Curve {
    pub(super) kind: Kind,
    /// Epochs, counted from 1, with their values.
    pub(super) points: Vec<(f64, f64)>,
}

/// Kind of a curve, which decides its look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Steps,
    Training,
    Validation,
}

/// Whether a number can be drawn; those near the largest float have no distances.
pub(super) fn is_drawable(value: f64) -> bool {
    value.abs() < 1e300
}
