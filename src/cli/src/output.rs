//! What the commands print: words for people, JSON for machines.

use anyhow::Result;
use clap::ValueEnum;
use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    #[default]
    Text,
    Json,
}

/// What a shell says of a program that nobody reads any more: 128 and SIGPIPE.
const NO_READER: i32 = 141;

/// From now on the process ends without a word when what it prints goes to nobody (`monopod … | head`), as programs in a
/// pipe do: `println!` would panic. The signal itself stays ignored, as it would hide a daemon that breaks off.
pub fn end_with_the_reader() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.payload_as_str().is_some_and(|words| words.starts_with("failed printing to stdout")) {
            std::process::exit(NO_READER);
        }
        usual(panic);
    }));
}

/// # Errors
/// Where the value can not be written as JSON.
pub fn json(value: &impl Serialize) -> Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

/// Columns as kubectl prints them: upper-case heads, three blanks between.
pub fn table<const N: usize>(heads: [&str; N], rows: &[[String; N]]) {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([heads[column].len()]).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |cells: &[String; N]| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        println!("{}", padded.collect::<Vec<_>>().join("   ").trim_end());
    };
    line(&heads.map(str::to_owned));
    rows.iter().for_each(line);
}
