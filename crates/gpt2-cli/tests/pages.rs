//! The commands that the README and the tutorial show, run from top to bottom as a reader would.

use std::fs;
use std::path::Path;
use std::process::Command;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
const TEXT: &str =
    "ROMEO:\nBut, soft! what light through yonder window breaks?\n\nJULIET:\nO Romeo!\n\n";

fn page(name: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(name)).unwrap()
}

/// Blocks of a language on a page.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let fence = format!("\n```{language}\n");
    let starts = page.match_indices(&fence).map(|(at, _)| at + fence.len());
    starts.map(|start| page[start..].split("```").next().unwrap().to_owned()).collect()
}

/// Commands of the blocks for a shell, in order.
fn commands(page: &str) -> Vec<String> {
    let joined = blocks(page, "sh").concat().replace("\\\n", " ");
    joined.lines().map(str::to_owned).collect()
}

/// A folder with the files that the pages speak of.
fn world() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("texts")).unwrap();
    for name in ["my_text.txt", "train.txt", "val.txt", "texts/a.txt"] {
        fs::write(folder.path().join(name), TEXT.repeat(20)).unwrap();
    }
    folder
}

/// Runs the commands that need no network and no cargo, and returns the others.
fn run(commands: Vec<String>, world: &Path) -> Vec<String> {
    let program = Path::new(env!("CARGO_BIN_EXE_gpt2")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let (ours, others): (Vec<_>, Vec<_>) = commands
        .into_iter()
        .map(|command| command.replace("cargo run --release -- ", "gpt2 "))
        .partition(|command| command.starts_with("gpt2 ") && !command.contains("gpt2_base_en"));
    for command in ours {
        let mut shell = Command::new("sh");
        shell.args(["-c", &command]).current_dir(world);
        let output = shell.env("PATH", &path).env("GPT2_OFFLINE", "1").output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}\n{message}");
    }
    others
}

#[test]
fn commands_of_the_readme() {
    let world = world();
    let others = run(commands(&page("README.md")), world.path());
    assert_eq!(others, ["cargo test --workspace --release"]);
    // The gate runs the same test command.
    assert!(page(".ci/run").contains(&format!("step 'tests' {}\n", others[0])));
}

#[test]
fn commands_of_the_tutorial() {
    let world = world();
    let page = page("docs/training.md");
    fs::write(world.path().join("config.json"), &blocks(&page, "json")[0]).unwrap();
    let others = run(commands(&page), world.path());
    assert!(others.iter().all(|command| command.contains("gpt2_base_en")), "{others:?}");
    for written in ["my_preset/training/curves.svg", "my_model.gguf", "for_transformers"] {
        assert!(world.path().join(written).exists(), "{written}");
    }
}
