//! Panels and curves of a plot.

/// Name of the learning rate in logs. Its panel is the last.
pub(super) const LEARNING_RATE: &str = "learning_rate";

/// Curves of a metric, which share an axis.
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

/// Kind of a curve, which determines its style.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Steps,
    Training,
    Validation,
}

/// Whether a number can be drawn. Differences of numbers near the largest float overflow.
pub(super) fn is_drawable(value: f64) -> bool {
    value.abs() < 1e300
}
