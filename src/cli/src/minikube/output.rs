//! minikube's lines: a mark before each, a picture on a terminal and a plain one elsewhere.

use std::io::IsTerminal;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Happy,
    Ready,
    Waiting,
    Enabled,
    Disabled,
    Paused,
    Stopped,
    Deleted,
    Tip,
    Note,
    Shrug,
    Warning,
    Fatal,
}

impl Mark {
    fn picture(self) -> &'static str {
        match self {
            Mark::Happy => "😄  ",
            Mark::Ready => "🏄  ",
            Mark::Waiting => "✋  ",
            Mark::Enabled => "🌟  ",
            Mark::Disabled => "🌑  ",
            Mark::Paused => "⏸️  ",
            Mark::Stopped => "🛑  ",
            Mark::Deleted => "💀  ",
            Mark::Tip => "👉  ",
            Mark::Note => "💡  ",
            Mark::Shrug => "🤷  ",
            Mark::Warning => "❗  ",
            Mark::Fatal => "❌  ",
        }
    }

    fn plain(self) -> &'static str {
        match self {
            Mark::Warning => "! ",
            Mark::Fatal => "X ",
            Mark::Tip => "  - ",
            _ => "* ",
        }
    }

    /// `MINIKUBE_IN_STYLE` decides; without it a terminal does.
    fn before(self, on_terminal: bool) -> &'static str {
        let asked = std::env::var("MINIKUBE_IN_STYLE").ok().map(|text| text == "true" || text == "1");
        if asked.unwrap_or(on_terminal) { self.picture() } else { self.plain() }
    }
}

pub(super) fn step(mark: Mark, text: &str) {
    println!("{}{text}", mark.before(std::io::stdout().is_terminal()));
}

/// On standard error.
pub(super) fn problem(mark: Mark, text: &str) {
    eprintln!("{}{text}", mark.before(std::io::stderr().is_terminal()));
}

/// A box of `|` and `-` around columns, as minikube lists things.
pub(super) fn boxed_table(heads: &[&str], rows: &[Vec<String>]) {
    print!("{}", boxed(heads, rows));
}

pub(super) fn boxed(heads: &[&str], rows: &[Vec<String>]) -> String {
    let widths: Vec<usize> = (0..heads.len())
        .map(|column| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            cells.chain([heads[column].chars().count()]).max().unwrap_or(0)
        })
        .collect();
    let rule: String = widths.iter().map(|width| format!("|{}", "-".repeat(width + 2))).collect();
    let head: String = heads.iter().zip(&widths).map(|(head, width)| format!("| {head:^width$} ")).collect();
    let line = |row: &Vec<String>| -> String {
        row.iter().zip(&widths).map(|(cell, width)| format!("| {cell:width$} ")).collect()
    };
    let body: String = rows.iter().map(|row| line(row) + "|\n").collect();
    format!("{rule}|\n{head}|\n{rule}|\n{body}{rule}|\n")
}
