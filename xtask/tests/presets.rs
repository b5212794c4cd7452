//! `cargo xtask presets` as a command.

use assert_cmd::Command;
use gpt2_presets::presets;
use serde_json::Value;

fn output(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    let output = command.arg("presets").args(arguments).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn all_presets_are_listed() {
    let (table, list) = (output(&[]), output(&["--json"]));
    let list: Vec<Value> = serde_json::from_str(&list).unwrap();
    assert_eq!(list.len(), presets().len());
    for (preset, object) in presets().iter().zip(&list) {
        assert_eq!(
            (&object["name"], &object["description"]),
            (&preset.name.into(), &preset.description.into())
        );
        assert_eq!(object["download_size"], 4 * preset.parameter_count);
        assert!(table.contains(preset.name) && table.contains(preset.description), "{table}");
        assert!(preset.sources.iter().all(|source| table.contains(source)), "{table}");
    }
}
