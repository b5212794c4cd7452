//! What contestants find on the disk: one model in the format of each, a text, the scripts.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;
use gpt2_presets::{ExportOptions, ExportToGguf, Preset, SaveToPreset};
use gpt2_task::TokenId;
use serde_json::{Map, Value};
use tempfile::TempDir;

use super::contest::{Absence, Contestant};
use super::dtype::Dtype;
use super::environments::{self, Environment};
use super::place::Place;
use super::rivals::{Rival, SCRIPTS};
use super::scenario::Work;
use super::size::Size;
use super::{process, prose, random_preset};

/// What the first token is asked for.
const PROMPT: &str = "The quick brown fox jumps over the lazy dog, and";
/// Runs in front of those that count: kernels are compiled, tuned and recorded in the first ones.
const GPU_WARM_UPS: u32 = 3;
/// Bytes of prose for tokenizers.
const PROSE_BYTES: usize = 1 << 20;

/// A temporary folder with everything, and who takes part where.
pub struct Stage {
    place: Place,
    /// Inside of `folder`.
    models: TempDir,
    folder: TempDir,
    xtask: PathBuf,
    rivals: Vec<Entrant>,
    prompt_ids: Vec<TokenId>,
}

/// A rival with its Python.
struct Entrant {
    rival: Rival,
    python: PathBuf,
    /// Why there is no model in its format.
    setback: Option<Absence>,
}

impl Stage {
    /// Writes everything but the models.
    pub fn new(
        place: &Place,
        rivals: &[Rival],
        pythons: &environments::Options,
    ) -> anyhow::Result<Self> {
        let entrant = |&rival: &Rival| {
            let python = pythons.python(rival.environment(), place.is_cpu)?;
            Ok(Entrant { rival, python, setback: None })
        };
        let rivals = rivals.iter().map(entrant).collect::<anyhow::Result<Vec<_>>>()?;
        let folder = tempfile::tempdir().context("creating a folder for the scripts")?;
        let models = folder_for_models(&folder)?;
        let xtask = std::env::current_exe().context("finding this program")?;
        let tokenizer = random_preset::tokenizer()?;
        let prompt_ids = tokenizer.tokenize(PROMPT)?;
        let stage = Self { place: place.clone(), models, folder, xtask, rivals, prompt_ids };
        for (name, text) in SCRIPTS {
            stage.write(name, text)?;
        }
        stage.write("prose.txt", &prose::prose(tokenizer.vocabulary(), PROSE_BYTES))?;
        Ok(stage)
    }

    /// Writes the model that these rivals need in these types, in place of one of another size.
    pub fn set_size(&mut self, size: Size, dtypes: &[Dtype]) -> anyhow::Result<()> {
        self.models = folder_for_models(&self.folder)?;
        let ours = self.model(None, Dtype::Float32);
        random_preset::write(&ours, &size.config())?;
        let preset = Preset::open(process::utf8(&ours)?)?;
        let setback = |entrant: &Entrant| {
            let mut dtypes = dtypes.iter();
            let written = dtypes.try_for_each(|&dtype| self.convert(&preset, entrant, dtype));
            written.err().map(Absence::from)
        };
        let setbacks: Vec<_> = self.rivals.iter().map(setback).collect();
        for (entrant, setback) in self.rivals.iter_mut().zip(setbacks) {
            entrant.setback = setback;
        }
        Ok(())
    }

    /// Writes a rival's model, unless it is there already.
    fn convert(&self, preset: &Preset, entrant: &Entrant, dtype: Dtype) -> anyhow::Result<()> {
        let model = self.model(Some(entrant.rival), dtype);
        if model.exists() {
            return Ok(());
        }
        match entrant.rival {
            Rival::KerasHub => preset.save_to_preset(&model)?,
            Rival::LlamaCpp => {
                let options = ExportOptions::new().with_dtype(dtype.weights());
                preset.export_to_gguf_with(&model, &options)?;
            }
            Rival::CTranslate2 => {
                let script = self.path("convert_ctranslate2.py");
                let mut command = Command::new(&entrant.python);
                process::run(command.arg(script).arg(self.model(None, dtype)).arg(model))?;
            }
            Rival::Transformers | Rival::Tiktoken => {}
        }
        Ok(())
    }

    /// The work as a contestant's worker reads it, but for the contestant's own model, mode and
    /// device.
    pub fn request(
        &self,
        work: &Work,
        dtype: Dtype,
        repetitions: u32,
        threads: usize,
    ) -> anyhow::Result<Value> {
        let mut request = work.request();
        request["dtype"] = dtype.name().into();
        request["warm_ups"] = if self.place.is_cpu { 1 } else { GPU_WARM_UPS }.into();
        request["repetitions"] = repetitions.into();
        request["threads"] = threads.into();
        request["text"] = process::utf8(&self.path("prose.txt"))?.into();
        request["prompt"] = PROMPT.into();
        request["prompt_ids"] = self.prompt_ids.clone().into();
        // A start token, the prompt, and one more.
        request["max_length"] = (self.prompt_ids.len() + 2).into();
        Ok(request)
    }

    /// This library, which measures the limits too.
    pub fn ours(&self) -> Contestant {
        Contestant {
            name: "this library".to_owned(),
            mode: "",
            program: self.xtask.clone(),
            arguments: vec!["bench".into(), "worker".into()],
            model: self.model(None, Dtype::Float32),
            device: self.place.name.clone(),
            forgets: false,
        }
    }

    /// Those who can do this work, each in all its modes, of which the fastest counts.
    pub fn contestants(&self, work: &Work, dtype: Dtype) -> Vec<Vec<Contestant>> {
        let mut contestants = Vec::new();
        if *work == Work::FirstToken && !self.place.is_cpu {
            contestants.push(vec![Contestant {
                mode: "nothing kept",
                forgets: true,
                ..self.ours()
            }]);
        }
        for Entrant { rival, python, .. } in
            self.rivals_in(work).filter(|entrant| entrant.cannot(work).is_none())
        {
            let contestant = |&mode| Contestant {
                name: rival.name().to_owned(),
                mode,
                program: python.clone(),
                arguments: vec![self.path(rival.script()).into()],
                model: self.model(Some(*rival), dtype),
                device: self.place.kind().to_owned(),
                forgets: false,
            };
            let modes = rival.modes(work, &self.place).iter().map(contestant);
            if self.place.is_cpu {
                contestants.push(modes.collect());
            } else {
                contestants.extend(modes.map(|mode| vec![mode]));
            }
        }
        contestants
    }

    /// What rivals cannot do of this work.
    pub fn unable(&self, work: &Work) -> Vec<(&'static str, Absence)> {
        let unable = |entrant: &Entrant| Some((entrant.rival.name(), entrant.cannot(work)?));
        self.rivals_in(work).filter_map(unable).collect()
    }

    fn rivals_in(&self, work: &Work) -> impl Iterator<Item = &Entrant> {
        self.rivals.iter().filter(|entrant| entrant.rival.takes_part(work))
    }

    /// The versions of what is compared with.
    pub fn versions(&self) -> anyhow::Result<Value> {
        let mut versions = Map::new();
        for environment in [Environment::Keras, Environment::Torch] {
            let lives_there = |entrant: &&Entrant| entrant.rival.environment() == environment;
            let Some(entrant) = self.rivals.iter().find(lives_there) else { continue };
            let mut command = Command::new(&entrant.python);
            let printed = process::run(command.arg(self.path("versions.py")))?.json;
            versions.extend(printed.as_object().cloned().unwrap_or_default());
        }
        Ok(Value::Object(versions))
    }

    /// The model as this library or a rival reads it: in 32-bit floats, but for llama.cpp, which
    /// computes in the file's type.
    fn model(&self, rival: Option<Rival>, dtype: Dtype) -> PathBuf {
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
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
    }
}

impl Entrant {
    /// What keeps it from doing this work.
    fn cannot(&self, work: &Work) -> Option<Absence> {
        let cannot = self.rival.cannot(work).map(|reason| Absence::Cannot(reason.to_owned()));
        cannot.or_else(|| self.setback.clone())
    }
}

fn folder_for_models(folder: &TempDir) -> anyhow::Result<TempDir> {
    tempfile::tempdir_in(folder).context("creating a folder for the models")
}
