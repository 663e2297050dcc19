//! `--change` of commit and import: the Dockerfile instructions that change only an image's configuration.

use crate::error::{ApiError, Result};
use crate::signals;
use image::{Empty, Healthcheck, RunConfig};
use std::collections::BTreeMap;
use std::path::Path;

/// Variables are those of the image's environment, as in a Dockerfile.
pub(crate) fn apply(config: &mut RunConfig, text: &str) -> Result<()> {
    let text = text.trim();
    let (name, rest) = text.split_once(char::is_whitespace).map_or((text, ""), |(n, r)| (n, r.trim()));
    let known = config.env.iter().filter_map(|entry| entry.split_once('='));
    let known: BTreeMap<String, String> = known.map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
    let filled = |text: &str| fill(text, &known);
    match name.to_ascii_uppercase().as_str() {
        "" => {}
        "CMD" => config.cmd = Some(command(rest)),
        "ENTRYPOINT" => config.entrypoint = Some(command(rest)),
        "ENV" => {
            for (name, value) in pairs(rest, &known)? {
                let prefix = format!("{name}=");
                config.env.retain(|entry| !entry.starts_with(&prefix));
                config.env.push(format!("{prefix}{value}"));
            }
        }
        "LABEL" => config.labels.extend(pairs(rest, &known)?),
        "EXPOSE" => {
            let port = |word: &str| if word.contains('/') { word.to_owned() } else { format!("{word}/tcp") };
            config.exposed_ports.extend(filled(rest)?.split_whitespace().map(|word| (port(word), Empty {})));
        }
        "VOLUME" => {
            for volume in list(rest) {
                config.volumes.insert(filled(&volume)?, Empty {});
            }
        }
        "USER" => config.user = filled(rest)?,
        "WORKDIR" => {
            let dir = Path::new("/").join(&config.working_dir).join(filled(rest)?);
            config.working_dir = crate::root::plain(&dir).to_string_lossy().into_owned();
        }
        "HEALTHCHECK" => config.healthcheck = Some(healthcheck(rest)?),
        "STOPSIGNAL" => {
            let signal = filled(rest)?;
            signals::number(&signal)?;
            config.stop_signal = Some(signal);
        }
        "ONBUILD" => config.on_build.push(rest.to_owned()),
        _ => return Err(ApiError::bad(format_args!("{name} is not a valid change command"))),
    }
    Ok(())
}

fn fill(text: &str, known: &BTreeMap<String, String>) -> Result<String> {
    image::expand(text, known).map_err(ApiError::bad)
}

/// `[--interval=5s …] CMD …`, or `NONE`.
fn healthcheck(text: &str) -> Result<Healthcheck> {
    let mut check = Healthcheck::default();
    let mut rest = text;
    while let Some(flag) = rest.strip_prefix("--") {
        let (flag, after) = flag.split_once(char::is_whitespace).unwrap_or((flag, ""));
        let (name, value) = flag.split_once('=').unwrap_or((flag, ""));
        let bad = || ApiError::bad(format_args!("HEALTHCHECK: invalid value {value:?} for --{name}"));
        let span = || durations::parse(value).ok().filter(|nanos| *nanos >= 0).ok_or_else(bad);
        match name {
            "interval" => check.interval = span()?,
            "timeout" => check.timeout = span()?,
            "start-period" => check.start_period = span()?,
            "start-interval" => check.start_interval = span()?,
            "retries" => check.retries = value.parse().map_err(|_| bad())?,
            _ => return Err(ApiError::bad(format_args!("unknown flag: --{name}"))),
        }
        rest = after.trim_start();
    }
    let (kind, command) = rest.split_once(char::is_whitespace).map_or((rest, ""), |(k, c)| (k, c.trim()));
    check.test = match (kind.to_ascii_uppercase().as_str(), serde_json::from_str::<Vec<String>>(command)) {
        ("NONE", _) if command.is_empty() => vec!["NONE".to_owned()],
        ("CMD", _) if command.is_empty() => {
            return Err(ApiError::bad("missing command after HEALTHCHECK CMD"));
        }
        ("CMD", Ok(words)) => [vec!["CMD".to_owned()], words].concat(),
        ("CMD", Err(_)) => vec!["CMD-SHELL".to_owned(), command.to_owned()],
        _ => return Err(ApiError::bad(format_args!("unknown type {kind:?} in HEALTHCHECK (try CMD)"))),
    };
    Ok(check)
}

/// The JSON form as it is; text goes to a shell.
fn command(text: &str) -> Vec<String> {
    serde_json::from_str(text)
        .unwrap_or_else(|_| vec!["/bin/sh".to_owned(), "-c".to_owned(), text.to_owned()])
}

fn list(text: &str) -> Vec<String> {
    serde_json::from_str(text).unwrap_or_else(|_| text.split_whitespace().map(str::to_owned).collect())
}

/// `a=1 b="x y"`, or the old form `a 1`.
fn pairs(text: &str, known: &BTreeMap<String, String>) -> Result<Vec<(String, String)>> {
    let words = image::split_words(text);
    let first = words.first().map(String::as_str).unwrap_or_default();
    if !first.contains('=') {
        let old = text.split_once(char::is_whitespace);
        let (name, value) =
            old.ok_or_else(|| ApiError::bad(format_args!("must have two arguments: {text:?}")))?;
        return Ok(vec![(fill(name, known)?, fill(value.trim(), known)?)]);
    }
    let pair = |word: &String| {
        let (name, value) = word.split_once('=').ok_or_else(|| {
            ApiError::bad(format_args!(
                "Syntax error - can't find = in {word:?}. Must be of the form: name=value"
            ))
        })?;
        Ok((fill(name, known)?, fill(value, known)?))
    };
    words.iter().map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_those_of_the_image() {
        let mut config = RunConfig {
            env: vec!["PATH=/bin".into(), "HOME=/root".into(), "N=7".into()],
            working_dir: "/srv".into(),
            ..Default::default()
        };
        for text in [
            "ENV PATH=/x:$PATH",
            "ENV GREETING=\"hello ${HOME}\" PLAIN='$HOME'",
            "LABEL at=$HOME number=${N:-0}",
            "WORKDIR app",
            "WORKDIR ../$N/./sub",
            "USER u$N",
            "EXPOSE 80$N",
            "VOLUME $HOME/data",
            "STOPSIGNAL SIGQUIT",
        ] {
            apply(&mut config, text).unwrap();
        }
        assert_eq!(config.env, ["HOME=/root", "N=7", "PATH=/x:/bin", "GREETING=hello /root", "PLAIN=$HOME"]);
        assert_eq!((config.labels["at"].as_str(), config.labels["number"].as_str()), ("/root", "7"));
        assert_eq!((config.working_dir.as_str(), config.user.as_str()), ("/srv/7/sub", "u7"));
        assert_eq!(config.exposed_ports.keys().collect::<Vec<_>>(), ["807/tcp"]);
        assert_eq!(config.volumes.keys().collect::<Vec<_>>(), ["/root/data"]);
        for bad in ["STOPSIGNAL SIGWHAT", "ENV ALONE", "LABEL a=b c", "ENV A=${B"] {
            assert!(apply(&mut config, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn changes() {
        let mut config = RunConfig { env: vec!["A=0".into()], ..Default::default() };
        for text in [
            "CMD [\"a\", \"b\"]",
            "ENTRYPOINT run it",
            "ENV A=1 B=\"x y\"",
            "env C see",
            "LABEL l=1",
            "EXPOSE 80 53/udp",
            "USER me",
            "WORKDIR /w",
            "HEALTHCHECK --interval=1m --retries=3 CMD check it",
        ] {
            apply(&mut config, text).unwrap();
        }
        assert_eq!(config.cmd.unwrap(), ["a", "b"]);
        assert_eq!(config.entrypoint.unwrap(), ["/bin/sh", "-c", "run it"]);
        assert_eq!(config.env, ["A=1", "B=x y", "C=see"]);
        assert_eq!(config.exposed_ports.keys().collect::<Vec<_>>(), ["53/udp", "80/tcp"]);
        assert_eq!(
            (config.user.as_str(), config.working_dir.as_str(), config.labels["l"].as_str()),
            ("me", "/w", "1")
        );
        let check = config.healthcheck.unwrap();
        assert_eq!((check.interval, check.retries), (60_000_000_000, 3));
        assert_eq!(check.test, ["CMD-SHELL", "check it"]);
        for bad in [
            "RUN x",
            "HEALTHCHECK CMD",
            "HEALTHCHECK what",
            "HEALTHCHECK --interval=x CMD y",
            "HEALTHCHECK NONE x",
        ] {
            assert!(apply(&mut RunConfig::default(), bad).is_err(), "{bad}");
        }
    }
}
