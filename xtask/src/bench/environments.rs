//! Python environments of the rivals: named by the user, or installed with pinned versions.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};

const KERAS: &str = include_str!("peers/requirements-keras.txt");
const KERAS_GPU: &str = include_str!("peers/requirements-keras-gpu.txt");
const TORCH: &str = include_str!("peers/requirements-torch.txt");
const TORCH_GPU: &str = include_str!("peers/requirements-torch-gpu.txt");
/// File that is written last to an environment, with the installed requirements.
const COMPLETE: &str = "complete.txt";

/// A virtual environment. KerasHub and torch conflict in a common one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    Keras,
    Torch,
}

impl Environment {
    /// Name of its folder, and its requirements.
    fn contents(self, is_cpu: bool) -> (&'static str, &'static str) {
        match (self, is_cpu) {
            (Self::Keras, true) => ("keras", KERAS),
            (Self::Keras, false) => ("keras-gpu", KERAS_GPU),
            (Self::Torch, true) => ("torch", TORCH),
            (Self::Torch, false) => ("torch-gpu", TORCH_GPU),
        }
    }
}

/// Python environments of the rivals.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// A Python with the packages of requirements-keras.txt, for a GPU requirements-keras-gpu.txt
    /// [default: one is installed]
    #[arg(long, value_name = "FILE")]
    keras_python: Option<PathBuf>,
    /// A Python with the packages of requirements-torch.txt, for a GPU requirements-torch-gpu.txt
    /// [default: one is installed]
    #[arg(long, value_name = "FILE")]
    torch_python: Option<PathBuf>,
    /// Folder for the installed Pythons [default: one in the user's cache]
    #[arg(long, value_name = "FOLDER")]
    peers_folder: Option<PathBuf>,
}

impl Options {
    /// Python of an environment, which is installed if it is missing.
    pub fn python(&self, environment: Environment, is_cpu: bool) -> anyhow::Result<PathBuf> {
        let named = match environment {
            Environment::Keras => &self.keras_python,
            Environment::Torch => &self.torch_python,
        };
        let (name, requirements) = environment.contents(is_cpu);
        match named {
            Some(python) if python.is_file() => Ok(python.clone()),
            Some(python) => bail!("there is no Python {}", python.display()),
            None => set_up(&self.folder()?.join(name), requirements),
        }
    }

    fn folder(&self) -> anyhow::Result<PathBuf> {
        if let Some(folder) = &self.peers_folder {
            return Ok(folder.clone());
        }
        let of = |variable| std::env::var_os(variable).map(PathBuf::from);
        let cache = of("XDG_CACHE_HOME")
            .or_else(|| of("LOCALAPPDATA"))
            .or_else(|| Some(of("HOME")?.join(".cache")));
        let cache = cache.context("the user has no cache folder; pass one with --peers-folder")?;
        Ok(cache.join("gpt2-rust").join("peers"))
    }
}

/// Creates a virtual environment with these packages, unless the folder has them already.
fn set_up(folder: &Path, requirements: &str) -> anyhow::Result<PathBuf> {
    let python = if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" };
    let python = folder.join(python);
    let complete = folder.join(COMPLETE);
    if fs::read_to_string(&complete).is_ok_and(|text| text == requirements) {
        return Ok(python);
    }
    eprintln!("installing {}, which takes minutes", folder.display());
    let system = if cfg!(windows) { "python" } else { "python3" };
    command(Command::new(system).args(["-m", "venv", "--clear"]).arg(folder))?;
    let list = folder.join("requirements.txt");
    fs::write(&list, requirements).with_context(|| format!("cannot write {}", list.display()))?;
    // Builds for this machine's instructions, as the rivals' own builds do.
    let native = [("CMAKE_ARGS", "-DGGML_NATIVE=ON")];
    command(Command::new(&python).args(["-m", "pip", "install", "-r"]).arg(&list).envs(native))?;
    fs::rename(&list, &complete).with_context(|| format!("cannot write {}", complete.display()))?;
    Ok(python)
}

/// Runs a command. Its output goes to standard error, separate from the results.
fn command(command: &mut Command) -> anyhow::Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command
        .stdout(std::io::stderr())
        .status()
        .with_context(|| format!("cannot run {program}"))?;
    ensure!(
        status.success(),
        "`{program}` ended with {status}; pass a Python with the rivals' packages as \
         --keras-python or --torch-python instead"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complete_environment_is_used_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(COMPLETE), "a==1\n").unwrap();
        let python = set_up(folder.path(), "a==1\n").unwrap();
        assert!(python.starts_with(folder.path()));
        let options = Options {
            keras_python: Some(folder.path().join("none")),
            torch_python: None,
            peers_folder: None,
        };
        let message = options.python(Environment::Keras, true).unwrap_err().to_string();
        assert!(message.contains("there is no Python"), "{message}");
    }

    #[test]
    fn rivals_are_of_the_same_versions_on_every_device() {
        let pins = |requirements: &str| {
            let mut pins: Vec<_> = requirements.lines().map(str::to_owned).collect();
            pins.sort();
            pins
        };
        for environment in [Environment::Keras, Environment::Torch] {
            let [cpu, gpu] = [true, false].map(|is_cpu| pins(environment.contents(is_cpu).1));
            for pin in cpu.iter().filter(|pin| !pin.starts_with("llama")) {
                let on_gpu = pin.replace("jax==", "jax[cuda13]==");
                assert!(gpu.contains(&on_gpu), "{on_gpu}");
            }
        }
    }
}
