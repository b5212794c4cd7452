//! Progress of a training: a bar on a terminal, otherwise one line per epoch.

use std::io::{IsTerminal, Write};
use std::iter;
use std::time::{Duration, Instant};

use console::Term;
use indicatif::{ProgressBar as Bar, ProgressStyle};

use super::callback::Callback;
use crate::error::BoxError;
use crate::training::logs::Logs;
use crate::training::trainer::Trainer;

/// Separator of the parts of a line.
const SEPARATOR: &str = " - ";

/// Shows the progress of the training (`keras/src/callbacks/progbar_logger.py`).
///
/// On a terminal, it shows a bar with the step, the numbers so far and the remaining time of the
/// whole training, those numbers that fit its width. At the end of an epoch, a line with the
/// epoch's numbers replaces the bar:
/// `epoch 1/2: loss 3.21 - val_loss 3.3 - 1234 tokens/s - 12.3 s`. Tokens per second are those of
/// the training steps; seconds include the validation.
///
/// Elsewhere, it writes only that line, and with [`with_lines_every`](Self::with_lines_every) also
/// lines within the epoch:
/// `epoch 1/2, step 40/100: loss 3.4 - learning_rate 1e-3 - 1234 tokens/s - 2m 10s left`.
///
/// ```
/// use gpt2_task::callbacks::ProgressBar;
///
/// let callback = ProgressBar::new();
/// let mut file = Vec::new();
/// let lines_only = ProgressBar::to(&mut file);
/// ```
#[doc(alias = "ProgbarLogger")]
pub struct ProgressBar<'a> {
    output: Box<dyn Write + 'a>,
    terminal: bool,
    bar: Option<Bar>,
    epoch: usize,
    /// Steps in a finished epoch.
    seen_steps: Option<usize>,
    begin: Instant,
    begin_tokens: u64,
    /// End of the last training step, or start of the epoch.
    last: Instant,
    last_tokens: u64,
    total_steps: Option<u64>,
    lines_every: Option<Duration>,
    last_line: Instant,
    pace: Pace,
}

/// Duration of the training steps in this process.
#[derive(Default)]
struct Pace {
    steps: u64,
    time: Duration,
}

impl Pace {
    fn step(&mut self, time: Duration) {
        self.time += time;
        self.steps += 1;
    }

    /// Estimated duration of further steps; `-` before the first step.
    fn left(&self, steps: Option<u64>) -> String {
        match steps {
            Some(steps) if self.steps > 0 => {
                let step = self.time.as_secs_f64() / self.steps as f64;
                format!("{} left", duration(step * steps as f64))
            }
            _ => "-".to_owned(),
        }
    }
}

/// Duration in its two largest units.
fn duration(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{minutes}m {:02}s", seconds % 60),
        3600..86_400 => format!("{hours}h {:02}m", minutes % 60),
        _ => format!("{days}d {:02}h", hours % 24),
    }
}

impl ProgressBar<'static> {
    /// Writes to standard error: on a terminal like Keras' `verbose=1`, otherwise like `verbose=2`.
    pub fn new() -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self { terminal, ..Self::to(std::io::stderr()) }
    }
}

impl Default for ProgressBar<'static> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> ProgressBar<'a> {
    /// Writes a line for every epoch to `output`.
    pub fn to(output: impl Write + 'a) -> Self {
        let now = Instant::now();
        Self {
            output: Box::new(output),
            terminal: false,
            bar: None,
            epoch: 0,
            seen_steps: None,
            begin: now,
            begin_tokens: 0,
            last: now,
            last_tokens: 0,
            total_steps: None,
            lines_every: None,
            last_line: now,
            pace: Pace::default(),
        }
    }

    /// Sets the number of steps of the whole training, for the remaining time. Default: all epochs.
    #[must_use]
    pub fn with_total_steps(mut self, total_steps: u64) -> Self {
        self.total_steps = Some(total_steps);
        self
    }

    /// Sets the least time between two lines within an epoch, for output that is not a terminal.
    /// Default: none, no such lines.
    #[must_use]
    pub fn with_lines_every(mut self, time: Duration) -> Self {
        self.lines_every = Some(time);
        self
    }

    /// Remaining steps of the training after `batches` of this epoch. None if their number is not
    /// known.
    fn steps_left(&self, batches: usize, trainer: &Trainer<'_>) -> Option<u64> {
        if let Some(total) = self.total_steps {
            return Some(total.saturating_sub(trainer.model().optimizer().iterations()));
        }
        let epochs = trainer.epochs().saturating_sub(self.epoch);
        Some((trainer.steps_per_epoch()? * epochs).saturating_sub(batches) as u64)
    }

    /// Writes a line. Errors are ignored: they should not end a training.
    fn line(&mut self, line: &str) {
        let _ = writeln!(self.output, "{line}").and_then(|()| self.output.flush());
        self.last_line = Instant::now();
    }

    fn start_bar(&mut self, epoch: usize, trainer: &Trainer<'_>) {
        let (length, template) = match trainer.steps_per_epoch().or(self.seen_steps) {
            Some(steps) => (Some(steps as u64), "{prefix} {wide_bar} {pos}/{len}\n{wide_msg}"),
            None => (None, "{prefix} {spinner} {pos} - {elapsed}\n{wide_msg}"),
        };
        let style = ProgressStyle::with_template(template).expect("the template is well formed");
        let bar = length.map_or_else(Bar::no_length, Bar::new);
        bar.set_style(style.progress_chars("━╸ "));
        bar.set_prefix(format!("epoch {}/{}", epoch + 1, trainer.epochs()));
        bar.set_position(trainer.first_batch() as u64);
        bar.set_message(self.pace.left(self.steps_left(trainer.first_batch(), trainer)));
        self.bar = Some(bar);
    }

    /// Tokens per second in the training steps of this epoch.
    fn tokens_per_second(&self) -> Option<f64> {
        let seconds = (self.last - self.begin).as_secs_f64();
        (seconds > 0.0).then(|| (self.last_tokens - self.begin_tokens) as f64 / seconds)
    }
}

impl Callback for ProgressBar<'_> {
    fn name(&self) -> &str {
        "ProgressBar"
    }

    fn on_epoch_begin(&mut self, epoch: usize, trainer: &mut Trainer<'_>) -> Result<(), BoxError> {
        self.epoch = epoch;
        self.begin = Instant::now();
        self.last = self.begin;
        self.begin_tokens = trainer.tokens();
        self.last_tokens = self.begin_tokens;
        self.last_line = self.begin;
        if self.terminal {
            self.start_bar(epoch, trainer);
        }
        Ok(())
    }

    fn on_train_batch_end(
        &mut self,
        batch: usize,
        logs: &Logs,
        trainer: &mut Trainer<'_>,
    ) -> Result<(), BoxError> {
        let now = Instant::now();
        self.pace.step(now - self.last);
        self.last = now;
        self.last_tokens = trainer.tokens();
        self.seen_steps = Some(self.seen_steps.unwrap_or(0).max(batch + 1));
        let left = self.pace.left(self.steps_left(batch + 1, trainer));
        let steps = trainer.steps_per_epoch();
        if let Some(bar) = &self.bar {
            let is_last = Some(batch + 1) == steps && trainer.validates();
            let left = if is_last { "validating".to_owned() } else { left };
            let numbers = numbers(logs).chain(speed(self.tokens_per_second()));
            let parts: Vec<String> = iter::once(left).chain(numbers).collect();
            let (_, width) = Term::stderr().size();
            bar.set_message(fitted(&parts, width.into()));
            bar.set_position(batch as u64 + 1);
        } else if self.lines_every.is_some_and(|time| self.last_line.elapsed() >= time) {
            let of = steps.map_or_else(String::new, |steps| format!("/{steps}"));
            let (epoch, epochs) = (self.epoch + 1, trainer.epochs());
            let rate = format!("learning_rate {}", number(trainer.model().learning_rate()));
            let parts = numbers(logs).chain([rate]).chain(speed(self.tokens_per_second()));
            let parts = parts.chain([left]).collect::<Vec<_>>().join(SEPARATOR);
            self.line(&format!("epoch {epoch}/{epochs}, step {}{of}: {parts}", batch + 1));
        }
        Ok(())
    }

    fn on_epoch_end(
        &mut self,
        epoch: usize,
        logs: &mut Logs,
        trainer: &mut Trainer<'_>,
    ) -> Result<(), BoxError> {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        let parts = numbers(logs).chain(speed(self.tokens_per_second()));
        let line = epoch_line(epoch, trainer.epochs(), parts, self.begin.elapsed());
        self.line(&line);
        Ok(())
    }

    fn on_train_end(&mut self, _trainer: &mut Trainer<'_>) -> Result<(), BoxError> {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        Ok(())
    }
}

fn epoch_line(
    epoch: usize,
    epochs: usize,
    parts: impl Iterator<Item = String>,
    elapsed: Duration,
) -> String {
    let time = format!("{:.1} s", elapsed.as_secs_f64());
    let parts: Vec<String> = parts.chain([time]).collect();
    format!("epoch {}/{epochs}: {}", epoch + 1, parts.join(SEPARATOR))
}

/// Numbers with their names.
fn numbers(logs: &Logs) -> impl Iterator<Item = String> {
    logs.iter().map(|(name, value)| format!("{name} {}", number(value)))
}

fn speed(tokens_per_second: Option<f64>) -> Option<String> {
    tokens_per_second.map(|speed| format!("{speed:.0} tokens/s"))
}

/// Line of the parts that fit `width` columns, each whole. Parts that do not fit are left out.
fn fitted(parts: &[String], width: usize) -> String {
    let mut line = String::new();
    for part in parts {
        let separator = if line.is_empty() { "" } else { SEPARATOR };
        // The parts are ASCII: a column a byte.
        if line.len() + separator.len() + part.len() <= width {
            line = line + separator + part;
        }
    }
    line
}

/// Number with Keras' four decimals, without trailing zeros.
fn number(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let trim = |decimals: &str| decimals.trim_end_matches('0').trim_end_matches('.').to_owned();
    if value.abs() >= 1e-3 {
        return trim(&format!("{value:.4}"));
    }
    let text = format!("{value:.4e}");
    let (mantissa, exponent) = text.split_once('e').expect("the format has an exponent");
    format!("{}e{exponent}", trim(mantissa))
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::testing::model;
    use crate::training::callbacks::testing::{logs, trainer};

    fn example() -> Logs {
        logs(&[("loss", 3.21), ("sparse_categorical_accuracy", 0.31), ("val_loss", 3.3)])
    }

    #[test]
    fn the_line_has_the_numbers_the_speed_and_the_time() {
        let logs = example();
        let parts = numbers(&logs).chain(speed(Some(1234.4)));
        assert_eq!(
            epoch_line(0, 2, parts, Duration::from_millis(12_345)),
            "epoch 1/2: loss 3.21 - sparse_categorical_accuracy 0.31 - val_loss 3.3 - 1234 tokens/s - 12.3 s"
        );
        assert_eq!(
            epoch_line(1, 2, speed(Some(5.0)).into_iter(), Duration::ZERO),
            "epoch 2/2: 5 tokens/s - 0.0 s"
        );
    }

    #[test]
    fn numbers_are_short() {
        for (value, expected) in [
            (3.123_456, "3.1235"),
            (100.0, "100"),
            (0.001, "0.001"),
            (3e-4, "3e-4"),
            (-1.234_567e-5, "-1.2346e-5"),
            (0.0, "0"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(number(value), expected);
        }
    }

    /// Runs an epoch in which this process has only the last two batches, 50 tokens each.
    fn run(callback: &mut ProgressBar<'_>, steps_per_epoch: Option<usize>) {
        let mut model = model();
        let mut trainer = trainer(&mut model);
        trainer.steps_per_epoch = steps_per_epoch;
        trainer.first_batch = 2;
        callback.on_train_begin(&mut trainer).unwrap();
        callback.on_epoch_begin(1, &mut trainer).unwrap();
        for batch in 2..4 {
            trainer.tokens += 50;
            std::thread::sleep(Duration::from_millis(1));
            callback.on_train_batch_end(batch, &example(), &mut trainer).unwrap();
        }
        callback.on_epoch_end(1, &mut example(), &mut trainer).unwrap();
        callback.on_train_end(&mut trainer).unwrap();
    }

    #[test]
    fn an_epoch_is_one_line_where_there_is_no_terminal() {
        let mut output = Vec::new();
        run(&mut ProgressBar::to(&mut output), Some(4));
        let output = String::from_utf8(output).unwrap();
        let parts: Vec<&str> = output.split(" - ").collect();
        let numbers = ["epoch 2/2: loss 3.21", "sparse_categorical_accuracy 0.31", "val_loss 3.3"];
        assert_eq!(parts[..3], numbers);
        let speed: f64 = parts[3].strip_suffix(" tokens/s").unwrap().parse().unwrap();
        assert!(speed > 0.0 && speed <= 50_000.0, "100 tokens in at least 2 ms: {speed}");
        assert!(parts[4].ends_with(" s\n") && parts.len() == 5, "{output}");
    }

    #[test]
    fn a_bar_is_replaced_by_the_same_line() {
        for steps_per_epoch in [Some(4), None] {
            let mut output = Vec::new();
            let mut callback = ProgressBar { terminal: true, ..ProgressBar::to(&mut output) };
            run(&mut callback, steps_per_epoch);
            assert!(callback.bar.is_none());
            drop(callback);
            let output = String::from_utf8(output).unwrap();
            assert!(output.starts_with("epoch 2/2: loss 3.21 - "), "{output}");
            assert_eq!(output.lines().count(), 1);
        }
    }

    #[test]
    fn a_bar_shows_where_the_epoch_is() {
        let mut model = model();
        let mut trainer = trainer(&mut model);
        let mut callback = ProgressBar { terminal: true, ..ProgressBar::to(std::io::sink()) };
        trainer.first_batch = 2;
        callback.on_epoch_begin(0, &mut trainer).unwrap();
        let bar = callback.bar.clone().unwrap();
        assert_eq!((bar.position(), bar.length(), bar.prefix()), (2, Some(4), "epoch 1/2".into()));
        assert_eq!(bar.message(), "-", "nothing is known before the first step");
        callback.on_train_batch_end(2, &example(), &mut trainer).unwrap();
        assert_eq!(bar.position(), 3);
        assert!(bar.message().starts_with("0s left - loss 3.21 - "), "{}", bar.message());
    }

    #[test]
    fn a_narrow_terminal_shows_whole_numbers_only() {
        let mut parts = vec!["2m 10s left".to_owned()];
        parts.extend(numbers(&example()).chain(speed(Some(1234.0))));
        for (width, expected) in [
            (
                100,
                "2m 10s left - loss 3.21 - sparse_categorical_accuracy 0.31 - val_loss 3.3 - 1234 tokens/s",
            ),
            (80, "2m 10s left - loss 3.21 - sparse_categorical_accuracy 0.31 - val_loss 3.3"),
            (60, "2m 10s left - loss 3.21 - sparse_categorical_accuracy 0.31"),
            (55, "2m 10s left - loss 3.21 - val_loss 3.3 - 1234 tokens/s"),
            (40, "2m 10s left - loss 3.21 - val_loss 3.3"),
            (12, "2m 10s left"),
            (5, ""),
        ] {
            assert_eq!(fitted(&parts, width), expected, "{width} columns");
        }
    }

    #[test]
    fn lines_come_within_an_epoch_if_asked_for() {
        let mut output = Vec::new();
        let mut callback = ProgressBar::to(&mut output).with_lines_every(Duration::ZERO);
        run(&mut callback, Some(4));
        drop(callback);
        let output = String::from_utf8(output).unwrap();
        let lines: Vec<&str> = output.lines().collect();
        assert_eq!(lines.len(), 3, "{output}");
        assert!(lines[0].starts_with("epoch 2/2, step 3/4: loss 3.21 - "), "{output}");
        let end: Vec<&str> = lines[0].rsplit(" - ").take(3).collect();
        assert!(end[0] == "0s left" && end[1].ends_with(" tokens/s"), "{output}");
        assert_eq!(end[2], "learning_rate 2e-5");
    }

    #[test]
    fn lines_within_an_epoch_keep_their_interval() {
        let mut output = Vec::new();
        let mut callback = ProgressBar::to(&mut output).with_lines_every(Duration::from_secs(60));
        run(&mut callback, Some(4));
        drop(callback);
        assert_eq!(String::from_utf8(output).unwrap().lines().count(), 1);
    }

    #[test]
    fn steps_left_are_those_of_this_training() {
        let mut model = model();
        let mut trainer = trainer(&mut model);
        let mut callback = ProgressBar::to(std::io::sink());
        // Epochs 2 and 3 of 3 with 4 steps each, independent of earlier trainings.
        (trainer.epochs, trainer.steps_per_epoch, callback.epoch) = (3, Some(4), 1);
        assert_eq!(callback.steps_left(0, &trainer), Some(8));
        assert_eq!(callback.steps_left(3, &trainer), Some(5));
        trainer.steps_per_epoch = None;
        assert_eq!(callback.steps_left(3, &trainer), None);
        callback.total_steps = Some(20);
        assert_eq!(callback.steps_left(3, &trainer), Some(20));
    }

    #[test]
    fn durations_have_two_units() {
        let texts = [3.4, 75.0, 3700.0, 200_000.0].map(duration);
        assert_eq!(texts, ["3s", "1m 15s", "1h 01m", "2d 07h"]);
    }

    /// Writer whose reader has closed.
    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _bytes: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
    }

    #[test]
    fn the_training_goes_on_when_nobody_reads() {
        run(&mut ProgressBar::to(Closed), Some(4));
    }
}
