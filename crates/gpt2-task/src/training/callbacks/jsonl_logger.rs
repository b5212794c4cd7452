//! Loss and metrics of epochs and batches as lines of JSON.

use std::io::Write;
use std::time::Instant;

use serde_json::{Map, Value};

use super::callback::Callback;
use crate::arguments::check_count;
use crate::error::BoxError;
use crate::training::logs::Logs;
use crate::training::trainer::Trainer;

/// Writes a JSON object in one line after every epoch, and optionally after batches.
///
/// The object is `{"epoch":0,"loss":3.2,…}` for an epoch and `{"epoch":0,"batch":9,"loss":3.4,…}`
/// for a batch, both counted from 0. Non-finite numbers, such as a loss of NaN, are `null`. Lines
/// are flushed.
///
/// With [`with_speed`](Self::with_speed), every line also has `step` (optimizer steps so far),
/// `learning_rate` (of the next step), `seconds` (since this process began to train) and
/// `tokens_per_second`: of a batch since the last line, of an epoch in its training steps.
///
/// ```
/// use gpt2_task::callbacks::JsonlLogger;
///
/// let mut file = Vec::new();
/// let callback = JsonlLogger::new(&mut file).with_batches(100);
/// ```
#[derive(Debug)]
pub struct JsonlLogger<W> {
    writer: W,
    batches: Option<usize>,
    epoch: usize,
    speed: Option<Speed>,
}

/// Times and token counts, for lines with the speed.
#[derive(Debug)]
struct Speed {
    begin: Instant,
    epoch: Mark,
    line: Mark,
    step: Mark,
}

/// A moment, and the tokens trained on until then.
#[derive(Debug, Clone, Copy)]
struct Mark {
    time: Instant,
    tokens: u64,
}

impl Mark {
    fn now(tokens: u64) -> Self {
        Self { time: Instant::now(), tokens }
    }

    fn tokens_per_second_until(self, end: Self) -> f64 {
        (end.tokens - self.tokens) as f64 / (end.time - self.time).as_secs_f64()
    }
}

impl Speed {
    fn new() -> Self {
        let start = Mark::now(0);
        Self { begin: start.time, epoch: start, line: start, step: start }
    }

    fn begin_epoch(&mut self, tokens: u64) {
        self.epoch = Mark::now(tokens);
        (self.line, self.step) = (self.epoch, self.epoch);
    }

    /// Fields of the next line, which is an epoch's unless it is a batch's.
    fn numbers(&mut self, is_batch: bool, trainer: &Trainer<'_>) -> [(String, Value); 4] {
        let optimizer = trainer.model().optimizer();
        let start =
            if is_batch { std::mem::replace(&mut self.line, self.step) } else { self.epoch };
        [
            ("step", Value::from(optimizer.iterations())),
            ("learning_rate", Value::from(optimizer.learning_rate())),
            ("seconds", Value::from(self.begin.elapsed().as_secs_f64())),
            ("tokens_per_second", Value::from(start.tokens_per_second_until(self.step))),
        ]
        .map(|(name, value)| (name.to_owned(), value))
    }
}

impl<W: Write> JsonlLogger<W> {
    /// Writes to `writer`, only after epochs.
    pub fn new(writer: W) -> Self {
        Self { writer, batches: None, epoch: 0, speed: None }
    }

    /// Sets that a line is also written after every `every` batches. Default: none.
    #[must_use]
    pub fn with_batches(mut self, every: usize) -> Self {
        self.batches = Some(every);
        self
    }

    /// Sets whether lines have step, learning rate, seconds and tokens per second. Default: false.
    #[must_use]
    pub fn with_speed(mut self, speed: bool) -> Self {
        self.speed = speed.then(Speed::new);
        self
    }

    fn write_line(
        &mut self,
        batch: Option<usize>,
        logs: &Logs,
        trainer: &Trainer<'_>,
    ) -> Result<(), BoxError> {
        let mut object = Map::from_iter([("epoch".to_owned(), Value::from(self.epoch))]);
        object.extend(batch.map(|batch| ("batch".to_owned(), Value::from(batch))));
        object.extend(logs.iter().map(|(name, number)| (name.to_owned(), Value::from(number))));
        let speed = self.speed.as_mut().into_iter();
        object.extend(speed.flat_map(|speed| speed.numbers(batch.is_some(), trainer)));
        let line = Value::Object(object).to_string() + "\n";
        self.writer.write_all(line.as_bytes())?;
        Ok(self.writer.flush()?)
    }
}

impl<W: Write> Callback for JsonlLogger<W> {
    fn name(&self) -> &str {
        "JsonlLogger"
    }

    fn on_train_begin(&mut self, _trainer: &mut Trainer<'_>) -> Result<(), BoxError> {
        self.speed = self.speed.take().map(|_| Speed::new());
        let every = self.batches.unwrap_or(1);
        Ok(check_count(self.name(), "batches", every)?)
    }

    fn on_epoch_begin(&mut self, epoch: usize, trainer: &mut Trainer<'_>) -> Result<(), BoxError> {
        self.epoch = epoch;
        if let Some(speed) = &mut self.speed {
            speed.begin_epoch(trainer.tokens());
        }
        Ok(())
    }

    fn on_train_batch_end(
        &mut self,
        batch: usize,
        logs: &Logs,
        trainer: &mut Trainer<'_>,
    ) -> Result<(), BoxError> {
        if let Some(speed) = &mut self.speed {
            speed.step = Mark::now(trainer.tokens());
        }
        match self.batches {
            Some(every) if (batch + 1).is_multiple_of(every) => {
                self.write_line(Some(batch), logs, trainer)
            }
            _ => Ok(()),
        }
    }

    fn on_epoch_end(
        &mut self,
        epoch: usize,
        logs: &mut Logs,
        trainer: &mut Trainer<'_>,
    ) -> Result<(), BoxError> {
        self.epoch = epoch;
        self.write_line(None, logs, trainer)
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use std::io::BufRead;
    use std::thread::sleep;
    use std::time::Duration;

    use super::*;
    use crate::testing::model;
    use crate::training::callbacks::testing::{logs, trainer};

    #[test]
    fn epochs_and_batches_are_lines() {
        let mut model = model();
        let mut trainer = trainer(&mut model);
        let mut file = Vec::new();
        let mut callback = JsonlLogger::new(&mut file).with_batches(2);
        callback.on_train_begin(&mut trainer).unwrap();
        for epoch in 0..2 {
            callback.on_epoch_begin(epoch, &mut trainer).unwrap();
            for batch in 0..3 {
                let logs = logs(&[("loss", batch as f64)]);
                callback.on_train_batch_end(batch, &logs, &mut trainer).unwrap();
            }
            let mut logs = logs(&[("loss", 0.5), ("val_loss", f64::INFINITY)]);
            callback.on_epoch_end(epoch, &mut logs, &mut trainer).unwrap();
        }
        let expected = [
            r#"{"epoch":0,"batch":1,"loss":1.0}"#,
            r#"{"epoch":0,"loss":0.5,"val_loss":null}"#,
            r#"{"epoch":1,"batch":1,"loss":1.0}"#,
            r#"{"epoch":1,"loss":0.5,"val_loss":null}"#,
        ];
        assert_eq!(String::from_utf8(file).unwrap().lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn lines_with_the_speed_keep_the_other_keys() {
        let mut model = model();
        let mut trainer = trainer(&mut model);
        let mut file = Vec::new();
        let mut callback = JsonlLogger::new(&mut file).with_batches(1).with_speed(true);
        callback.on_train_begin(&mut trainer).unwrap();
        trainer.tokens = 50;
        callback.on_train_batch_end(0, &logs(&[("loss", 1.0)]), &mut trainer).unwrap();
        let line: Value = serde_json::from_slice(&file).unwrap();
        assert_eq!(line["loss"], 1.0);
        assert_eq!(line["step"], 0);
        assert!(line["tokens_per_second"].as_f64() > Some(0.0));
        assert!(line["seconds"].is_f64() && line["learning_rate"].is_f64());
    }

    #[test]
    fn the_speed_of_an_epoch_is_that_of_its_steps() {
        let mut model = model();
        let mut trainer = trainer(&mut model);
        let mut file = Vec::new();
        let mut callback = JsonlLogger::new(&mut file).with_batches(1).with_speed(true);
        callback.on_train_begin(&mut trainer).unwrap();
        let begin = Instant::now();
        callback.on_epoch_begin(0, &mut trainer).unwrap();
        for batch in 0..2 {
            sleep(Duration::from_millis(2));
            trainer.tokens += 50;
            callback.on_train_batch_end(batch, &logs(&[("loss", 1.0)]), &mut trainer).unwrap();
        }
        let slowest = 100.0 / begin.elapsed().as_secs_f64();
        // A validation, which is no part of the speed.
        sleep(Duration::from_millis(20));
        callback.on_epoch_end(0, &mut logs(&[("loss", 1.0)]), &mut trainer).unwrap();
        let lines: Vec<Value> =
            file.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
        let speeds: Vec<f64> =
            lines.iter().map(|line| line["tokens_per_second"].as_f64().unwrap()).collect();
        assert!(slowest <= speeds[2] && speeds[2] <= 25_000.0, "{slowest} {speeds:?}");
        assert!(speeds[..2].iter().all(|&speed| speed > 0.0 && speed <= 25_000.0), "{speeds:?}");
    }

    #[test]
    fn batches_are_left_out_unless_asked_for() {
        let mut model = model();
        let mut trainer = trainer(&mut model);
        let mut file = Vec::new();
        let mut callback = JsonlLogger::new(&mut file);
        callback.on_train_batch_end(0, &logs(&[("loss", 1.0)]), &mut trainer).unwrap();
        assert!(file.is_empty());
        let error = JsonlLogger::new(Vec::new()).with_batches(0).on_train_begin(&mut trainer);
        assert!(error.unwrap_err().to_string().contains("`batches` must be at least 1"));
    }
}
