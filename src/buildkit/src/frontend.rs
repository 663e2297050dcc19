//! What the client typed, as the attributes of the frontend `dockerfile.v0`, and what it means. Pure.

use crate::session::upload::is_upload;
use crate::subrequests::REQUEST;
use cri::Rlimit;
use image::{ImageRef, RunSettings, is_remote_context};
use std::collections::{BTreeMap, HashMap};
use tonic::Status;

#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Frontend {
    pub(crate) filename: String,
    pub(crate) context: Context,
    /// The directory of the Dockerfile, where it does not come with the context.
    pub(crate) dockerfile: Option<String>,
    pub(crate) contexts: BTreeMap<String, Named>,
    pub(crate) args: BTreeMap<String, Option<String>>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) target: String,
    pub(crate) no_cache: NoCache,
    pub(crate) pull: bool,
    pub(crate) platform: String,
    pub(crate) run: RunSettings,
    /// `docker build --call`: a question about the Dockerfile instead of a build.
    pub(crate) question: Option<String>,
    /// What a check of the Dockerfile leaves out, where the client says so.
    pub(crate) check: Option<String>,
    /// Directory → the session that has it, where it is not the build's own.
    pub(crate) sessions: HashMap<String, String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Context {
    /// A directory of the client, by its name.
    Directory(String),
    /// An archive that the client has, by its address.
    Upload(String),
    /// A repository, an archive or a Dockerfile somewhere else.
    Remote(String),
    /// An archive that came with the request.
    Sent,
}

impl Default for Context {
    fn default() -> Self {
        Context::Directory("context".to_owned())
    }
}

/// `--build-context`
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Named {
    Directory(String),
    Image(String),
    /// The result of another build, by its name among the inputs.
    Input(String),
    /// A repository or an archive somewhere else.
    Remote(String),
}

#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) enum NoCache {
    #[default]
    No,
    All,
    Stages(Vec<String>),
}

fn refused(text: String) -> Status {
    // BuildKit has no code for what it refuses: the client would put it before the words
    Status::unknown(text)
}

/// Arguments that are BuildKit's own settings and never for the Dockerfile.
const SETTINGS: &str = "BUILDKIT_";
/// `docker build --check --build-arg BUILDKIT_DOCKERFILE_CHECK=skip=…`
const CHECK: &str = "build-arg:BUILDKIT_DOCKERFILE_CHECK";

pub(crate) fn parse(attrs: &HashMap<String, String>) -> Result<Frontend, Status> {
    let get = |name: &str| attrs.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let with = |prefix: &'static str| {
        attrs.iter().filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?.to_owned(), value)))
    };
    let context = context(get(get("contextkey").unwrap_or("context")));
    if get("contextsubdir").is_some() {
        return Err(refused("a directory inside of a remote build context is not offered".to_owned()));
    }
    let dockerfile = match (get("dockerfilekey"), &context) {
        (Some(name), _) => Some(name.to_owned()),
        (None, Context::Directory(_)) => Some("dockerfile".to_owned()),
        (None, Context::Upload(_) | Context::Remote(_) | Context::Sent) => None,
    };
    let mut contexts = BTreeMap::new();
    for (name, value) in with("context:") {
        // of several platforms, ours is the only one
        let name = name.split("::").next().unwrap_or_default().to_owned();
        contexts.insert(name.clone(), named(&name, value)?);
    }
    let args = with("build-arg:").filter(|(name, _)| !name.starts_with(SETTINGS));
    Ok(Frontend {
        filename: get("filename").unwrap_or("Dockerfile").to_owned(),
        context,
        dockerfile,
        contexts,
        args: args.map(|(name, value)| (name, Some(value.clone()))).collect(),
        labels: with("label:").map(|(name, value)| (name, value.clone())).collect(),
        target: get("target").unwrap_or_default().to_owned(),
        no_cache: match attrs.get("no-cache").map(String::as_str) {
            None => NoCache::No,
            Some("") => NoCache::All,
            Some(stages) => NoCache::Stages(stages.split(',').map(str::to_owned).collect()),
        },
        pull: get("image-resolve-mode") == Some("pull"),
        platform: platform(get("platform"))?,
        run: run_settings(&get)?,
        question: get(REQUEST).map(str::to_owned),
        check: get(CHECK).map(str::to_owned),
        sessions: with("local-sessionid:").map(|(name, id)| (name, id.clone())).collect(),
    })
}

fn context(at: Option<&str>) -> Context {
    match at {
        None => Context::default(),
        Some(url) if is_upload(url) => Context::Upload(url.to_owned()),
        Some(url) => Context::Remote(url.to_owned()),
    }
}

fn named(name: &str, value: &str) -> Result<Named, Status> {
    let (kind, rest) = value.split_once(':').unwrap_or((value, ""));
    match kind {
        "local" => Ok(Named::Directory(rest.to_owned())),
        "input" => Ok(Named::Input(rest.to_owned())),
        "docker-image" => Ok(Named::Image(rest.trim_start_matches("//").to_owned())),
        _ if is_remote_context(value) => Ok(Named::Remote(value.to_owned())),
        _ => Err(refused(format!(
            "build context {name}: {value} is not offered: a directory, docker-image://, an address or another target is"
        ))),
    }
}

fn platform(list: Option<&str>) -> Result<String, Status> {
    match list {
        Some(several) if several.contains(',') => Err(refused(format!(
            "building for several platforms at once ({several}) is not offered: this builder makes images for its own machine"
        ))),
        other => Ok(other.unwrap_or_default().to_owned()),
    }
}

fn run_settings<'a>(get: &impl Fn(&str) -> Option<&'a str>) -> Result<RunSettings, Status> {
    let network = match get("force-network-mode") {
        None | Some("sandbox" | "default") => None,
        Some(mode @ ("host" | "none")) => Some(mode.to_owned()),
        Some(other) => return Err(refused(format!("invalid netmode {other}"))),
    };
    let shm_size = get("shm-size").map(|text| {
        let bad = |_| refused(format!("failed to parse shm size: {text}"));
        text.parse().map_err(bad)
    });
    Ok(RunSettings {
        network,
        extra_hosts: list(get("add-hosts")).map(host).collect::<Result<_, _>>()?,
        shm_size: shm_size.transpose()?,
        rlimits: list(get("ulimit")).map(rlimit).collect::<Result<_, _>>()?,
        ..RunSettings::default()
    })
}

/// Comma-separated; values that hold a comma come quoted, and nothing here does.
fn list(text: Option<&str>) -> impl Iterator<Item = &str> {
    text.unwrap_or_default().split(',').map(|item| item.trim_matches('"')).filter(|item| !item.is_empty())
}

/// `name=address` → `name:address`
fn host(text: &str) -> Result<String, Status> {
    match text.split_once('=') {
        Some((name, address)) if !name.is_empty() && address.parse::<std::net::IpAddr>().is_ok() => {
            Ok(format!("{name}:{address}"))
        }
        _ => Err(refused(format!("failed to parse additional hosts: invalid key-value pair: {text}"))),
    }
}

/// `nofile=1024:2048`
fn rlimit(text: &str) -> Result<Rlimit, Status> {
    let bad = || refused(format!("failed to parse ulimit: {text}"));
    let (name, limits) = text.split_once('=').ok_or_else(bad)?;
    let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
    // -1 is no limit
    let number = |text: &str| text.parse::<i64>().map(|n| if n < 0 { u64::MAX } else { n as u64 }).ok();
    Ok(Rlimit {
        name: name.to_ascii_lowercase(),
        soft: number(soft).ok_or_else(bad)?,
        hard: number(hard).ok_or_else(bad)?,
    })
}

/// What `.dockerignore` says, as the client's matcher wants it.
pub(crate) fn ignore_patterns(text: &str) -> Vec<String> {
    let lines = text.trim_start_matches('\u{feff}').lines();
    let patterns = lines.filter(|line| !line.starts_with('#')).map(str::trim).filter(|line| !line.is_empty());
    let clean = patterns.map(|line| {
        let (mark, path) = line.strip_prefix('!').map_or(("", line), |rest| ("!", rest.trim()));
        let mut names: Vec<&str> = Vec::new();
        for name in path.split('/') {
            match name {
                "" | "." => {}
                ".." if names.last().is_some_and(|last| *last != "..") => drop(names.pop()),
                // nothing lies above the context
                ".." if path.starts_with('/') => {}
                name => names.push(name),
            }
        }
        let path = if names.is_empty() { ".".to_owned() } else { names.join("/") };
        format!("{mark}{path}")
    });
    clean.collect()
}

/// A frontend in an image: Docker's own is what the builder here does; others are programs that it can not run.
pub(crate) fn check_syntax(image: &str) -> Result<(), Status> {
    let name =
        ImageRef::parse(image.trim()).map_err(|e| refused(format!("invalid frontend {image:?}: {e}")))?;
    match name.repository().as_str() {
        "docker.io/docker/dockerfile" | "docker.io/docker/dockerfile-upstream" => Ok(()),
        _ => Err(refused(format!(
            "the frontend {} is not offered: the builder knows Dockerfiles as docker/dockerfile has them",
            name.familiar()
        ))),
    }
}

/// `# syntax=docker/dockerfile:1` among the directives at the top.
pub(crate) fn syntax(dockerfile: &str) -> Option<&str> {
    for line in dockerfile.trim_start_matches('\u{feff}').lines() {
        let (name, value) = line.trim().strip_prefix('#')?.split_once('=')?;
        if name.trim().eq_ignore_ascii_case("syntax") {
            return value.split_whitespace().next();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attrs(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_docker_build_sends() {
        let given = attrs(&[
            ("filename", "build/My.Dockerfile"),
            ("build-arg:A", "1"),
            ("build-arg:BUILDKIT_INLINE_CACHE", "1"),
            ("build-arg:BUILDKIT_DOCKERFILE_CHECK", "skip=all"),
            ("requestid", "frontend.lint"),
            ("label:l", "x=y"),
            ("target", "prod"),
            ("no-cache", "a,b"),
            ("image-resolve-mode", "pull"),
            ("platform", "linux/amd64"),
            ("force-network-mode", "none"),
            ("add-hosts", "db=10.0.0.1,v6=::1"),
            ("shm-size", "1024"),
            ("ulimit", "nofile=10:20,core=-1"),
            ("context:base", "docker-image://busybox"),
            ("context:src", "local:src"),
            ("context:docs", "https://example.com/docs.git#main:en"),
            ("context:keys", "git@example.com:keys.git"),
            ("context:other::linux/amd64", "input:other::linux/amd64"),
            ("local-sessionid:context", "s2"),
            ("attest:provenance", "mode=min"),
        ]);
        let parsed = parse(&given).unwrap();
        assert_eq!(parsed.filename, "build/My.Dockerfile");
        assert_eq!(parsed.args, BTreeMap::from([("A".to_owned(), Some("1".to_owned()))]));
        assert_eq!(
            (parsed.check.as_deref(), parsed.question.as_deref()),
            (Some("skip=all"), Some("frontend.lint"))
        );
        assert_eq!(parsed.labels["l"], "x=y");
        assert_eq!(
            (parsed.target.as_str(), parsed.pull, parsed.platform.as_str()),
            ("prod", true, "linux/amd64")
        );
        assert_eq!(parsed.no_cache, NoCache::Stages(vec!["a".into(), "b".into()]));
        assert_eq!(parsed.run.network.as_deref(), Some("none"));
        assert_eq!(parsed.run.extra_hosts, ["db:10.0.0.1", "v6:::1"]);
        assert_eq!(parsed.run.shm_size, Some(1024));
        let limits: Vec<(&str, u64, u64)> =
            parsed.run.rlimits.iter().map(|l| (l.name.as_str(), l.soft, l.hard)).collect();
        assert_eq!(limits, [("nofile", 10, 20), ("core", u64::MAX, u64::MAX)]);
        assert_eq!(parsed.contexts["base"], Named::Image("busybox".into()));
        assert_eq!(parsed.contexts["src"], Named::Directory("src".into()));
        assert_eq!(parsed.contexts["other"], Named::Input("other::linux/amd64".into()));
        assert_eq!(parsed.contexts["docs"], Named::Remote("https://example.com/docs.git#main:en".into()));
        assert_eq!(parsed.contexts["keys"], Named::Remote("git@example.com:keys.git".into()));
        assert_eq!(parsed.sessions["context"], "s2");
        assert_eq!(
            (parsed.context, parsed.dockerfile.as_deref()),
            (Context::Directory("context".into()), Some("dockerfile"))
        );
    }

    #[test]
    fn the_context_and_the_dockerfile_may_come_otherwise() {
        let url = "http://buildkit-session/abc";
        let upload = parse(&attrs(&[("context", url)])).unwrap();
        assert_eq!((upload.context, upload.dockerfile), (Context::Upload(url.into()), None));
        let url = "https://example.com/x.git#main:dir";
        let remote = parse(&attrs(&[("context", url)])).unwrap();
        assert_eq!((remote.context, remote.dockerfile), (Context::Remote(url.into()), None));
        let url = "http://buildkit-session/abc";
        let apart = parse(&attrs(&[("context", url), ("dockerfilekey", "dockerfile")])).unwrap();
        assert_eq!(apart.dockerfile.as_deref(), Some("dockerfile"));
        assert_eq!(parse(&attrs(&[("no-cache", "")])).unwrap().no_cache, NoCache::All);
    }

    #[test]
    fn what_is_not_offered_is_refused_in_words() {
        for (name, value, want) in [
            ("contextsubdir", "x", "directory inside of a remote build context"),
            ("platform", "linux/amd64,linux/arm64", "several platforms"),
            ("force-network-mode", "bridge", "invalid netmode bridge"),
            ("add-hosts", "db", "additional hosts"),
            ("ulimit", "nofile", "failed to parse ulimit"),
            ("shm-size", "x", "failed to parse shm size"),
            ("context:x", "oci-layout://y", "build context x"),
        ] {
            let refusal = parse(&attrs(&[(name, value)])).unwrap_err();
            assert!(refusal.message().contains(want), "{name}: {refusal}");
        }
    }

    #[test]
    fn ignore_files() {
        let text = "\u{feff}# no\n/build/\n  *.log \n\n!keep/./x\na/../b\n/../c\n.\n!\n# also no\n #hash\n";
        assert_eq!(ignore_patterns(text), ["build", "*.log", "!keep/x", "b", "c", ".", "!.", "#hash"]);
    }

    #[test]
    fn syntax_lines() {
        for (text, want) in [
            ("# syntax=docker/dockerfile:1\nFROM x", Some("docker/dockerfile:1")),
            ("# escape=`\n#Syntax = a/b:c opts\n", Some("a/b:c")),
            ("# a comment\n# syntax=late\nFROM x", None),
            ("FROM x\n# syntax=late", None),
        ] {
            assert_eq!(syntax(text), want, "{text}");
        }
        assert!(check_syntax("docker/dockerfile:1.7-labs").is_ok());
        assert!(check_syntax("docker.io/docker/dockerfile@sha256:".to_owned().as_str()).is_err());
        let refusal = check_syntax("ghcr.io/some/frontend:2").unwrap_err();
        assert!(refusal.message().contains("ghcr.io/some/frontend:2 is not offered"), "{refusal}");
    }
}
