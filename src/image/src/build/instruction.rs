//! What each line of a Dockerfile asks for. Variables are still in it: they are put in when its turn comes.

mod flags;
mod health;

use super::BuildError;
use super::heredoc::{self, Heredoc};
use super::lines::Line;
use super::runmount;
use super::suggest::with_suggestion;
use super::words;
use crate::document::Healthcheck;
use flags::Flags;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Instruction {
    From { image: String, name: Option<String>, platform: Option<String> },
    Arg(Vec<(String, Option<String>)>),
    Env(Vec<(String, String)>),
    Label(Vec<(String, String)>),
    Run(Run),
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

impl Instruction {
    /// Whether a layer may come of it.
    pub(super) fn changes_files(&self) -> bool {
        matches!(self, Instruction::Run(_) | Instruction::Copy(_) | Instruction::Workdir(_))
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Command {
    Shell(String),
    Exec(Vec<String>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Run {
    pub(super) command: Command,
    pub(super) mounts: Vec<String>,
    pub(super) network: Option<String>,
    /// A here-document that begins with `#!`: it is a program of its own.
    pub(super) script: Option<Heredoc>,
}

/// COPY and ADD.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct CopyFiles {
    /// URLs are fetched and archives unpacked.
    pub(super) is_add: bool,
    pub(super) from: Option<String>,
    pub(super) chown: Option<String>,
    pub(super) chmod: Option<String>,
    pub(super) parents: bool,
    pub(super) exclude: Vec<String>,
    pub(super) checksum: Option<String>,
    pub(super) keep_git_dir: bool,
    /// Archives: local ones are unpacked and downloaded ones are not, unless it is said.
    pub(super) unpack: Option<bool>,
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
    pub(super) instruction: Instruction,
}

pub(super) fn parse(line: &Line, escape: char) -> Result<Step, BuildError> {
    let instruction = instruction(line, escape).map_err(|why| BuildError::parse(line.number, why))?;
    Ok(Step { line: line.number, last_line: line.last, original: line.original.clone(), instruction })
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

pub(super) fn instruction(line: &Line, escape: char) -> Result<Instruction, String> {
    let keyword = known(&line.keyword)?;
    let (flags, rest) = flags::read(keyword, &line.rest, escape)?;
    let parser = Parser { keyword, heredocs: &line.heredocs, escape };
    parser.check_count(rest)?;
    Ok(match keyword {
        "FROM" => parser.from(&flags, rest)?,
        "ARG" => Instruction::Arg(parser.args(rest)?),
        "ENV" => Instruction::Env(parser.pairs(rest)?),
        "LABEL" => Instruction::Label(parser.pairs(rest)?),
        "RUN" => Instruction::Run(parser.run(&flags, rest)?),
        "COPY" | "ADD" => Instruction::Copy(parser.copy(&flags, rest)?),
        "CMD" => Instruction::Cmd(command(rest)?),
        "ENTRYPOINT" => Instruction::Entrypoint(command(rest)?),
        "SHELL" => Instruction::Shell(parser.shell(rest)?),
        "EXPOSE" => Instruction::Expose(words::split_plain(rest)),
        "VOLUME" => Instruction::Volume(volumes(list(rest)?)?),
        "USER" => Instruction::User(rest.to_owned()),
        "WORKDIR" => Instruction::Workdir(rest.to_owned()),
        "STOPSIGNAL" => Instruction::StopSignal(rest.to_owned()),
        "HEALTHCHECK" => health::healthcheck(&flags, rest)?,
        "ONBUILD" => parser.on_build(rest)?,
        _ => Instruction::Maintainer(rest.to_owned()),
    })
}

fn known(word: &str) -> Result<&'static str, String> {
    let known = KNOWN.iter().find(|known| known.eq_ignore_ascii_case(word));
    known.copied().ok_or_else(|| with_suggestion(format!("unknown instruction: {word}"), word, &KNOWN))
}

struct Parser<'l> {
    keyword: &'static str,
    heredocs: &'l [Heredoc],
    escape: char,
}

impl Parser<'_> {
    fn check_count(&self, rest: &str) -> Result<(), String> {
        let keyword = self.keyword;
        match keyword {
            _ if !rest.is_empty() => Ok(()),
            "CMD" | "ENTRYPOINT" => Ok(()),
            "FROM" => Err("FROM requires either one or three arguments".into()),
            "USER" | "WORKDIR" | "STOPSIGNAL" | "MAINTAINER" => {
                Err(format!("{keyword} requires exactly one argument"))
            }
            "COPY" | "ADD" => Err(self.no_destination()),
            _ => Err(format!("{keyword} requires at least one argument")),
        }
    }

    fn no_destination(&self) -> String {
        format!(
            "{} requires at least two arguments, but only one was provided. Destination could not be determined",
            self.keyword
        )
    }

    fn from(&self, flags: &Flags, rest: &str) -> Result<Instruction, String> {
        let platform = flags.text("platform");
        match words::split_plain(rest).as_slice() {
            [image] => Ok(Instruction::From { image: image.clone(), name: None, platform }),
            [image, as_, name] if as_.eq_ignore_ascii_case("as") => {
                Ok(Instruction::From { image: image.clone(), name: Some(stage_name(name)?), platform })
            }
            _ => Err("FROM requires either one or three arguments".into()),
        }
    }

    fn args(&self, rest: &str) -> Result<Vec<(String, Option<String>)>, String> {
        let words = words::split(rest, self.escape);
        let arg = |word: &String| match word.split_once('=') {
            Some(("", _)) => Err("ARG names can not be blank".to_owned()),
            Some((name, value)) => Ok((name.to_owned(), Some(value.to_owned()))),
            None => Ok((word.clone(), None)),
        };
        words.iter().map(arg).collect()
    }

    /// `a=b c="d e"`, or the old form of one name and the rest of the line.
    fn pairs(&self, rest: &str) -> Result<Vec<(String, String)>, String> {
        let keyword = self.keyword;
        let words = words::split(rest, self.escape);
        if words.first().is_some_and(|first| !first.contains('=')) {
            let (name, value) = rest
                .split_once(char::is_whitespace)
                .ok_or_else(|| format!("{keyword} must have two arguments"))?;
            return Ok(vec![(name.to_owned(), value.trim().to_owned())]);
        }
        let pair = |word: &String| match word.split_once('=') {
            Some(("", _)) => Err(format!("{keyword} names can not be blank")),
            Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
            None => Err(format!("Syntax error - can't find = in {word:?}. Must be of the form: name=value")),
        };
        words.iter().map(pair).collect()
    }

    fn run(&self, flags: &Flags, rest: &str) -> Result<Run, String> {
        let network = flags.text("network").map(|network| match network.to_ascii_lowercase().as_str() {
            mode @ ("default" | "none" | "host") => Ok(mode.to_owned()),
            _ => Err(format!("invalid network mode {network:?}")),
        });
        match flags.text("security").as_deref() {
            None | Some("sandbox") => {}
            Some("insecure") => {
                return Err(
                    "granting entitlement security.insecure is not allowed by build daemon configuration"
                        .into(),
                );
            }
            Some(other) => return Err(format!("security {other:?} is not valid")),
        }
        let mounts = flags.texts("mount");
        // variables may stand in it: what they hold is checked when its turn comes
        mounts.iter().filter(|mount| !mount.contains('$')).try_for_each(|m| runmount::parse(m).map(drop))?;
        let (command, script) = self.commanded(rest)?;
        Ok(Run { command, mounts, network: network.transpose()?, script })
    }

    /// A here-document that is the whole command is a script; otherwise the shell reads it itself.
    fn commanded(&self, rest: &str) -> Result<(Command, Option<Heredoc>), String> {
        let Some(first) = self.heredocs.first() else { return Ok((command(rest)?, None)) };
        let is_all = heredoc::opened_by(rest).is_some_and(|only| only.name == first.name);
        if !is_all {
            let texts: String = self.heredocs.iter().map(Heredoc::text).collect();
            return Ok((Command::Shell(format!("{rest}\n{texts}")), None));
        }
        if first.content.starts_with("#!") {
            return Ok((Command::Exec(vec![format!("/dev/pipes/{}", first.name)]), Some(first.clone())));
        }
        Ok((Command::Shell(first.content.clone()), None))
    }

    fn copy(&self, flags: &Flags, rest: &str) -> Result<CopyFiles, String> {
        let mut all = list(rest)?;
        let dest = all.pop().filter(|_| !all.is_empty()).ok_or_else(|| self.no_destination())?;
        if !self.heredocs.is_empty() {
            if heredoc::opened_by(&dest).is_some() {
                return Err(format!("{} cannot accept a heredoc as a destination", self.keyword));
            }
            all.retain(|word| heredoc::opened_by(word).is_none());
        }
        Ok(CopyFiles {
            is_add: self.keyword == "ADD",
            from: flags.text("from"),
            chown: flags.text("chown"),
            chmod: flags.text("chmod"),
            parents: flags.switch("parents").unwrap_or(false),
            exclude: flags.texts("exclude"),
            checksum: flags.text("checksum"),
            keep_git_dir: flags.switch("keep-git-dir").unwrap_or(false),
            unpack: flags.switch("unpack"),
            sources: all,
            dest,
            heredocs: self.heredocs.to_vec(),
        })
    }

    fn shell(&self, rest: &str) -> Result<Vec<String>, String> {
        match exec(rest)? {
            None => Err("SHELL requires the arguments to be in JSON form".into()),
            Some(words) if words.is_empty() => Err("SHELL requires at least one argument".into()),
            Some(words) => Ok(words),
        }
    }

    fn on_build(&self, rest: &str) -> Result<Instruction, String> {
        let word = rest.split_whitespace().next().unwrap_or_default();
        match word.to_ascii_uppercase().as_str() {
            "ONBUILD" => return Err("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed".into()),
            keyword @ ("FROM" | "MAINTAINER") => {
                return Err(format!("{keyword} isn't allowed as an ONBUILD trigger"));
            }
            _ => known(word)?,
        };
        let texts: String = self.heredocs.iter().map(Heredoc::text).collect();
        let text = if texts.is_empty() { rest.to_owned() } else { format!("{rest}\n{texts}") };
        Ok(Instruction::OnBuild(text.trim_end().to_owned()))
    }
}

fn stage_name(name: &str) -> Result<String, String> {
    let lower = name.to_ascii_lowercase();
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
    match lower.starts_with(|c: char| c.is_ascii_lowercase()) && lower.chars().all(fits) {
        true => Ok(lower),
        false => Err(format!(
            "invalid name for build stage: {name:?}, name can't start with a number or contain symbols"
        )),
    }
}

fn volumes(paths: Vec<String>) -> Result<Vec<String>, String> {
    let paths: Vec<String> = paths.iter().map(|path| path.trim().to_owned()).collect();
    match paths.iter().any(String::is_empty) {
        true => Err("VOLUME specified can not be an empty string".into()),
        false => Ok(paths),
    }
}

/// A JSON list of strings; what is no JSON is for the shell, but a list of something else is a mistake.
fn exec(rest: &str) -> Result<Option<Vec<String>>, String> {
    if !rest.starts_with('[') {
        return Ok(None);
    }
    let Ok(values) = serde_json::from_str::<Vec<serde_json::Value>>(rest) else { return Ok(None) };
    let words = values.iter().map(|value| value.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>();
    words
        .map(Some)
        .ok_or_else(|| "when using JSON array syntax, arrays must be comprised of strings only".into())
}

fn list(rest: &str) -> Result<Vec<String>, String> {
    Ok(exec(rest)?.unwrap_or_else(|| words::split_plain(rest)))
}

/// Nothing at all is an empty list, as `[]` is.
fn command(rest: &str) -> Result<Command, String> {
    Ok(match exec(rest)? {
        Some(words) => Command::Exec(words),
        None if rest.is_empty() => Command::Exec(Vec::new()),
        None => Command::Shell(rest.to_owned()),
    })
}

#[cfg(test)]
mod tests;
