//! What the documents name is there: paths, names to search for, the table of crates, and the lines of code that they show.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

/// With these begins a path from the root of the repository.
const ROOTS: [&str; 8] = [".ci", "assets", "docs", "fuzz", "scripts", "src", "vm", "web"];
/// What stands in architecture.md for a name of upstream's that the sources have no use for.
const UPSTREAM: [&str; 1] = ["PrepareForCreate"];
/// Head of the table whose paths are those of a profile's state; only sources are looked for in it.
const STATE: &str = "read back from (below `/var/lib/monopod/NAME`)";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every file below a directory, by its path from the root of the repository.
fn files(below: &str) -> Vec<String> {
    let mut files = Vec::new();
    let mut directories = vec![below.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(root().join(&directory)).unwrap() {
            let entry = entry.unwrap();
            let path = format!("{directory}/{}", entry.file_name().to_str().unwrap());
            match entry.file_type().unwrap().is_dir() {
                true => directories.push(path),
                false => files.push(path),
            }
        }
    }
    files
}

fn crates() -> BTreeSet<String> {
    let manifests = files("src").into_iter().filter_map(|path| {
        let name = path.strip_prefix("src/")?.strip_suffix("/Cargo.toml")?.to_owned();
        (!name.contains('/')).then_some(name)
    });
    manifests.collect()
}

/// What stands between backticks, each with the number of its line and the line; not in blocks of code.
fn quoted(text: &str) -> Vec<(usize, &str, &str)> {
    let mut quoted = Vec::new();
    let mut is_code = false;
    for (index, line) in text.lines().enumerate() {
        if line.starts_with("```") {
            is_code = !is_code;
        } else if !is_code {
            quoted.extend(line.split('`').skip(1).step_by(2).map(|word| (index + 1, word, line)));
        }
    }
    quoted
}

/// `src/NAME` stands for many.
fn is_path(word: &str) -> bool {
    let is_part = |part: &str| part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    let is_placeholder = |part: &str| part.len() > 1 && part.bytes().all(|b| b.is_ascii_uppercase());
    !word.starts_with('/') && word.split('/').all(|part| is_part(part) && !is_placeholder(part))
}

/// Whether a path in architecture.md leads somewhere; `None` for what is no path of the sources.
fn leads_somewhere(word: &str, crates: &BTreeSet<String>, sources: &[String]) -> Option<bool> {
    let (first, rest) = word.split_once('/').unwrap_or((word, ""));
    if ROOTS.contains(&first) {
        return Some(root().join(word).exists());
    }
    if crates.contains(first) && !rest.is_empty() {
        let own = root().join("src").join(first);
        return Some(own.join("src").join(rest).exists() || own.join(rest).exists());
    }
    // below the crate or the directory that the sentence is about
    let end = format!("/{word}");
    word.ends_with(".rs").then(|| sources.iter().any(|path| path.ends_with(&end)))
}

#[test]
fn paths_in_the_architecture_lead_somewhere() {
    let (text, crates, sources) = (read("docs/architecture.md"), crates(), files("src"));
    let (mut seen, mut lost, mut is_state) = (0, Vec::new(), false);
    for (number, word, line) in quoted(&text) {
        is_state = line.contains(STATE) || (is_state && line.starts_with('|'));
        if !is_path(word) || is_state && !word.ends_with(".rs") {
            continue;
        }
        match leads_somewhere(word, &crates, &sources) {
            Some(true) => seen += 1,
            Some(false) => lost.push(format!("line {number}: {word}")),
            None => {}
        }
    }
    assert!(lost.is_empty(), "docs/architecture.md names what is not there: {lost:#?}");
    assert!(seen > 200, "only {seen} paths were recognised");
}

#[test]
fn names_in_the_architecture_are_the_sources_own() {
    let is_name = |part: &str| {
        part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
    };
    let sources = files("src").into_iter().filter(|path| path.ends_with(".rs") && !path.contains("/e2e/"));
    let texts: Vec<String> = sources.map(|path| read(&path)).collect();
    let not_of_words = |c: char| !c.is_alphanumeric() && c != '_';
    let words: HashSet<&str> = texts.iter().flat_map(|text| text.split(not_of_words)).collect();
    let text = read("docs/architecture.md");
    let named: Vec<_> =
        quoted(&text).into_iter().filter(|(_, word, _)| word.split("::").all(is_name)).collect();
    assert!(named.len() > 200, "only {} names were recognised", named.len());
    let is_known = |word: &str| UPSTREAM.contains(&word) || word.split("::").all(|part| words.contains(part));
    let lost: Vec<String> = named
        .into_iter()
        .filter(|(_, word, _)| !is_known(word) && !root().join(word).exists())
        .map(|(number, word, _)| format!("line {number}: {word}"))
        .collect();
    assert!(lost.is_empty(), "docs/architecture.md names what the sources have not: {lost:#?}");
}

#[test]
fn every_crate_has_one_row() {
    let text = read("docs/architecture.md");
    let (_, after) = text.split_once("## The crates\n").unwrap();
    let table = after.trim_start().lines().take_while(|line| line.starts_with('|'));
    let mut rows: Vec<String> =
        table.filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned())).collect();
    rows.sort();
    assert_eq!(rows, crates().into_iter().collect::<Vec<_>>());
}

#[test]
fn paths_in_the_other_documents_lead_somewhere() {
    let mut seen = 0;
    for document in [
        "README.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "assets/README.md",
        "src/README.md",
        "docs/DEPENDENCIES.md",
    ] {
        let text = read(document);
        for (number, word, _) in quoted(&text) {
            let is_ours = word.split_once('/').is_some_and(|(first, _)| ROOTS.contains(&first));
            if is_ours && is_path(word) {
                assert!(root().join(word).exists(), "{document}, line {number}: {word} is not there");
                seen += 1;
            }
        }
    }
    assert!(seen > 15, "only {seen} paths were recognised");
}

/// The line before a block names the file; `…` stands for what is left out.
#[test]
fn code_that_is_shown_is_the_code() {
    let text = read("src/README.md");
    let mut lines = text.lines();
    let (mut before, mut blocks) = ("", 0);
    while let Some(line) = lines.next() {
        if !line.starts_with("```") {
            before = if line.is_empty() { before } else { line };
            continue;
        }
        let path = before.split('`').skip(1).step_by(2).last().unwrap_or_else(|| panic!("no file: {before}"));
        let file = read(path);
        let known: HashSet<&str> = file.lines().map(str::trim).collect();
        for shown in lines.by_ref().take_while(|line| !line.starts_with("```")).map(str::trim) {
            let begins = shown.strip_suffix('…');
            let is_there = match begins {
                Some(begins) => known.iter().any(|line| line.starts_with(begins.trim_end())),
                None => known.contains(shown),
            };
            assert!(is_there, "{path} has no line {shown:?}");
        }
        blocks += 1;
    }
    assert!(blocks >= 5, "only {blocks} blocks were recognised");
}
