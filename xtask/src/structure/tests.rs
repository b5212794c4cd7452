//! Import cycles in small crates made of strings.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::circles::groups;
use super::functions::{Function, Functions};
use super::source::Crate;

/// Cycles of a crate with these files, named relative to `src`.
fn circles(files: &[(&str, &str)]) -> Vec<String> {
    let files: HashMap<PathBuf, &str> =
        files.iter().map(|(name, text)| (Path::new("src").join(name), *text)).collect();
    let read = |path: &Path| files.get(path).map(|text| (*text).to_owned());
    let modules = Crate::load(Path::new("src/lib.rs"), &read).unwrap();
    groups(&modules, Path::new("src")).into_iter().flat_map(|group| group.circles).collect()
}

#[test]
fn a_circle_behind_the_root_is_found() {
    let found = circles(&[
        ("lib.rs", "mod a;\nmod b;\npub use a::A;\npub use b::{B as Renamed, b};"),
        ("a.rs", "use crate::Renamed;\npub struct A(Renamed);"),
        ("b.rs", "pub struct B;\npub fn b() -> crate::A { loop {} }"),
    ]);
    assert_eq!(found, ["a -> b -> a (a.rs:1, b.rs:2)"]);
}

#[test]
fn a_circle_through_three_files_is_found() {
    let found = circles(&[
        ("lib.rs", "mod a;\nmod b;\nmod c;"),
        ("a.rs", "pub fn a() { crate::b::b() }"),
        ("b.rs", "pub fn b() { super::c::c() }"),
        ("c.rs", "\nuse crate::{a::{self}};\npub fn c() { a::a() }"),
    ]);
    assert_eq!(found, ["a -> b -> c -> a (a.rs:1, b.rs:1, c.rs:3)"]);
}

#[test]
fn a_circle_through_globs_is_found() {
    // By a name, and by a trait whose methods are used.
    for text in ["pub fn b() -> A { A }", "pub fn b() { 1.twice() }"] {
        let found = circles(&[
            ("lib.rs", "mod a;\nmod b;\nmod prelude;"),
            ("prelude.rs", "pub use crate::a::*;"),
            ("a.rs", "use crate::b::b;\npub struct A;\npub trait Twice { fn c() { b() } }"),
            ("b.rs", &format!("use crate::prelude::*;\n{text}")),
        ]);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert!(found[0].starts_with("a -> b -> a (a.rs:1, b.rs:"), "{found:?}");
    }
}

#[test]
fn a_circle_through_super_and_macros_is_found() {
    let found = circles(&[
        ("lib.rs", "mod room;"),
        ("room/mod.rs", "mod a;\nmod b;\npub use a::value;"),
        ("room/a.rs", "use super::b;\npub fn value() { assert!(b::is_good(1)) }"),
        ("room/b.rs", "pub fn is_good(_: u8) -> bool { super::value(); true }"),
    ]);
    assert_eq!(found, ["room::a -> room::b -> room::a (room/a.rs:2, room/b.rs:1)"]);
}

#[test]
fn a_folder_and_its_rooms_are_no_circle() {
    let found = circles(&[
        ("lib.rs", "mod room;\npub type Id = u32;"),
        (
            "room/mod.rs",
            "mod a;\nmod b;\nuse a::a;\npub use b::B;\npub trait Op {}\npub fn run() { a(); b::b() }",
        ),
        ("room/a.rs", "use super::{B, Op, run};\nimpl Op for B {}\npub fn a() { run() }"),
        ("room/b.rs", "use super::Op;\npub struct B(crate::Id);\npub fn b(_: &dyn Op) {}"),
    ]);
    assert_eq!(found, [""; 0]);
}

#[test]
fn a_function_of_a_folders_name_makes_no_circle() {
    let found = circles(&[
        ("lib.rs", "mod hub;\nmod upload;\npub use upload::upload;"),
        ("upload/mod.rs", "mod publish;\npub(crate) mod sending;\npub use publish::upload;"),
        ("upload/publish.rs", "pub fn upload() { crate::hub::send() }"),
        ("upload/sending.rs", "pub fn accepted() {}"),
        ("hub.rs", "use crate::upload::sending::accepted;\npub fn send() { accepted() }"),
    ]);
    assert_eq!(found, [""; 0]);
}

#[test]
fn a_circle_of_rooms_through_an_item_of_their_folder_is_found() {
    let found = circles(&[
        ("lib.rs", "mod a;\nmod b;\npub fn middle() { b::b() }"),
        ("a.rs", "pub fn a() { crate::middle() }"),
        ("b.rs", "pub fn b() { crate::a::a() }"),
    ]);
    assert_eq!(found, ["crate::middle -> b -> a -> crate::middle (lib.rs:3, b.rs:1, a.rs:1)"]);
}

#[test]
fn tests_docs_and_other_names_make_no_circle() {
    let found = circles(&[
        ("lib.rs", "mod a;\nmod b;\n#[cfg(test)]\nmod tests;\npub use a::a;\npub use b::b;"),
        ("a.rs", "/// See [`crate::b`].\npub fn a(b: u8) -> u8 { let c = b; it.b(c) }"),
        ("b.rs", "use crate::a;\npub fn b() { a(1) }\n#[cfg(test)]\nmod tests { use crate::a; }"),
        ("tests.rs", "use crate::{a, b};"),
    ]);
    assert_eq!(found, [""; 0]);
}

#[test]
fn lengths_are_counted_from_the_name_to_the_brace() {
    let text =
        "\n/// Docs.\n#[inline]\npub fn a() {\n    b()\n}\n#[cfg(test)]\nmod tests { fn b() {} }";
    let functions = Functions::of(&syn::parse_file(text).unwrap(), false).found;
    let function = |name: &str, line, length, is_test| {
        let name = name.to_owned();
        Function { name, line, length, is_test }
    };
    assert_eq!(functions, [function("a", 4, 3, false), function("b", 8, 1, true)]);
}
