//! Prompts of a generation, from arguments, files or standard input.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, IsTerminal, Read, Stdin};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// Prompts of a generation.
pub(super) enum Prompts {
    /// Arguments and files.
    Given(Vec<String>),
    /// Lines of standard input, a prompt each.
    Lines(Lines),
    /// Prompts that a user types at a terminal.
    Dialogue,
}

impl Prompts {
    /// Reads prompts from arguments, then files; without these, opens standard input.
    pub(super) fn read(arguments: &[String], files: &[PathBuf]) -> anyhow::Result<Self> {
        if arguments.is_empty() && files.is_empty() {
            if io::stdin().is_terminal() {
                return Ok(Self::Dialogue);
            }
            return Ok(Self::Lines(Lines::open()?));
        }
        let standard_inputs = arguments.iter().filter(|argument| *argument == "-").count()
            + files.iter().filter(|file| file.as_os_str() == "-").count();
        if standard_inputs > 1 {
            bail!("`-` is given twice, but standard input can be read only once");
        }
        let arguments = arguments.iter().map(|argument| match argument.as_str() {
            "-" => read_standard_input(),
            text => Ok(text.to_owned()),
        });
        let files = files.iter().map(|file| match file.as_os_str() == "-" {
            true => read_standard_input(),
            false => read_file(file),
        });
        Ok(Self::Given(arguments.chain(files).collect::<anyhow::Result<_>>()?))
    }
}

fn read_standard_input() -> anyhow::Result<String> {
    let mut text = String::new();
    io::stdin().lock().read_to_string(&mut text).context("cannot read standard input")?;
    Ok(without_line_break(text))
}

fn read_file(path: &Path) -> anyhow::Result<String> {
    let text = fs::read_to_string(path);
    let text = text.with_context(|| format!("cannot read `{}`", path.display()))?;
    Ok(without_line_break(text))
}

/// The text without a final line break, which editors and `echo` add.
fn without_line_break(mut text: String) -> String {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    text
}

/// Non-blank lines of standard input.
pub(super) struct Lines {
    lines: io::Lines<io::StdinLock<'static>>,
    read: VecDeque<String>,
    blank: usize,
}

impl Lines {
    /// Reads up to the first prompt, so that no model is loaded if there is none.
    fn open() -> anyhow::Result<Self> {
        let stdin: Stdin = io::stdin();
        let mut lines = Self { lines: stdin.lines(), read: VecDeque::new(), blank: 0 };
        match lines.next_line()? {
            Some(first) => lines.read.push_back(first),
            None => {
                bail!("no prompt: pass one as an argument, or write one a line to standard input")
            }
        }
        Ok(lines)
    }

    /// Reads at most `count` further prompts. Empty at the end.
    pub(super) fn batch(&mut self, count: usize) -> anyhow::Result<Vec<String>> {
        let mut batch = Vec::new();
        while batch.len() < count {
            match self.next_line()? {
                Some(line) => batch.push(line),
                None => break,
            }
        }
        Ok(batch)
    }

    /// Number of blank lines read.
    pub(super) fn blank(&self) -> usize {
        self.blank
    }

    fn next_line(&mut self) -> anyhow::Result<Option<String>> {
        if let Some(line) = self.read.pop_front() {
            return Ok(Some(line));
        }
        for line in self.lines.by_ref() {
            let line = line.context("cannot read standard input")?;
            if !line.is_empty() {
                return Ok(Some(line));
            }
            self.blank += 1;
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_break_at_the_end_is_dropped() {
        for (text, expected) in [("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("a", "a")] {
            assert_eq!(without_line_break(text.to_owned()), expected);
        }
    }
}
