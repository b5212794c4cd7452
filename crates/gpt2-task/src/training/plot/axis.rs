//! Axes with round ticks.

/// Range of numbers with round ticks.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) ticks: Vec<f64>,
    step: f64,
}

impl Axis {
    /// Range from a round number to a round number that contains all values.
    pub(super) fn around(values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = widened(values);
        let step = round_step((high - low) / 5.0);
        // A value that is round except for its last bit gets no extra tick.
        let first = (low / step + 1e-6).floor() as i64;
        let last = (high / step - 1e-6).ceil() as i64;
        let ticks: Vec<f64> = (first..=last).map(|index| index as f64 * step).collect();
        Self { low: first as f64 * step, high: last as f64 * step, ticks, step }
    }

    /// Range exactly from `low` to `high`, with ticks at least `least_step` apart.
    pub(super) fn between(low: f64, high: f64, least_step: f64) -> Self {
        let step = round_step((high - low) / 10.0).max(least_step);
        let first = (low / step - 1e-6).ceil() as i64;
        let last = (high / step + 1e-6).floor() as i64;
        let ticks = (first..=last).map(|index| index as f64 * step).collect();
        Self { low, high, ticks, step }
    }

    /// Range around one tick in the middle.
    pub(super) fn at(value: f64) -> Self {
        Self { low: value - 1.0, high: value + 1.0, ticks: vec![value], step: 1.0 }
    }

    /// Position of a number as a fraction of the axis.
    pub(super) fn fraction(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }

    /// Label of a tick, with enough digits to distinguish it from the next one.
    pub(super) fn label(&self, tick: f64) -> String {
        let largest = self.low.abs().max(self.high.abs());
        // A logarithm may be off in its last bit.
        let order = |value: f64| (value.abs() * 1.000_001).log10().floor() as i32;
        if tick == 0.0 {
            "0".to_owned()
        } else if !(1e-3..1e6).contains(&largest) {
            let digits = (order(tick) - order(self.step)).max(0) as usize;
            format!("{tick:.digits$e}")
        } else {
            let digits = (-order(self.step)).max(0) as usize;
            format!("{tick:.digits$}")
        }
    }
}

/// Minimum and maximum, moved apart if they are equal.
fn widened(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    let size = low.abs().max(high.abs());
    if high - low > size * 1e-6 {
        (low, high)
    } else if size > 0.0 {
        (low - size * 0.1, high + size * 0.1)
    } else {
        (0.0, 1.0)
    }
}

/// Smallest of 1, 2 or 5 times a power of ten that is at least `least`.
fn round_step(least: f64) -> f64 {
    let power = 10f64.powi(least.log10().floor() as i32);
    let factors = [1.0, 2.0, 5.0];
    let fitting = factors.into_iter().find(|factor| factor * power >= least * 0.999_999);
    fitting.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<String> {
        axis.ticks.iter().map(|&tick| axis.label(tick)).collect()
    }

    #[test]
    fn ticks_are_round_and_enclose_the_numbers() {
        for (values, expected) in [
            (vec![1.13, 3.92], "1 2 3 4"),
            (vec![0.31, 0.58], "0.3 0.4 0.5 0.6"),
            (vec![2e-5, 3e-4], "0 1e-4 2e-4 3e-4"),
            (vec![0.0, 0.001], "0 0.0002 0.0004 0.0006 0.0008 0.0010"),
            (vec![0.0, 5e7], "0 1e7 2e7 3e7 4e7 5e7"),
            (vec![-3.0, 90.0], "-20 0 20 40 60 80 100"),
            (vec![0.0, 0.0], "0 0.2 0.4 0.6 0.8 1.0"),
            (vec![2.0], "1.8 1.9 2.0 2.1 2.2"),
        ] {
            let axis = Axis::around(values.iter().copied());
            assert_eq!(labels(&axis).join(" "), expected, "{values:?}");
            assert!(values.iter().all(|&value| (0.0..=1.0).contains(&axis.fraction(value))));
        }
    }

    #[test]
    fn an_axis_may_end_between_two_ticks() {
        let labels = |low, high, least| labels(&Axis::between(low, high, least)).join(" ");
        assert_eq!(labels(1.0, 2.0, 1.0), "1 2");
        assert_eq!(labels(1.0, 41.0, 1.0), "5 10 15 20 25 30 35 40");
        assert_eq!(labels(0.0, 0.45, 0.0), "0 0.05 0.10 0.15 0.20 0.25 0.30 0.35 0.40 0.45");
        assert_eq!(Axis::between(1.0, 5.0, 1.0).fraction(2.0), 0.25);
    }
}
