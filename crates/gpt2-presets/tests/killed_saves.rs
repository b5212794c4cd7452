//! A process is killed at any moment of a save: its last completed save is intact.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use burn::tensor::Tensor;
use gpt2_backbone::update_parameters;
use gpt2_presets::{CheckpointFolder, FromPreset, Save};
use gpt2_task::{CheckpointStore, Gpt2CausalLm};
use gpt2_test_support::{is_long, test_process};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::checkpoints::{FILE, checkpoint};
use crate::saving::{KERAS_FILES, files, model};
use crate::support::*;

/// Variable that names the folder to which a process saves until it is killed.
const FOLDER: &str = "GPT2_TEST_KILLED_FOLDER";
/// Variable with the first number.
const FIRST: &str = "GPT2_TEST_KILLED_FIRST";

/// Elements of each tensor of the checkpoint: enough for a save to take a while.
const ELEMENTS: usize = 1_000_000;

/// Saves in a child process of the test below, which kills it.
fn save_until_killed(folder: &Path) {
    let first: u32 = std::env::var(FIRST).unwrap().parse().unwrap();
    let mut store = CheckpointFolder::new(folder.join("checkpoint"));
    let mut model = model(&tiny().with_max_sequence_length(20_000));
    for step in first..first + 100_000 {
        store.save(&checkpoint(step, ELEMENTS)).unwrap();
        // Fails once the pipe is closed, so that the process does not outlive the test.
        println!("checkpoint {step}");
        let filled = update_parameters(model.backbone().clone(), |_, _, old| {
            Tensor::full(old.dims(), step as f32, &device())
        });
        model.set_backbone(filled).unwrap();
        model.save_to_preset(folder.join("preset")).unwrap();
        println!("preset {step}");
    }
}

/// Numbers that a process has reported as saved.
#[derive(Debug, Clone, Copy, Default)]
struct Saved {
    checkpoint: u32,
    preset: u32,
}

impl Saved {
    /// Records a line. Lines of the test harness are ignored.
    fn note(&mut self, line: &str) {
        // The harness begins the line in which this process writes its first word.
        let mut words = line.rsplit(' ');
        let (Some(number), Some(what)) = (words.next(), words.next()) else { return };
        match (what, number.parse()) {
            ("checkpoint", Ok(number)) => self.checkpoint = number,
            ("preset", Ok(number)) => self.preset = number,
            _ => {}
        }
    }
}

fn start(folder: &Path, first: u32) -> Child {
    test_process("killed_saves::a_killed_process_leaves_what_it_saved_last")
        .env(FOLDER, folder)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Runs a process that saves, kills it some time after its first preset, and returns its reports.
fn run_and_kill(folder: &Path, first: u32, delay: Duration) -> Saved {
    let mut child = start(folder, first);
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (began, begins) = mpsc::channel();
    let reader = thread::spawn(move || {
        let mut saved = Saved::default();
        for line in lines.map_while(Result::ok) {
            saved.note(&line);
            if saved.preset == first {
                let _ = began.send(());
            }
        }
        saved
    });
    let waited = begins.recv_timeout(Duration::from_secs(60));
    thread::sleep(delay);
    child.kill().unwrap();
    child.wait().unwrap();
    waited.expect("the process saves");
    reader.join().unwrap()
}

/// Number of the checkpoint. All of its elements must have this value.
fn checkpoint_step(folder: &Path) -> u32 {
    let loaded = CheckpointFolder::new(folder).load(&device()).unwrap().unwrap();
    let step = loaded.state["step"].as_u64().unwrap() as u32;
    assert_eq!(loaded.tensors.len(), 3);
    for (name, tensor) in loaded.tensors {
        let values: Vec<f32> = tensor.into_data().try_into_vec().unwrap();
        assert_eq!(values.len(), ELEMENTS);
        assert!(values.iter().all(|value| *value == step as f32), "{name} is of another step");
    }
    step
}

/// Number of the preset. All of its elements must have this value.
fn preset_step(folder: &Path) -> u32 {
    let loaded = Gpt2CausalLm::from_preset_with(folder.to_str().unwrap(), &device()).unwrap();
    let parameters = parameters(loaded.backbone());
    let step = parameters["layer_norm.beta"].1[0];
    for (name, (_, values)) in parameters {
        assert!(values.iter().all(|value| *value == step), "{name} is of another step");
    }
    step as u32
}

fn is_temporary(name: &str) -> bool {
    name.ends_with(".tmp")
}

#[test]
fn a_killed_process_leaves_what_it_saved_last() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return save_until_killed(Path::new(&folder));
    }
    let kills = if is_long() { 200 } else { 10 };
    let folder = tempfile::tempdir().unwrap();
    let (training, preset) = (folder.path().join("checkpoint"), folder.path().join("preset"));
    let mut rng = ChaCha8Rng::seed_from_u64(28);
    let mut interrupted = [0, 0];
    let mut first = 1;
    for _ in 0..kills {
        let delay = Duration::from_micros(rng.random_range(0..150_000));
        let said = run_and_kill(folder.path(), first, delay);
        let left = |folder: &Path| {
            fs::read_dir(folder)
                .unwrap()
                .flatten()
                .any(|entry| is_temporary(entry.file_name().to_str().unwrap()))
        };
        interrupted[0] += usize::from(left(&training));
        interrupted[1] += usize::from(left(&preset));
        // The process may have been killed before it could report the save.
        let found = checkpoint_step(&training);
        assert!(found == said.checkpoint || found == said.checkpoint + 1, "{said:?}, {found}");
        let found_preset = preset_step(&preset);
        assert!(
            found_preset == said.preset || found_preset == said.preset + 1,
            "{said:?}, {found_preset}"
        );
        let names: Vec<_> = files(&training).into_keys().collect();
        assert_eq!(names, [FILE], "loading removes what was left");
        let names: Vec<_> = files(&preset).into_keys().collect();
        let lasting: Vec<_> = names.iter().filter(|name| !is_temporary(name)).collect();
        assert_eq!(lasting, KERAS_FILES.iter().collect::<Vec<_>>());
        assert!(names.len() <= 2 * KERAS_FILES.len(), "the next save removes what was left");
        first = found + 1;
    }
    model(&tiny()).save_to_preset(&preset).unwrap();
    assert_eq!(files(&preset).into_keys().collect::<Vec<_>>(), KERAS_FILES);
    println!(
        "{kills} kills, {} of them while a checkpoint was written, {} while a preset was",
        interrupted[0], interrupted[1]
    );
}
