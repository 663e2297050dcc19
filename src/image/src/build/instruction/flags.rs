//! `--name=value` in front of an instruction's arguments.

use crate::build::suggest::with_suggestion;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Text,
    /// May be given several times.
    Texts,
    Switch,
}

use Kind::{Switch, Text, Texts};

const FROM: &[(&str, Kind)] = &[("platform", Text)];
const RUN: &[(&str, Kind)] = &[("mount", Texts), ("network", Text), ("security", Text)];
const COPY: &[(&str, Kind)] = &[
    ("from", Text),
    ("chown", Text),
    ("chmod", Text),
    ("link", Switch),
    ("parents", Switch),
    ("exclude", Texts),
];
const ADD: &[(&str, Kind)] = &[
    ("chown", Text),
    ("chmod", Text),
    ("link", Switch),
    ("keep-git-dir", Switch),
    ("checksum", Text),
    ("unpack", Switch),
    ("exclude", Texts),
];
const HEALTHCHECK: &[(&str, Kind)] = &[
    ("interval", Text),
    ("timeout", Text),
    ("start-period", Text),
    ("start-interval", Text),
    ("retries", Text),
];

fn known(keyword: &str) -> &'static [(&'static str, Kind)] {
    match keyword {
        "FROM" => FROM,
        "RUN" => RUN,
        "COPY" => COPY,
        "ADD" => ADD,
        "HEALTHCHECK" => HEALTHCHECK,
        _ => &[],
    }
}

/// What was given, checked.
#[derive(Debug, Default)]
pub(super) struct Flags(Vec<(&'static str, String)>);

impl Flags {
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    }

    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(known, _)| *known == name).map(|(_, value)| value.clone()).collect()
    }

    pub(super) fn switch(&self, name: &str) -> Option<bool> {
        self.text(name).map(|value| value == "true")
    }
}

/// The flags, and what follows them.
pub(super) fn read<'t>(keyword: &str, text: &'t str, escape: char) -> Result<(Flags, &'t str), String> {
    let mut flags = Flags::default();
    let mut rest = text.trim_start();
    while rest.starts_with("--") {
        let (word, after) = word(rest, escape);
        rest = after.trim_start();
        if word == "--" {
            break;
        }
        let (name, value) = checked(keyword, &word[2..])?;
        let kind = known(keyword).iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind);
        if kind != Some(Texts) && flags.text(name).is_some() {
            return Err(format!("duplicate flag specified: --{name}"));
        }
        flags.0.push((name, value));
    }
    Ok((flags, rest))
}

fn checked(keyword: &str, flag: &str) -> Result<(&'static str, String), String> {
    let (name, value) = flag.split_once('=').map_or((flag, None), |(name, value)| (name, Some(value)));
    let Some((name, kind)) = known(keyword).iter().find(|(known, _)| *known == name) else {
        let names: Vec<&str> = known(keyword).iter().map(|(name, _)| *name).collect();
        return Err(with_suggestion(format!("unknown flag: --{name}"), name, &names));
    };
    let value = match (kind, value) {
        (Switch, None) => "true".to_owned(),
        (Text | Texts, None) | (Switch, Some("")) => {
            return Err(format!("missing a value on flag: --{name}"));
        }
        (Switch, Some(value)) => match value.to_ascii_lowercase().as_str() {
            lower @ ("true" | "false") => lower.to_owned(),
            _ => return Err(format!("expecting boolean value for flag --{name}, not: {value}")),
        },
        (Text | Texts, Some(value)) => value.to_owned(),
    };
    Ok((name, value))
}

/// The first word without its quotes and escapes, and what follows it.
fn word(text: &str, escape: char) -> (String, &str) {
    let mut word = String::new();
    let mut quote = None;
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match (c, quote) {
            (c, None) if c.is_whitespace() => return (word, &text[at..]),
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            (c, open) if c == escape && open != Some('\'') => word.extend(characters.next().map(|(_, c)| c)),
            (c, _) => word.push(c),
        }
    }
    (word, "")
}
