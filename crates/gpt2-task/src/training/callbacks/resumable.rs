//! State of a callback that survives an interrupted training.

use std::ops::{Deref, DerefMut};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::callback::CallbackState;
use crate::error::BoxError;

/// State of a callback in one training. Each training starts with a new state, unless a state was
/// restored for it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Resumable<T> {
    state: T,
    is_restored: bool,
}

impl<T: Default + Serialize + DeserializeOwned> Resumable<T> {
    /// Starts a training. Returns whether the state is new.
    pub(super) fn begin(&mut self) -> bool {
        if std::mem::take(&mut self.is_restored) {
            return false;
        }
        self.state = T::default();
        true
    }

    /// State for a checkpoint, without weights.
    pub(super) fn to_state(&self) -> CallbackState {
        let json = serde_json::to_value(&self.state).expect("counters and numbers are JSON");
        CallbackState { json, weights: None }
    }

    /// Restores the state of a checkpoint for the next training.
    pub(super) fn restore(&mut self, json: Value) -> Result<(), BoxError> {
        self.state = serde_json::from_value(json)?;
        self.is_restored = true;
        Ok(())
    }
}

impl<T> Deref for Resumable<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.state
    }
}

impl<T> DerefMut for Resumable<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.state
    }
}
