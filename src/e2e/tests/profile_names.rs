//! Each test has a profile of its own: they run side by side, and two of one profile take it from each other.

use std::collections::BTreeMap;
use std::path::Path;

#[test]
fn no_two_tests_have_one_profile() {
    let mut users: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for profile in profiles(&text) {
            users.entry(profile).or_default().push(path.display().to_string());
        }
    }
    assert!(users.len() > 100, "they are asked for otherwise by now: {users:?}");
    users.retain(|_, files| files.len() > 1);
    assert!(users.is_empty(), "{users:#?}");
}

/// What is said where an appliance is asked for, by a function of `common` or by one of the file that passes the profile on.
fn profiles(text: &str) -> Vec<String> {
    let passes_on = |rest: &str| {
        let (name, arguments) = rest.split_once('(')?;
        arguments.starts_with("profile: &str").then(|| name.to_owned())
    };
    let mut functions = vec!["appliance".to_owned(), "unstarted".to_owned()];
    functions.extend(text.split("fn ").filter_map(passes_on));
    let asks = functions.iter().map(|function| format!("{function}(\""));
    let said = |ask: String| -> Vec<String> {
        let behind = text.split(ask.as_str()).skip(1);
        behind.filter_map(|behind| Some(behind.split_once('"')?.0.to_owned())).collect()
    };
    asks.flat_map(said).collect()
}
