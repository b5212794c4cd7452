//! Rules for prose that a program can check: first words of doc lines and Markdown, and sizes.

/// Words with which no doc line, heading or paragraph begins: it names its thing first.
const OPENINGS: [&str; 5] = ["What", "Who", "Whose", "Where", "Of"];
/// Maximum width of a Markdown line, outside of tables and code.
const COLUMNS: usize = 110;
/// Maximum number of lines of the workspace's README.
const README_LINES: usize = 130;

/// Problem of a line of Rust, if it is documentation.
pub fn doc_line(line: &str) -> Option<String> {
    let line = line.trim_start();
    let text = line.strip_prefix("/// ").or_else(|| line.strip_prefix("//! "))?;
    opening(text)
}

/// Problems of a Markdown file with their line numbers.
pub fn markdown(name: &str, text: &str) -> Vec<(usize, String)> {
    let mut problems = Vec::new();
    let (mut in_code, mut begins) = (false, true);
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let start = line.trim_start();
        if start.starts_with("```") {
            in_code = !in_code;
        } else if !in_code && !start.starts_with('|') {
            let bare = start.trim_start_matches(['#', '-', '*', ' ']);
            if begins || bare.len() < start.len() {
                problems.extend(opening(bare).map(|problem| (number, problem)));
            }
            // A long word, such as an address, cannot be broken.
            if line.chars().count() > COLUMNS && bare.contains(' ') {
                let problem = format!("a line of more than {COLUMNS} columns: wrap it at 100");
                problems.push((number, problem));
            }
        }
        begins = start.is_empty();
    }
    let lines = text.lines().count();
    if name == "README.md" && lines > README_LINES {
        let problem = format!("{lines} lines, at most {README_LINES}: move details to docs/");
        problems.push((lines, problem));
    }
    problems
}

/// Problem of a text's first word.
fn opening(text: &str) -> Option<String> {
    let word = text.split(|character: char| !character.is_alphanumeric()).next()?;
    OPENINGS.contains(&word).then(|| format!("begins with `{word}`: name the thing first"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doc_lines_name_their_thing_first() {
        for line in ["/// What is kept.", "    //! Of the key.", "/// Whose place it is."] {
            assert!(doc_line(line).is_some(), "{line}");
        }
        for line in ["/// Whether it is kept.", "//! Office hours.", "// What for?", "let of = 1;"]
        {
            assert_eq!(doc_line(line), None, "{line}");
        }
    }

    #[test]
    fn headings_paragraphs_and_items_of_markdown_name_theirs_too() {
        let text = "# Where it is\n\nOf these,\nWhat follows\n\n- Who\n* a\n\n| What |\n```\n\nWhat\n```\n";
        let numbers: Vec<usize> = markdown("a.md", text).iter().map(|(line, _)| *line).collect();
        assert_eq!(numbers, [1, 3, 6]);
    }

    #[test]
    fn long_lines_are_found_outside_of_tables_and_code() {
        let long = "word ".repeat(30);
        let address = format!("https://{}", "a".repeat(120));
        let text = format!("{long}\n| {long} |\n```\n{long}\n```\n- {address}\n{long}\n");
        let numbers: Vec<usize> = markdown("a.md", &text).iter().map(|(line, _)| *line).collect();
        assert_eq!(numbers, [1, 7]);
    }

    #[test]
    fn the_readme_is_short() {
        let text = "a\n".repeat(131);
        assert_eq!(markdown("README.md", &text).len(), 1);
        assert!(markdown("README.md", &text[2..]).is_empty());
        assert!(markdown("docs/README.md", &text).is_empty());
    }
}
