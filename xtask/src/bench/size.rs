//! Sizes of GPT-2 by name.

use clap::ValueEnum;
use gpt2_backbone::Gpt2BackboneConfig;

/// Number of positions in all sizes of GPT-2.
pub const POSITIONS: usize = 1024;

/// A size of GPT-2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Size {
    /// Two narrow layers, to test that everything runs: its times are meaningless
    Tiny,
    /// 124 million parameters
    Base,
    /// 355 million parameters
    Medium,
    /// 774 million parameters
    Large,
    /// 1558 million parameters
    Xl,
}

impl Size {
    /// Name of the size in arguments.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    pub fn config(self) -> Gpt2BackboneConfig {
        let (layers, heads, hidden) = match self {
            Self::Tiny => (2, 2, 64),
            Self::Base => (12, 12, 768),
            Self::Medium => (24, 16, 1024),
            Self::Large => (36, 20, 1280),
            Self::Xl => (48, 25, 1600),
        };
        let config = Gpt2BackboneConfig::new(50_257, layers, heads, hidden, 4 * hidden);
        config.with_max_sequence_length(POSITIONS)
    }
}
