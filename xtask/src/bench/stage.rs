//! What contestants find on the disk: one model in the format of each, a text, the scripts.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;
use gpt2_backbone::Gpt2BackboneConfig;
use gpt2_presets::{ExportToGguf, Preset, SaveToPreset};
use gpt2_task::TokenId;
use serde_json::{Map, Value};
use tempfile::TempDir;

use super::contest::Contestant;
use super::environments::{self, Environment};
use super::rivals::{Rival, SCRIPTS};
use super::scenario::Work;
use super::{process, prose, random_preset};

/// What the first token is asked for.
const PROMPT: &str = "The quick brown fox jumps over the lazy dog, and";
/// Bytes of prose for tokenizers.
const PROSE_BYTES: usize = 1 << 20;

/// A temporary folder with everything, and who takes part.
pub struct Stage {
    folder: TempDir,
    xtask: PathBuf,
    rivals: Vec<(Rival, PathBuf)>,
    prompt_ids: Vec<TokenId>,
}

impl Stage {
    /// Writes everything that these rivals need.
    pub fn new(
        config: &Gpt2BackboneConfig,
        rivals: &[Rival],
        pythons: &environments::Options,
    ) -> anyhow::Result<Self> {
        let python = |&rival: &Rival| Ok((rival, pythons.python(rival.environment())?));
        let rivals = rivals.iter().map(python).collect::<anyhow::Result<Vec<_>>>()?;
        let folder = tempfile::tempdir().context("creating a folder for the models")?;
        let xtask = std::env::current_exe().context("finding this program")?;
        let mut stage = Self { folder, xtask, rivals, prompt_ids: Vec::new() };
        for (name, text) in SCRIPTS {
            stage.write(name, text)?;
        }
        random_preset::write(&stage.model(None), config)?;
        let preset = Preset::open(process::utf8(&stage.model(None))?)?;
        let tokenizer = preset.tokenizer()?;
        stage.prompt_ids = tokenizer.tokenize(PROMPT)?;
        let prose = prose::prose(tokenizer.get_vocabulary(), PROSE_BYTES);
        stage.write("prose.txt", &prose)?;
        for (rival, python) in &stage.rivals {
            let model = stage.model(Some(*rival));
            match rival {
                Rival::KerasHub => preset.save_to_preset(&model)?,
                Rival::LlamaCpp => preset.export_to_gguf(&model)?,
                Rival::CTranslate2 => {
                    let script = stage.path("convert_ctranslate2.py");
                    let mut command = Command::new(python);
                    process::run(command.arg(script).arg(stage.model(None)).arg(model))?;
                }
                Rival::Transformers | Rival::Tiktoken => {}
            }
        }
        Ok(stage)
    }

    /// The work as a contestant's worker reads it, but for the contestant's own model and mode.
    pub fn request(&self, work: &Work, repetitions: u32, threads: usize) -> anyhow::Result<Value> {
        let mut request = work.request();
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
            model: self.model(None),
        }
    }

    /// Those who can do this work, each in all its modes.
    pub fn contestants(&self, work: &Work) -> Vec<Vec<Contestant>> {
        let able = self
            .rivals
            .iter()
            .filter(|(rival, _)| rival.takes_part(work) && rival.cannot(work).is_none());
        able.map(|(rival, python)| {
            let contestant = |&mode| Contestant {
                name: rival.name().to_owned(),
                mode,
                program: python.clone(),
                arguments: vec![self.path(rival.script()).into()],
                model: self.model(Some(*rival)),
            };
            rival.modes(work).iter().map(contestant).collect()
        })
        .collect()
    }

    /// What rivals cannot do of this work.
    pub fn unable(&self, work: &Work) -> Vec<(&'static str, &'static str)> {
        let rivals = self.rivals.iter().filter(|(rival, _)| rival.takes_part(work));
        rivals.filter_map(|(rival, _)| Some((rival.name(), rival.cannot(work)?))).collect()
    }

    /// The versions of what is compared with.
    pub fn versions(&self) -> anyhow::Result<Value> {
        let mut versions = Map::new();
        for environment in [Environment::Keras, Environment::Torch] {
            let lives_there = |(rival, _): &&(Rival, _)| rival.environment() == environment;
            let Some((_, python)) = self.rivals.iter().find(lives_there) else { continue };
            let printed = process::run(Command::new(python).arg(self.path("versions.py")))?.json;
            versions.extend(printed.as_object().cloned().unwrap_or_default());
        }
        Ok(Value::Object(versions))
    }

    /// The model as this library or a rival reads it.
    fn model(&self, rival: Option<Rival>) -> PathBuf {
        self.path(match rival {
            None | Some(Rival::Transformers | Rival::Tiktoken) => "transformers",
            Some(Rival::KerasHub) => "keras",
            Some(Rival::CTranslate2) => "ctranslate2",
            Some(Rival::LlamaCpp) => "model.gguf",
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
