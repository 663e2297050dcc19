//! What each line of a Dockerfile asks for. Variables are still in it: they are put in when its turn comes.

use super::BuildError;
use super::lines::{Heredoc, Line};
use super::words;
use crate::document::Healthcheck;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Instruction {
    From { image: String, name: Option<String> },
    Arg(Vec<(String, Option<String>)>),
    Env(Vec<(String, String)>),
    Label(Vec<(String, String)>),
    Run { command: Command, mounts: Vec<String> },
    Copy(CopyFiles),
    Cmd(Command),
    Entrypoint(Command),
    Shell(Vec<String>),
    Expose(Vec<String>),
    Volume(Vec<String>),
    User(String),
    Workdir(String),
    StopSignal(String),
    Healthcheck { check: Healthcheck, command: Option<Command> },
    OnBuild(String),
    Maintainer(String),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Command {
    Shell(String),
    Exec(Vec<String>),
}

/// COPY and ADD.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct CopyFiles {
    /// URLs are fetched and archives unpacked.
    pub(super) is_add: bool,
    pub(super) from: Option<String>,
    pub(super) chown: Option<String>,
    pub(super) chmod: Option<String>,
    pub(super) sources: Vec<String>,
    pub(super) dest: String,
    pub(super) heredocs: Vec<Heredoc>,
}

/// An instruction, where it stands, and how it is shown.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Step {
    pub(super) line: usize,
    pub(super) last_line: usize,
    pub(super) original: String,
    pub(super) heredocs: Vec<Heredoc>,
    pub(super) instruction: Instruction,
}

pub(super) fn parse(line: &Line, escape: char) -> Result<Step, BuildError> {
    let instruction =
        Parser { line, escape }.instruction().map_err(|why| BuildError::parse(line.number, why))?;
    let original = format!("{} {}", line.keyword, line.rest).trim_end().to_owned();
    Ok(Step {
        line: line.number,
        last_line: line.last,
        original,
        heredocs: line.heredocs.clone(),
        instruction,
    })
}

struct Parser<'l> {
    line: &'l Line,
    escape: char,
}

type Flags = Vec<(String, Option<String>)>;

impl Parser<'_> {
    fn instruction(&self) -> Result<Instruction, String> {
        let (flags, rest) = self.flags();
        let keyword = self.line.keyword.as_str();
        if rest.is_empty() && !matches!(keyword, "CMD" | "ENTRYPOINT") {
            return Err(match keyword {
                "FROM" => "FROM requires either one or three arguments".into(),
                known if KNOWN.contains(&known) => format!("{known} requires at least one argument"),
                unknown => format!("unknown instruction: {unknown}"),
            });
        }
        let allowed: &[&str] = match keyword {
            "FROM" => &["platform"],
            "RUN" => &["mount", "network", "security"],
            "COPY" => &["from", "chown", "chmod", "link", "parents"],
            "ADD" => &["chown", "chmod", "link", "keep-git-dir"],
            "HEALTHCHECK" => &["interval", "timeout", "start-period", "start-interval", "retries"],
            _ => &[],
        };
        if let Some((unknown, _)) = flags.iter().find(|(name, _)| !allowed.contains(&name.as_str())) {
            return Err(format!("unknown flag: {unknown}"));
        }
        Ok(match keyword {
            "FROM" => self.from(&rest)?,
            "ARG" => Instruction::Arg(self.args(&rest)?),
            "ENV" => Instruction::Env(self.pairs(&rest)?),
            "LABEL" => Instruction::Label(self.pairs(&rest)?),
            "RUN" => Instruction::Run {
                command: self.run(&rest),
                mounts: flags
                    .into_iter()
                    .filter(|(name, _)| name == "mount")
                    .filter_map(|(_, value)| value)
                    .collect(),
            },
            "COPY" | "ADD" => Instruction::Copy(self.copy(flags, &rest)?),
            "CMD" => Instruction::Cmd(command(&rest)),
            "ENTRYPOINT" => Instruction::Entrypoint(command(&rest)),
            "SHELL" => {
                Instruction::Shell(exec(&rest).ok_or("SHELL requires the arguments to be in JSON form")?)
            }
            "EXPOSE" => Instruction::Expose(self.words(&rest)?),
            "VOLUME" => Instruction::Volume(self.list(&rest)?),
            "USER" => Instruction::User(self.one(&rest)?),
            "WORKDIR" => Instruction::Workdir(rest),
            "STOPSIGNAL" => Instruction::StopSignal(self.one(&rest)?),
            "HEALTHCHECK" => healthcheck(&flags, &rest)?,
            "ONBUILD" => self.on_build(rest)?,
            "MAINTAINER" => Instruction::Maintainer(rest),
            unknown => return Err(format!("unknown instruction: {unknown}")),
        })
    }

    /// `--name=value` in front of the arguments.
    fn flags(&self) -> (Flags, String) {
        let mut flags = Vec::new();
        let mut rest = self.line.rest.as_str();
        while let Some(flag) = rest.strip_prefix("--") {
            let end = flag.find(char::is_whitespace).unwrap_or(flag.len());
            let (name, value) =
                flag[..end].split_once('=').map_or((&flag[..end], None), |(n, v)| (n, Some(v)));
            if name.is_empty() {
                rest = flag[end..].trim_start();
                break;
            }
            flags.push((name.to_owned(), value.map(str::to_owned)));
            rest = flag[end..].trim_start();
        }
        (flags, rest.to_owned())
    }

    fn words(&self, rest: &str) -> Result<Vec<String>, String> {
        words::split(rest, self.escape)
    }

    fn one(&self, rest: &str) -> Result<String, String> {
        match self.words(rest)?.as_slice() {
            [one] => Ok(one.clone()),
            _ => Err(format!("{} requires exactly one argument", self.line.keyword)),
        }
    }

    fn list(&self, rest: &str) -> Result<Vec<String>, String> {
        exec(rest).map_or_else(|| self.words(rest), Ok)
    }

    fn from(&self, rest: &str) -> Result<Instruction, String> {
        match self.words(rest)?.as_slice() {
            [image] => Ok(Instruction::From { image: image.clone(), name: None }),
            [image, as_, name] if as_.eq_ignore_ascii_case("as") => {
                Ok(Instruction::From { image: image.clone(), name: Some(name.to_ascii_lowercase()) })
            }
            _ => Err("FROM requires either one or three arguments".into()),
        }
    }

    fn args(&self, rest: &str) -> Result<Vec<(String, Option<String>)>, String> {
        let words = self.words(rest)?;
        Ok(words
            .iter()
            .map(|word| {
                word.split_once('=').map_or((word.clone(), None), |(n, v)| (n.into(), Some(v.into())))
            })
            .collect())
    }

    /// `a=b c="d e"`, or the old form of one name and the rest of the line.
    fn pairs(&self, rest: &str) -> Result<Vec<(String, String)>, String> {
        let words = self.words(rest)?;
        if words.first().is_some_and(|first| !first.contains('=')) {
            let (name, value) = rest
                .split_once(char::is_whitespace)
                .ok_or_else(|| format!("{} must have two arguments", self.line.keyword))?;
            return Ok(vec![(name.to_owned(), value.trim().to_owned())]);
        }
        let pair = |word: &String| match word.split_once('=') {
            Some(("", _)) => Err(format!("{} names can not be blank", self.line.keyword)),
            Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
            None => Err(format!("Syntax error - can't find = in {word:?}. Must be of the form: name=value")),
        };
        words.iter().map(pair).collect()
    }

    /// A here-document that is the whole command is a script; otherwise the shell reads it itself.
    fn run(&self, rest: &str) -> Command {
        let Some(first) = self.line.heredocs.first() else { return command(rest) };
        let is_all =
            rest.trim_start_matches("<<").trim_start_matches('-').trim_matches(['"', '\'']) == first.name;
        if is_all {
            return Command::Shell(first.content.clone());
        }
        let mut script = format!("{rest}\n");
        for heredoc in &self.line.heredocs {
            script.push_str(&format!("{}{}\n", heredoc.content, heredoc.name));
        }
        Command::Shell(script)
    }

    fn copy(&self, flags: Flags, rest: &str) -> Result<CopyFiles, String> {
        let mut all = self.list(rest)?;
        let heredocs = self.line.heredocs.clone();
        all.retain(|word| {
            heredocs.is_empty() || !word.trim_start_matches(|c: char| c.is_ascii_digit()).starts_with("<<")
        });
        let dest = all.pop().filter(|_| !all.is_empty() || !heredocs.is_empty());
        let dest = dest.ok_or_else(|| format!("{} requires at least two arguments", self.line.keyword))?;
        let mut copy = CopyFiles {
            is_add: self.line.keyword == "ADD",
            sources: all,
            dest,
            heredocs,
            ..CopyFiles::default()
        };
        for (name, value) in flags {
            match name.as_str() {
                "from" => copy.from = value,
                "chown" => copy.chown = value,
                "chmod" => copy.chmod = value,
                // each of our layers is one by itself already
                "link" => {}
                other => return Err(format!("--{other} is not supported")),
            }
        }
        Ok(copy)
    }

    fn on_build(&self, rest: String) -> Result<Instruction, String> {
        let keyword = rest.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        match keyword.as_str() {
            "ONBUILD" => Err("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed".into()),
            "FROM" | "MAINTAINER" => Err(format!("{keyword} isn't allowed as an ONBUILD trigger")),
            known if KNOWN.contains(&known) => Ok(Instruction::OnBuild(rest)),
            unknown => Err(format!("unknown instruction: {unknown}")),
        }
    }
}

const KNOWN: [&str; 18] = [
    "FROM",
    "ARG",
    "ENV",
    "LABEL",
    "RUN",
    "COPY",
    "ADD",
    "CMD",
    "ENTRYPOINT",
    "SHELL",
    "EXPOSE",
    "VOLUME",
    "USER",
    "WORKDIR",
    "STOPSIGNAL",
    "HEALTHCHECK",
    "ONBUILD",
    "MAINTAINER",
];

/// A JSON list of strings; anything else is for the shell.
fn exec(rest: &str) -> Option<Vec<String>> {
    rest.starts_with('[').then(|| serde_json::from_str(rest).ok()).flatten()
}

fn command(rest: &str) -> Command {
    exec(rest).map_or_else(|| Command::Shell(rest.to_owned()), Command::Exec)
}

fn healthcheck(flags: &Flags, rest: &str) -> Result<Instruction, String> {
    let (kind, command_text) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let mut check = Healthcheck::default();
    for (name, value) in flags {
        let value = value.as_deref().unwrap_or_default();
        let nanoseconds = || duration(value).ok_or_else(|| format!("invalid duration {value:?} of --{name}"));
        match name.as_str() {
            "interval" => check.interval = nanoseconds()?,
            "timeout" => check.timeout = nanoseconds()?,
            "start-period" => check.start_period = nanoseconds()?,
            "start-interval" => check.start_interval = nanoseconds()?,
            _ => {
                check.retries = value.parse().map_err(|_| format!("invalid number {value:?} of --{name}"))?
            }
        }
    }
    match kind.to_ascii_uppercase().as_str() {
        "NONE" if command_text.is_empty() => {
            check.test = vec!["NONE".into()];
            Ok(Instruction::Healthcheck { check, command: None })
        }
        "CMD" if !command_text.is_empty() => {
            Ok(Instruction::Healthcheck { check, command: Some(command(command_text.trim())) })
        }
        "CMD" => Err("Missing command after HEALTHCHECK CMD".into()),
        other => Err(format!("Unknown type {other:?} in HEALTHCHECK (try CMD)")),
    }
}

/// `1m30s`, `500ms` → nanoseconds.
fn duration(text: &str) -> Option<i64> {
    let mut total = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let unit_end =
            rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |end| digits + end);
        let unit = match &rest[digits..unit_end] {
            "h" => 3600e9,
            "m" => 60e9,
            "s" => 1e9,
            "ms" => 1e6,
            "us" | "µs" => 1e3,
            "ns" => 1.0,
            _ => return None,
        };
        total += number * unit;
        rest = &rest[unit_end..];
    }
    (!text.is_empty()).then_some(total as i64)
}

#[cfg(test)]
mod tests;
