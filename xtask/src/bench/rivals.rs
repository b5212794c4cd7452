//! Libraries to compare with: their modes, and the work that they do not support.

use clap::ValueEnum;

use super::compute_device::ComputeDevice;
use super::environments::Environment;
use super::scenario::{Search, Work};

/// A library to compare with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Rival {
    /// KerasHub on JAX, on a GPU also on torch
    #[value(name = "keras-hub")]
    KerasHub,
    /// The transformers library on torch
    #[value(name = "transformers")]
    Transformers,
    /// CTranslate2
    #[value(name = "ctranslate2")]
    CTranslate2,
    /// llama.cpp, with a cache of the model's type
    #[value(name = "llama.cpp")]
    LlamaCpp,
    /// OpenAI's tokenizer
    #[value(name = "tiktoken")]
    Tiktoken,
}

impl Rival {
    pub fn name(self) -> &'static str {
        match self {
            Self::KerasHub => "KerasHub",
            Self::Transformers => "transformers",
            Self::CTranslate2 => "CTranslate2",
            Self::LlamaCpp => "llama.cpp",
            Self::Tiktoken => "tiktoken",
        }
    }

    pub fn environment(self) -> Environment {
        match self {
            Self::KerasHub => Environment::Keras,
            _ => Environment::Torch,
        }
    }

    /// Script of the rival's runner, one of [`SCRIPTS`].
    pub fn script(self) -> &'static str {
        match self {
            Self::KerasHub => "time_keras_hub.py",
            Self::Transformers => "time_transformers.py",
            Self::CTranslate2 => "time_ctranslate2.py",
            Self::LlamaCpp => "time_llama_cpp.py",
            Self::Tiktoken => "time_tiktoken.py",
        }
    }

    /// Whether it is a rival in this kind of work.
    pub fn takes_part(self, work: &Work) -> bool {
        self != Self::Tiktoken || matches!(work, Work::Tokenize { .. })
    }

    /// Reason why it does not support this work.
    pub fn cannot(self, work: &Work) -> Option<&'static str> {
        match (self, work) {
            (Self::Transformers, Work::Train { lora: true, .. }) => {
                Some("LoRA is in another library, PEFT")
            }
            (Self::CTranslate2 | Self::LlamaCpp, Work::Train { .. }) => Some("cannot train GPT-2"),
            (Self::CTranslate2, Work::Tokenize { .. }) => Some("has no tokenizer"),
            (Self::LlamaCpp, Work::Tokenize { batch: true }) => {
                Some("tokenizes one text at a time")
            }
            (Self::Transformers, Work::Generate { search: Search::Contrastive, .. }) => {
                Some("contrastive search was removed from the library")
            }
            (Self::CTranslate2, Work::Generate { search: Search::Contrastive, .. }) => {
                Some("has no contrastive search")
            }
            (Self::LlamaCpp, Work::Generate { search: Search::Beam, .. }) => {
                Some("beam search was removed from the library")
            }
            (Self::LlamaCpp, Work::Generate { search: Search::Contrastive, .. }) => {
                Some("has no contrastive search")
            }
            _ => None,
        }
    }

    /// Modes in which it can do this work. All are run. On a CPU the fastest counts; on a GPU each
    /// is a rival of its own.
    pub fn modes(self, work: &Work, device: &ComputeDevice) -> &'static [&'static str] {
        match (self, work) {
            (Self::KerasHub, _) if !device.is_cpu => &["JAX", "torch"],
            (Self::Transformers, Work::Train { .. }) => &["eager", "torch.compile"],
            (Self::Transformers, Work::Generate { .. }) if !device.is_cpu => {
                &["eager", "torch.compile"]
            }
            (Self::LlamaCpp, Work::Generate { .. }) => &["plain attention", "flash attention"],
            _ => &[""],
        }
    }
}

/// Scripts, which import each other and therefore share a folder.
pub const SCRIPTS: [(&str, &str); 8] = [
    ("worker.py", include_str!("peers/worker.py")),
    ("versions.py", include_str!("peers/versions.py")),
    ("convert_ctranslate2.py", include_str!("peers/convert_ctranslate2.py")),
    ("time_keras_hub.py", include_str!("peers/time_keras_hub.py")),
    ("time_transformers.py", include_str!("peers/time_transformers.py")),
    ("time_ctranslate2.py", include_str!("peers/time_ctranslate2.py")),
    ("time_llama_cpp.py", include_str!("peers/time_llama_cpp.py")),
    ("time_tiktoken.py", include_str!("peers/time_tiktoken.py")),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rival_has_its_script() {
        for rival in Rival::value_variants() {
            assert!(SCRIPTS.iter().any(|(name, _)| *name == rival.script()), "{rival:?}");
        }
    }

    #[test]
    fn tokenizers_and_models_are_not_compared() {
        assert!(Rival::Tiktoken.takes_part(&Work::Tokenize { batch: true }));
        assert!(!Rival::Tiktoken.takes_part(&Work::Load));
        let train = Work::Train { batch_size: 1, length: 1, lora: false };
        assert!(Rival::LlamaCpp.cannot(&train).is_some());
        assert!(Rival::LlamaCpp.takes_part(&train), "what it cannot do is said");
    }

    #[test]
    fn a_gpu_has_more_modes() {
        let device =
            |is_cpu| ComputeDevice { name: String::new(), hardware: String::new(), is_cpu };
        let modes = |rival: Rival, work| [true, false].map(|cpu| rival.modes(work, &device(cpu)));
        let compiled = &["eager", "torch.compile"][..];
        let train = Work::Train { batch_size: 1, length: 1, lora: false };
        let generate = Work::Generate { lengths: vec![1], steps: 1, search: Search::Greedy };
        assert_eq!(modes(Rival::Transformers, &train), [compiled, compiled]);
        assert_eq!(modes(Rival::Transformers, &generate), [&[""], compiled]);
        assert_eq!(modes(Rival::KerasHub, &Work::Load), [&[""][..], &["JAX", "torch"]]);
        assert_eq!(modes(Rival::Transformers, &Work::Load), [[""], [""]]);
    }
}
