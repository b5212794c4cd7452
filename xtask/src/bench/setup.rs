//! Files that the runners need: a model in each one's format, a text, and the scripts.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;
use gpt2_backbone::WeightDtype;
use gpt2_presets::{Preset, Save, SaveOptions};
use gpt2_task::TokenId;
use serde_json::{Map, Value};
use tempfile::TempDir;

use super::compute_device::ComputeDevice;
use super::environments::{self, Environment};
use super::rivals::{Rival, SCRIPTS};
use super::rounds::{Absence, Runner};
use super::scenario::Work;
use super::size::Size;
use super::{process, prose, random_preset};

/// Prompt of the first-token scenario.
const PROMPT: &str = "The quick brown fox jumps over the lazy dog, and";
/// Number of discarded runs, in which kernels are compiled, tuned and recorded.
const GPU_WARM_UPS: u32 = 3;
/// Size of the tokenizers' prose in bytes.
const PROSE_BYTES: usize = 1 << 20;

/// A temporary folder with all files, and the rivals that take part.
pub struct Setup {
    device: ComputeDevice,
    /// Folder within `folder`.
    models: TempDir,
    folder: TempDir,
    xtask: PathBuf,
    rivals: Vec<InstalledRival>,
    prompt_ids: Vec<TokenId>,
}

/// A rival and its Python.
struct InstalledRival {
    rival: Rival,
    python: PathBuf,
    /// Reason why the model could not be converted to its format.
    problem: Option<Absence>,
}

impl Setup {
    /// Writes all files except the models.
    pub fn new(
        device: &ComputeDevice,
        rivals: &[Rival],
        pythons: &environments::Options,
    ) -> anyhow::Result<Self> {
        let install = |&rival: &Rival| {
            let python = pythons.python(rival.environment(), device.is_cpu)?;
            Ok(InstalledRival { rival, python, problem: None })
        };
        let rivals = rivals.iter().map(install).collect::<anyhow::Result<Vec<_>>>()?;
        let folder = tempfile::tempdir().context("cannot create a folder for the scripts")?;
        let models = folder_for_models(&folder)?;
        let xtask = std::env::current_exe().context("cannot find this program")?;
        let tokenizer = random_preset::tokenizer()?;
        let prompt_ids = tokenizer.tokenize(PROMPT)?;
        let setup = Self { device: device.clone(), models, folder, xtask, rivals, prompt_ids };
        for (name, text) in SCRIPTS {
            setup.write(name, text)?;
        }
        setup.write("prose.txt", &prose::prose(tokenizer.vocabulary(), PROSE_BYTES))?;
        Ok(setup)
    }

    /// Writes the models that these rivals need in these types, and removes those of another size.
    pub fn set_size(&mut self, size: Size, dtypes: &[WeightDtype]) -> anyhow::Result<()> {
        self.models = folder_for_models(&self.folder)?;
        let ours = self.model(None, WeightDtype::F32);
        random_preset::write(&ours, &size.config())?;
        let preset = Preset::open(process::utf8(&ours)?)?;
        let problem = |installed: &InstalledRival| {
            let mut dtypes = dtypes.iter();
            let written = dtypes.try_for_each(|&dtype| self.convert(&preset, installed, dtype));
            written.err().map(Absence::from)
        };
        let problems: Vec<_> = self.rivals.iter().map(problem).collect();
        for (installed, problem) in self.rivals.iter_mut().zip(problems) {
            installed.problem = problem;
        }
        Ok(())
    }

    /// Converts a model to a rival's format, unless the rival has it.
    fn convert(
        &self,
        preset: &Preset,
        installed: &InstalledRival,
        dtype: WeightDtype,
    ) -> anyhow::Result<()> {
        let model = self.model(Some(installed.rival), dtype);
        if model.exists() {
            return Ok(());
        }
        match installed.rival {
            Rival::KerasHub => preset.save_to_preset(&model)?,
            Rival::LlamaCpp => {
                let options = SaveOptions::gguf().with_dtype(dtype);
                preset.save(&model, &options)?;
            }
            Rival::CTranslate2 => {
                let script = self.path("convert_ctranslate2.py");
                let mut command = Command::new(&installed.python);
                process::run(command.arg(script).arg(self.model(None, dtype)).arg(model))?;
            }
            Rival::Transformers | Rival::Tiktoken => {}
        }
        Ok(())
    }

    /// Request of a work, without model, mode and device, which depend on the runner.
    pub fn request(
        &self,
        work: &Work,
        dtype: WeightDtype,
        repetitions: u32,
        threads: usize,
    ) -> anyhow::Result<Value> {
        let mut request = work.request();
        request["dtype"] = dtype.name().into();
        request["warm_ups"] = if self.device.is_cpu { 1 } else { GPU_WARM_UPS }.into();
        request["repetitions"] = repetitions.into();
        request["threads"] = threads.into();
        request["text"] = process::utf8(&self.path("prose.txt"))?.into();
        request["prompt"] = PROMPT.into();
        request["prompt_ids"] = self.prompt_ids.clone().into();
        // A start token, the prompt, and one more token.
        request["max_length"] = (self.prompt_ids.len() + 2).into();
        Ok(request)
    }

    /// Runner of this library, which also measures the limits.
    pub fn ours(&self) -> Runner {
        Runner {
            name: "this library".to_owned(),
            mode: "",
            program: self.xtask.clone(),
            arguments: vec!["bench".into(), "worker".into()],
            model: self.model(None, WeightDtype::F32),
            device: self.device.name.clone(),
            forgets: false,
        }
    }

    /// Runners of the rivals that can do this work, in all modes of each.
    pub fn rival_runners(&self, work: &Work, dtype: WeightDtype) -> Vec<Vec<Runner>> {
        let mut runners = Vec::new();
        if *work == Work::FirstToken && !self.device.is_cpu {
            runners.push(vec![Runner { mode: "nothing kept", forgets: true, ..self.ours() }]);
        }
        for InstalledRival { rival, python, .. } in
            self.rivals_in(work).filter(|installed| installed.cannot(work).is_none())
        {
            let runner = |&mode| Runner {
                name: rival.name().to_owned(),
                mode,
                program: python.clone(),
                arguments: vec![self.path(rival.script()).into()],
                model: self.model(Some(*rival), dtype),
                device: self.device.kind().to_owned(),
                forgets: false,
            };
            let modes = rival.modes(work, &self.device).iter().map(runner);
            if self.device.is_cpu {
                runners.push(modes.collect());
            } else {
                runners.extend(modes.map(|mode| vec![mode]));
            }
        }
        runners
    }

    /// Rivals that cannot do this work, with the reason.
    pub fn unable(&self, work: &Work) -> Vec<(&'static str, Absence)> {
        let unable =
            |installed: &InstalledRival| Some((installed.rival.name(), installed.cannot(work)?));
        self.rivals_in(work).filter_map(unable).collect()
    }

    fn rivals_in(&self, work: &Work) -> impl Iterator<Item = &InstalledRival> {
        self.rivals.iter().filter(|installed| installed.rival.takes_part(work))
    }

    /// Versions of the rivals.
    pub fn versions(&self) -> anyhow::Result<Value> {
        let mut versions = Map::new();
        for environment in [Environment::Keras, Environment::Torch] {
            let runs_there =
                |installed: &&InstalledRival| installed.rival.environment() == environment;
            let Some(installed) = self.rivals.iter().find(runs_there) else { continue };
            let mut command = Command::new(&installed.python);
            let printed = process::run(command.arg(self.path("versions.py")))?.json;
            versions.extend(printed.as_object().cloned().unwrap_or_default());
        }
        Ok(Value::Object(versions))
    }

    /// Model file of this library or of a rival. Its type is float32, except for llama.cpp, which
    /// computes in the file's type.
    fn model(&self, rival: Option<Rival>, dtype: WeightDtype) -> PathBuf {
        self.models.path().join(match rival {
            None | Some(Rival::Transformers | Rival::Tiktoken) => "transformers".to_owned(),
            Some(Rival::KerasHub) => "keras".to_owned(),
            Some(Rival::CTranslate2) => "ctranslate2".to_owned(),
            Some(Rival::LlamaCpp) => format!("{}.gguf", dtype.name()),
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let path = self.path(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}

impl InstalledRival {
    /// Reason why it cannot do this work.
    fn cannot(&self, work: &Work) -> Option<Absence> {
        let cannot = self.rival.cannot(work).map(|reason| Absence::Cannot(reason.to_owned()));
        cannot.or_else(|| self.problem.clone())
    }
}

fn folder_for_models(folder: &TempDir) -> anyhow::Result<TempDir> {
    tempfile::tempdir_in(folder).context("cannot create a folder for the models")
}
