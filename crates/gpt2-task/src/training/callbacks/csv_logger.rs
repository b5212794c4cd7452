//! Loss and metrics of every epoch as rows of a CSV file.

use std::io::Write;

use super::callback::{Callback, CallbackState};
use super::resumable::Resumable;
use crate::error::BoxError;
use crate::training::logs::Logs;
use crate::training::trainer::Trainer;

/// Writes a row of comma-separated values after every epoch (`keras/src/callbacks/csv_logger.py`).
///
/// The columns are `epoch`, counted from 0, and the names of the first epoch, sorted. Without a
/// validation in the first epoch, a `val_` column for each of its names is added all the same. A
/// missing value is `NA`. Rows end in `\r\n` and are flushed.
///
/// A resumed training does not write the header again: open the file to append.
///
/// ```
/// use gpt2_task::callbacks::CsvLogger;
///
/// let mut file = Vec::new();
/// let callback = CsvLogger::new(&mut file).with_separator(';');
/// ```
#[doc(alias = "CSVLogger")]
#[derive(Debug)]
pub struct CsvLogger<W> {
    writer: W,
    separator: char,
    header: bool,
    /// Columns after `epoch`. Empty until an epoch has ended.
    names: Resumable<Vec<String>>,
}

impl<W: Write> CsvLogger<W> {
    /// Writes to `writer`.
    pub fn new(writer: W) -> Self {
        Self { writer, separator: ',', header: true, names: Resumable::default() }
    }

    /// Sets the separator of the values. Default: a comma.
    #[must_use]
    pub fn with_separator(mut self, separator: char) -> Self {
        self.separator = separator;
        self
    }

    /// Sets whether the rows continue those of an earlier training, without a header. Default:
    /// false.
    #[must_use]
    pub fn with_append(mut self, append: bool) -> Self {
        self.header = !append;
        self
    }

    fn write_row(&mut self, values: impl IntoIterator<Item = String>) -> std::io::Result<()> {
        let special = |value: &str| value.contains([self.separator, '"', '\r', '\n']);
        let quoted = values.into_iter().map(|value| {
            if special(&value) { format!("\"{}\"", value.replace('"', "\"\"")) } else { value }
        });
        let row: Vec<String> = quoted.collect();
        let row = row.join(&self.separator.to_string()) + "\r\n";
        self.writer.write_all(row.as_bytes())?;
        self.writer.flush()
    }
}

/// Columns after `epoch`.
fn columns(logs: &Logs) -> Vec<String> {
    let mut names: Vec<String> = logs.iter().map(|(name, _)| name.to_owned()).collect();
    names.sort_unstable();
    if !names.iter().any(|name| name.starts_with("val_")) {
        // A later epoch may have a validation.
        let validation: Vec<String> = names.iter().map(|name| format!("val_{name}")).collect();
        names.extend(validation);
    }
    names
}

impl<W: Write> Callback for CsvLogger<W> {
    fn name(&self) -> &str {
        "CsvLogger"
    }

    fn on_train_begin(&mut self, _trainer: &mut Trainer<'_>) -> Result<(), BoxError> {
        self.names.begin();
        Ok(())
    }

    fn on_epoch_end(
        &mut self,
        epoch: usize,
        logs: &mut Logs,
        _trainer: &mut Trainer<'_>,
    ) -> Result<(), BoxError> {
        if self.names.is_empty() {
            *self.names = columns(logs);
            if self.header {
                let names = Vec::clone(&self.names);
                self.write_row(["epoch".to_owned()].into_iter().chain(names))?;
            }
        }
        let value = |name: &String| logs.get(name).map_or("NA".to_owned(), |n| n.to_string());
        let values: Vec<String> = self.names.iter().map(value).collect();
        self.write_row([epoch.to_string()].into_iter().chain(values))?;
        Ok(())
    }

    fn state(&self) -> CallbackState {
        self.names.to_state()
    }

    fn restore(&mut self, state: CallbackState) -> Result<(), BoxError> {
        self.names.restore(state.json)
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use crate::testing::model;
    use crate::training::callbacks::testing::{epoch, trainer};

    /// Content of the file after these epochs.
    fn written(
        callback: impl FnOnce(Vec<u8>) -> CsvLogger<Vec<u8>>,
        epochs: &[&[(&str, f64)]],
    ) -> String {
        let mut model = model();
        let mut trainer = trainer(&mut model);
        let mut callback = callback(Vec::new());
        callback.on_train_begin(&mut trainer).unwrap();
        for (number, numbers) in epochs.iter().enumerate() {
            epoch(&mut callback, &mut trainer, number, numbers).unwrap();
        }
        String::from_utf8(callback.writer).unwrap()
    }

    #[test]
    fn an_epoch_is_a_row() {
        let epochs: [&[(&str, f64)]; 3] = [
            &[("loss", 3.25), ("accuracy", 0.5), ("val_loss", 4.0)],
            &[("loss", 2.0), ("accuracy", f64::NAN)],
            &[("val_loss", 1e-5), ("loss", 1.0), ("accuracy", 1.0), ("new", 7.0)],
        ];
        assert_eq!(
            written(CsvLogger::new, &epochs),
            "epoch,accuracy,loss,val_loss\r\n0,0.5,3.25,4\r\n1,NaN,2,NA\r\n2,1,1,0.00001\r\n"
        );
        let rows = written(|file| CsvLogger::new(file).with_append(true), &epochs[..1]);
        assert_eq!(rows, "0,0.5,3.25,4\r\n");
    }

    #[test]
    fn a_validation_that_comes_later_has_its_columns() {
        let epochs: [&[(&str, f64)]; 2] = [&[("loss", 3.0)], &[("loss", 2.0), ("val_loss", 2.5)]];
        let rows = written(|file| CsvLogger::new(file).with_separator(';'), &epochs);
        assert_eq!(rows, "epoch;loss;val_loss\r\n0;3;NA\r\n1;2;2.5\r\n");
    }

    #[test]
    fn a_name_with_a_separator_is_quoted() {
        let rows = written(CsvLogger::new, &[&[("a,\"b\"", 1.0)]]);
        assert_eq!(rows, "epoch,\"a,\"\"b\"\"\",\"val_a,\"\"b\"\"\"\r\n0,1,NA\r\n");
    }

    #[test]
    fn a_resumed_table_has_one_header() {
        let mut model = model();
        let mut trainer = trainer(&mut model);
        let mut file = Vec::new();
        let mut first = CsvLogger::new(&mut file);
        first.on_train_begin(&mut trainer).unwrap();
        epoch(&mut first, &mut trainer, 0, &[("loss", 3.0), ("val_loss", 4.0)]).unwrap();
        let state = first.state();
        let mut second = CsvLogger::new(&mut file);
        second.restore(state).unwrap();
        second.on_train_begin(&mut trainer).unwrap();
        epoch(&mut second, &mut trainer, 1, &[("loss", 2.0)]).unwrap();
        assert_eq!(String::from_utf8(file).unwrap(), "epoch,loss,val_loss\r\n0,3,4\r\n1,2,NA\r\n");
    }

    #[test]
    fn a_file_that_cannot_be_written_is_an_error() {
        let mut model = model();
        let mut trainer = trainer(&mut model);
        let mut full = [0; 10];
        let mut callback = CsvLogger::new(&mut full[..]);
        assert!(epoch(&mut callback, &mut trainer, 0, &[("loss", 3.0)]).is_err());
    }
}
