//! Name of the file that says what a preset is.

/// The config, in most formats. What is in it says which.
pub(crate) const CONFIG_FILE: &str = "config.json";
