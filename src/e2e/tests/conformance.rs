//! What a conformant cluster does, a case for each line of `conformance/lines.tsv`, with Kubernetes' own client for Python.

mod common;

use common::{Answer, appliance};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A Python with the clients; `scripts/test` sets it.
const CLIENTS: &str = "MONOPOD_CLIENTS";
/// For one who works on a case: what `pytest -k` takes.
const ONLY: &str = "MONOPOD_CONFORMANCE";
/// Where the cases write the lines that they have shown.
const SHOWN: &str = "MONOPOD_CONFORMANCE_SHOWN";
const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/conformance");
/// A file of upstream's suite and the name of a case of it, on each line.
const LINES: &str = include_str!("conformance/lines.tsv");
/// The name of a case that is not shown here, and why, on each line.
const LEFT_OUT: &str = include_str!("conformance/left_out.tsv");

/// Runs the cases of a directory on a cluster of its own, some at a time. What they are said to show they must have shown.
fn run(area: &str) {
    let Ok(python) = std::env::var(CLIENTS) else {
        eprintln!("SKIPPED: {CLIENTS} says where Kubernetes' clients for Python are; `scripts/test` sets it");
        return;
    };
    let Some(at) = appliance(&format!("conf-{}", area.replace('/', "-"))) else { return };
    at.load_busybox();
    let shown = at.home().join("shown");
    let mut pytest = at.command(&python);
    pytest.args(["-m", "pytest", "-n", "2", area]).current_dir(CASES);
    pytest.env("PYTHONDONTWRITEBYTECODE", "1").env(SHOWN, &shown);
    if let Ok(only) = std::env::var(ONLY) {
        pytest.args(["-k", &only]);
    }
    let answer = Answer(pytest.output().unwrap());
    // nothing was collected: where only some are wanted, they may be of another directory
    let none = answer.0.status.code() == Some(5) && std::env::var_os(ONLY).is_some();
    assert!(answer.0.status.success() || none, "{}\n{}{}", answer.0.status, answer.out(), answer.err());
    eprintln!("{}", answer.out());
    if std::env::var_os(ONLY).is_some() {
        return;
    }
    let shown = std::fs::read_to_string(shown).unwrap();
    let shown: BTreeSet<&str> = shown.lines().collect();
    let unknown: Vec<_> = shown.difference(&lines()).copied().collect();
    assert!(unknown.is_empty(), "cases show what is no line: {unknown:#?}");
    let named = named_in(&case_files(&Path::new(CASES).join(area)));
    let missing: Vec<_> = named.difference(&shown).copied().collect();
    assert!(missing.is_empty(), "lines have a case that did not run and pass: {missing:#?}");
}

macro_rules! areas {
    ($($test:ident: $directory:literal,)*) => {
        $(#[test]
        fn $test() {
            run($directory);
        })*
        const AREAS: &[&str] = &[$($directory),*];
    };
}

areas! {
    api_machinery: "apimachinery",
    apps: "apps",
    auth: "auth",
    kubectl: "kubectl",
    network: "network",
    nodes: "node",
    pods: "common/node",
    scheduling: "scheduling",
    storage: "storage",
    volumes: "common/storage",
}

fn case_files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().flatten().map(|entry| entry.path());
    let (directories, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let files = files.into_iter().filter(|path| path.extension().is_some_and(|end| end == "py"));
    files.chain(directories.iter().flat_map(|directory| case_files(directory))).collect()
}

fn lines() -> BTreeSet<&'static str> {
    LINES.lines().map(|line| line.split_once('\t').unwrap().1).collect()
}

/// The lines that files of cases name.
fn named_in(files: &[PathBuf]) -> BTreeSet<&'static str> {
    let cases: String = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    let named = |line: &&str| cases.contains(&format!("{line}\"")) || cases.contains(&format!("{line}'"));
    lines().into_iter().filter(named).collect()
}

#[test]
fn each_line_has_a_case_or_a_reason() {
    let files = case_files(Path::new(CASES));
    let outside: Vec<_> = files
        .iter()
        .map(|file| file.strip_prefix(CASES).unwrap().parent().unwrap().to_str().unwrap())
        .filter(|directory| !directory.is_empty() && !AREAS.contains(directory))
        .collect();
    assert!(outside.is_empty(), "no test runs the cases of {outside:?}");
    let (lines, shown) = (lines(), named_in(&files));
    let left_out: BTreeSet<&str> = LEFT_OUT.lines().map(|line| line.split_once('\t').unwrap().0).collect();
    let missing: Vec<_> =
        lines.iter().filter(|line| !shown.contains(*line) && !left_out.contains(*line)).collect();
    assert!(missing.is_empty(), "{} lines have neither case nor reason: {missing:#?}", missing.len());
    let wrong: Vec<_> =
        left_out.iter().filter(|line| !lines.contains(*line) || shown.contains(*line)).collect();
    assert!(wrong.is_empty(), "are left out and are no lines, or have a case: {wrong:#?}");
}
