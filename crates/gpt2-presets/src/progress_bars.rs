//! Progress bars for programs that use this library, with the cargo feature `progress`.
//!
//! Each function makes a bar and gives what the options of a load or a save want to be told. A bar
//! is drawn on standard error if that is a terminal, and is gone when the work is done or given up.
//!
//! ```
//! # #[cfg(feature = "bundled")] {
//! use burn::tensor::Device;
//! use gpt2_presets::{LoadOptions, Preset, progress_bars};
//!
//! let options = LoadOptions::new(&Device::flex()).with_on_progress(progress_bars::loading());
//! let model = Preset::open("gpt2_tiny_shakespeare")?.causal_lm(options)?;
//! # }
//! # Ok::<(), gpt2_presets::PresetError>(())
//! ```

use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};

/// For [`LoadOptions::with_on_progress`](crate::LoadOptions::with_on_progress).
pub fn loading() -> impl Fn(u64, u64) + Send + Sync + 'static {
    bytes("loading")
}

/// For [`SaveOptions::with_on_progress`](crate::SaveOptions::with_on_progress) and
/// [`ExportOptions::with_on_progress`](crate::ExportOptions::with_on_progress).
pub fn saving() -> impl Fn(u64, u64) + Send + Sync + 'static {
    bytes("writing")
}

/// For [`TokenizeOptions::with_on_progress`](crate::TokenizeOptions::with_on_progress).
pub fn tokenizing() -> impl Fn(u64, u64) + Send + Sync + 'static {
    bytes("tokenizing")
}

/// A bar for `(done, total)` bytes of one piece of work.
fn bytes(work: &'static str) -> impl Fn(u64, u64) + Send + Sync + 'static {
    let style = ProgressStyle::with_template("{msg} {bar:30} {bytes} of {total_bytes}")
        .expect("the template is valid");
    let bar = ProgressBar::new(0)
        .with_style(style)
        .with_message(work)
        // Also where the work fails, and the bar is dropped unfinished.
        .with_finish(ProgressFinish::AndClear);
    move |done, total| {
        bar.set_length(total);
        bar.set_position(done);
        if done >= total {
            bar.finish_and_clear();
        }
    }
}
