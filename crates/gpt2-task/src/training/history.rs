//! Result of `fit`: the loss and metrics of every epoch.

use serde::{Deserialize, Deserializer, Serialize};

use super::logs::Logs;

/// Loss and metrics of every epoch, like Keras' `History`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// Epochs that ran, from 0.
    pub epoch: Vec<usize>,
    /// Names, each with its values in the epochs that have it, in order.
    #[serde(deserialize_with = "numbers_or_nan")]
    pub history: Vec<(String, Vec<f64>)>,
}

/// Reads a number, or NaN from null: JSON has neither NaN nor infinities.
pub(crate) fn number_or_nan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// Reads the numbers of a history with [`number_or_nan`].
fn numbers_or_nan<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<(String, Vec<f64>)>, D::Error> {
    #[derive(Deserialize)]
    struct Number(#[serde(deserialize_with = "number_or_nan")] f64);
    let named = Vec::<(String, Vec<Number>)>::deserialize(deserializer)?;
    let numbers = |values: Vec<Number>| values.into_iter().map(|Number(value)| value).collect();
    Ok(named.into_iter().map(|(name, values)| (name, numbers(values))).collect())
}

impl History {
    /// Values with this name: `loss`, `val_loss`, ….
    pub fn get(&self, name: &str) -> Option<&[f64]> {
        self.history.iter().find(|(key, _)| key == name).map(|(_, values)| values.as_slice())
    }

    /// Adds an epoch, counted from 0, with its loss and metrics.
    pub fn push(&mut self, epoch: usize, logs: &Logs) {
        self.epoch.push(epoch);
        for (name, value) in logs.iter() {
            match self.history.iter_mut().find(|(key, _)| key == name) {
                Some((_, values)) => values.push(value),
                None => self.history.push((name.to_owned(), vec![value])),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_survives_as_text() {
        let mut history = History::default();
        let mut logs = Logs::default();
        logs.set("loss", f64::NAN);
        history.push(0, &logs);
        logs.set("loss", 0.1 + 0.2);
        history.push(1, &logs);
        let text = serde_json::to_string(&history).unwrap();
        let read: History = serde_json::from_str(&text).unwrap();
        let loss = read.get("loss").unwrap();
        assert!(loss[0].is_nan());
        assert_eq!(loss[1].to_bits(), (0.1f64 + 0.2).to_bits());
    }
}
