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

use std::borrow::Cow;
#[cfg(feature = "hub")]
use std::sync::{Mutex, PoisonError};

#[cfg(feature = "hub")]
use gpt2_hub::DownloadProgress;
use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};

/// For [`LoadOptions::with_on_progress`](crate::LoadOptions::with_on_progress).
pub fn loading() -> impl Fn(u64, u64) + Send + Sync + 'static {
    bytes("loading")
}

/// For [`SaveOptions::with_on_progress`](crate::SaveOptions::with_on_progress).
pub fn saving() -> impl Fn(u64, u64) + Send + Sync + 'static {
    bytes("writing")
}

/// For [`HubOptions::with_on_progress`](crate::HubOptions::with_on_progress): a bar for each file,
/// one at a time, with its speed and the time left.
#[cfg(feature = "hub")]
pub fn downloading() -> impl Fn(&DownloadProgress) + Send + Sync + 'static {
    let style = ProgressStyle::with_template(
        "{wide_msg} {bar:20} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left",
    )
    .expect("the template is valid");
    let shown: Mutex<Option<(String, ProgressBar)>> = Mutex::new(None);
    move |DownloadProgress { file, done, total, .. }| {
        let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.as_ref().is_none_or(|(name, _)| name != file) {
            // The bar of the file before is dropped, and with it gone.
            let bar = bar(style.clone(), file.clone());
            // What is there of an earlier attempt says nothing about the speed.
            bar.set_position(*done);
            bar.reset_eta();
            *shown = Some((file.clone(), bar));
        }
        if let Some((_, bar)) = shown.as_ref() {
            bar.set_length(total.unwrap_or(*done));
            bar.set_position(*done);
        }
        if *total == Some(*done) {
            *shown = None;
        }
    }
}

/// For [`TokenizeOptions::with_on_progress`](crate::TokenizeOptions::with_on_progress).
pub fn tokenizing() -> impl Fn(u64, u64) + Send + Sync + 'static {
    bytes("tokenizing")
}

/// A bar for `(done, total)` bytes of one piece of work.
fn bytes(work: &'static str) -> impl Fn(u64, u64) + Send + Sync + 'static {
    let style = ProgressStyle::with_template("{msg} {bar:30} {bytes} of {total_bytes}")
        .expect("the template is valid");
    let bar = bar(style, work);
    move |done, total| {
        bar.set_length(total);
        bar.set_position(done);
        if done >= total {
            bar.finish_and_clear();
        }
    }
}

/// A bar that is gone when it is dropped, also where the work fails.
fn bar(style: ProgressStyle, message: impl Into<Cow<'static, str>>) -> ProgressBar {
    let bar = ProgressBar::new(0).with_style(style).with_message(message);
    bar.with_finish(ProgressFinish::AndClear)
}
