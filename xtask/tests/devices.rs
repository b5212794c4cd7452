//! `cargo xtask devices` as a command.

use gpt2_backbone::{BACKENDS, is_compiled};
use serde_json::Value;

use crate::support::{success, xtask};

#[test]
fn devices_and_backends_are_listed() {
    let output = |arguments: &[&str]| success(xtask("devices").args(arguments).output().unwrap());
    let (table, list) = (output(&[]), output(&["--json"]));
    let list: Value = serde_json::from_str(&list).unwrap();
    let devices = list["devices"].as_array().unwrap();
    let flex = devices.iter().find(|device| device["name"] == "cpu").unwrap();
    assert!(flex["float_types"].as_array().unwrap().contains(&"float32".into()));
    for device in devices {
        for key in ["name", "hardware"] {
            assert!(table.contains(device[key].as_str().unwrap()), "{table}");
        }
    }
    for backend in BACKENDS {
        let key = if is_compiled(backend) { "built_in" } else { "not_built_in" };
        assert!(list[key].as_array().unwrap().contains(&backend.into()), "{list}");
        assert!(table.contains(backend), "{table}");
    }
}
