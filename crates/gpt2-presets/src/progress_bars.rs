//! Progress bars for programs that use this library, with the cargo feature `progress`.
//!
//! Each function returns a callback for the options of a load or a save. The callback draws a bar
//! on standard error if that is a terminal, and removes the bar when the work ends or fails.
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

/// Callback for [`LoadOptions::with_on_progress`](crate::LoadOptions::with_on_progress).
pub fn loading() -> impl Fn(u64, u64) + Send + Sync + 'static {
    bytes("loading")
}

/// Callback for [`SaveOptions::with_on_progress`](crate::SaveOptions::with_on_progress).
pub fn saving() -> impl Fn(u64, u64) + Send + Sync + 'static {
    bytes("writing")
}

/// Callback for [`HubOptions::with_on_progress`](crate::HubOptions::with_on_progress). Draws one
/// bar a file, with its speed and remaining time.
#[cfg(feature = "hub")]
pub fn downloading() -> impl Fn(&DownloadProgress) + Send + Sync + 'static {
    let style = ProgressStyle::with_template(
        "{wide_msg} {bar:10} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left",
    )
    .expect("the template is valid");
    let shown: Mutex<Option<(String, ProgressBar)>> = Mutex::new(None);
    move |DownloadProgress { file, done, total, .. }| {
        let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.as_ref().is_none_or(|(name, _)| name != file) {
            // Replaces the previous file's bar, which removes it.
            // The file's own name: a handle would leave no room for it.
            let name = file.rsplit('/').next().unwrap_or(file).to_owned();
            let bar = bar(style.clone(), name);
            // Bytes of an earlier attempt must not count towards the speed.
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

/// Callback for [`TokenizeOptions::with_on_progress`](crate::TokenizeOptions::with_on_progress).
pub fn tokenizing() -> impl Fn(u64, u64) + Send + Sync + 'static {
    bytes("tokenizing")
}

/// Bar for one piece of work, in `(done, total)` bytes.
fn bytes(work: &'static str) -> impl Fn(u64, u64) + Send + Sync + 'static {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {bytes} of {total_bytes}")
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

/// Bar that is removed when it is dropped, also if the work fails.
fn bar(style: ProgressStyle, message: impl Into<Cow<'static, str>>) -> ProgressBar {
    let bar = ProgressBar::new(0).with_style(style).with_message(message);
    bar.with_finish(ProgressFinish::AndClear)
}
