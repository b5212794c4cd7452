//! `cargo xtask presets` as a command.

use gpt2_presets::presets;
use serde_json::Value;

use crate::support::{success, xtask};

#[test]
fn all_presets_are_listed() {
    let output = |arguments: &[&str]| success(xtask("presets").args(arguments).output().unwrap());
    let (table, list) = (output(&[]), output(&["--json"]));
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    let list: Value = serde_json::from_str(&list).unwrap();
    let list = list["models"].as_array().unwrap();
    assert_eq!(list.len(), presets().len());
    for (preset, object) in presets().iter().zip(list) {
        assert_eq!(
            (&object["name"], &object["description"]),
            (&preset.name.into(), &preset.description.into())
        );
        assert_eq!(object["download_size"], 4 * preset.parameter_count);
        assert_eq!(object["sources"].as_array().unwrap().len(), preset.sources.len());
        assert!(table.contains(preset.name), "{table}");
    }
}
