//! Named numbers in display order.

use serde::{Deserialize, Serialize};

/// Numbers of a batch or an epoch: `loss`, `sparse_categorical_accuracy`, `val_loss`, ….
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Logs(Vec<(String, f64)>);

impl Logs {
    /// Number with this name.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// Sets the number with this name. A new name comes last.
    pub fn set(&mut self, name: impl Into<String>, value: f64) {
        let name = name.into();
        match self.0.iter_mut().find(|(key, _)| *key == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }

    /// Names and numbers in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }
}
