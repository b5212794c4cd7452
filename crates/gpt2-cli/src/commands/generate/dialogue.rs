//! Interactive generation at a terminal, which continues one text line by line.

use std::io::{self, Write};

use gpt2_task::Truncate;

use super::output::stream;
use super::session::Session;
use super::watch::Watch;
use crate::context::Context;

/// Reads lines and continues the text, until the input ends.
pub(super) fn run(session: &mut Session, context: &Context) -> anyhow::Result<()> {
    context.note(
        "Type a text, and the model continues it. An empty line continues further, /new begins a \
         new text, Ctrl-D ends.",
    );
    let answer = session.limits.default_answer();
    session.limits.new_tokens.get_or_insert(answer);
    let room = session.limits.room(session.limits.positions);
    let mut text = String::new();
    loop {
        let Some(line) = ask()? else { return Ok(()) };
        if line == "/new" {
            text.clear();
            continue;
        }
        if !text.is_empty() && !line.is_empty() {
            text.push('\n');
        }
        text.push_str(&line);
        // The model continues from the end of the text.
        text = session.cut_prompt(&text, room, Truncate::Left)?;
        let strip_prompt = std::mem::replace(&mut session.strip_prompt, true);
        let generation = stream(session, &text, &mut Watch::start())?;
        session.strip_prompt = strip_prompt;
        text.push_str(&generation.text);
    }
}

/// Reads a line. None at the end of the input.
fn ask() -> anyhow::Result<Option<String>> {
    let mut terminal = io::stderr().lock();
    terminal.write_all(b"> ")?;
    terminal.flush()?;
    let mut line = String::new();
    if io::stdin().read_line(&mut line)? == 0 {
        terminal.write_all(b"\n")?;
        return Ok(None);
    }
    Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned()))
}
