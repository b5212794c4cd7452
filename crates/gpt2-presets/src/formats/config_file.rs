//! Name of the file by which a preset is recognised.

/// File with the config, in most formats. Its keys tell the format.
pub(crate) const CONFIG_FILE: &str = "config.json";
