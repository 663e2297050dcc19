//! `monopod image build`: from `docker build`'s flags and what lies about the user (environment, files, agents) to one
//! request.

use crate::commands::Setting;
use crate::control_client::ask;
use crate::{failures, logins};
use anyhow::{Context, Result, bail};
use appliance::{BuildContextAt, BuildRequest, ControlReply, ControlRequest};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// More than anybody writes.
const LONGEST_DOCKERFILE: u64 = 1 << 20;

#[derive(clap::Args)]
pub struct Build {
    /// The directory or the archive whose files COPY and ADD may take; or the URL of a git repository, an archive or a Dockerfile; or
    /// `-` for an archive on the standard input, or a Dockerfile and no files.
    #[arg(default_value = ".")]
    context: String,
    /// Name the image; may be given several times.
    #[arg(short, long = "tag")]
    tags: Vec<String>,
    /// The Dockerfile, `Dockerfile` in the directory where none is named.
    #[arg(short, long)]
    file: Option<PathBuf>,
    /// Set an ARG: NAME=VALUE, or NAME to take it from the environment.
    #[arg(long = "build-arg")]
    args: Vec<String>,
    /// Give the image a label: NAME=VALUE.
    #[arg(long = "label")]
    labels: Vec<String>,
    /// Stop at this stage.
    #[arg(long, default_value = "")]
    target: String,
    /// Do every step again.
    #[arg(long)]
    no_cache: bool,
    /// Ask the registry for a newer base image.
    #[arg(long)]
    pull: bool,
    /// A file for `RUN --mount=type=secret`: id=NAME,src=FILE.
    #[arg(long = "secret")]
    secrets: Vec<String>,
    /// An agent for `RUN --mount=type=ssh`: `default` is the one of SSH_AUTH_SOCK, or id=SOCKET.
    #[arg(long)]
    ssh: Vec<String>,
    /// What the image is to run on: os/arch[/variant].
    #[arg(long, default_value = "")]
    platform: String,
    /// The network of RUN: default, none or host.
    #[arg(long)]
    network: Option<String>,
    /// A name in /etc/hosts of RUN: NAME:ADDRESS.
    #[arg(long = "add-host")]
    add_hosts: Vec<String>,
    /// What FROM and --from mean by a name: NAME=DIRECTORY or NAME=docker-image://IMAGE.
    #[arg(long = "build-context")]
    build_contexts: Vec<String>,
    /// Print the image's id only.
    #[arg(short, long)]
    quiet: bool,
}

impl Build {
    pub fn run(&self, setting: &Setting) -> Result<()> {
        // what came on the standard input stays until the build has ended
        let (request, _input) = self.request()?;
        let request = ControlRequest::BuildImage(Box::new(request));
        let mut out = std::io::stdout().lock();
        ask(&setting.paths, &request, |reply| {
            let text = match reply {
                ControlReply::Output { text } if !self.quiet => text,
                ControlReply::Images { images } if self.quiet => {
                    images.iter().map(|image| format!("{}\n", image.id)).collect()
                }
                _ => return,
            };
            // a terminal that went away does not end the build
            let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        })
    }

    fn request(&self) -> Result<(BuildRequest, Option<File>)> {
        let (Source { at, dockerfile, text }, input) = match self.context.as_str() {
            "-" => of_input(std::io::stdin(), self.file.as_deref())?,
            _ => (self.context()?, None),
        };
        let request = BuildRequest {
            dockerfile,
            dockerfile_text: text,
            platform: self.platform.clone(),
            network: self.network.clone(),
            add_hosts: self.add_hosts.clone(),
            build_contexts: self.build_contexts.iter().map(|text| named(text)).collect::<Result<_>>()?,
            ssh: self
                .ssh
                .iter()
                .map(|text| agent(text, std::env::var_os("SSH_AUTH_SOCK").map(PathBuf::from)))
                .collect::<Result<_>>()?,
            tags: self.tags.clone(),
            args: self
                .args
                .iter()
                .filter_map(|text| argument(text, |name| std::env::var(name).ok()))
                .collect(),
            labels: self.labels.iter().map(|text| pair(text)).collect(),
            target: self.target.clone(),
            no_cache: self.no_cache,
            pull: self.pull,
            secrets: self.secrets.iter().map(|text| secret(text)).collect::<Result<_>>()?,
            logins: logins::known()?,
            context: at,
        };
        Ok((request, input))
    }

    fn context(&self) -> Result<Source> {
        if is_remote(&self.context) {
            return Ok(Source::inside(BuildContextAt::Url(self.context.clone()), self.file.as_deref()));
        }
        let place = absolute(Path::new(&self.context))?;
        if !place.is_dir() {
            return Ok(Source::inside(BuildContextAt::Archive(place), self.file.as_deref()));
        }
        let (dockerfile, text) = match &self.file {
            Some(file) => dockerfile(&place, file)?,
            None => (String::new(), None),
        };
        Ok(Source { at: BuildContextAt::Directory(place), dockerfile, text })
    }
}

/// Where the files are, and which or what the Dockerfile is.
#[derive(Debug, PartialEq, Eq)]
struct Source {
    at: BuildContextAt,
    dockerfile: String,
    text: Option<String>,
}

impl Source {
    /// The Dockerfile is one of its files.
    fn inside(at: BuildContextAt, dockerfile: Option<&Path>) -> Source {
        let dockerfile = dockerfile.map(|file| file.display().to_string()).unwrap_or_default();
        Source { at, dockerfile, text: None }
    }
}

/// A Dockerfile is text and short; what is anything else is an archive, in a file that nobody else can name and that is there for as
/// long as it is open.
fn of_input(mut input: impl Read, dockerfile: Option<&Path>) -> Result<(Source, Option<File>)> {
    let unread = |e: std::io::Error| failures::IMAGE.because(format!("standard input: {e}"));
    let mut head = Vec::new();
    input.by_ref().take(LONGEST_DOCKERFILE).read_to_end(&mut head).map_err(unread)?;
    let is_short = (head.len() as u64) < LONGEST_DOCKERFILE;
    let head = match String::from_utf8(head) {
        Ok(text) if is_short && !text.contains('\0') => {
            let context = Source { at: BuildContextAt::Nowhere, dockerfile: String::new(), text: Some(text) };
            return Ok((context, None));
        }
        Ok(text) => text.into_bytes(),
        Err(bytes) => bytes.into_bytes(),
    };
    let mut file = tempfile::tempfile().map_err(unread)?;
    file.write_all(&head).and_then(|()| std::io::copy(&mut input, &mut file)).map_err(unread)?;
    let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
    Ok((Source::inside(BuildContextAt::Archive(path.into()), dockerfile), Some(file)))
}

fn is_remote(context: &str) -> bool {
    ["http://", "https://", "git://", "ssh://", "git@"].iter().any(|start| context.starts_with(start))
}

fn absolute(path: &Path) -> Result<PathBuf> {
    path.canonicalize().map_err(|e| failures::IMAGE.because(format!("{}: {e}", path.display())))
}

/// Where the Dockerfile is as seen from the context, or what it says where it lies elsewhere.
fn dockerfile(context: &Path, file: &Path) -> Result<(String, Option<String>)> {
    let file = absolute(file)?;
    match file.strip_prefix(context) {
        Ok(inside) => Ok((inside.to_str().context("the Dockerfile's path is no text")?.to_owned(), None)),
        Err(_) => {
            let text = std::fs::read_to_string(&file);
            let text = text.map_err(|e| failures::IMAGE.because(format!("read {}: {e}", file.display())))?;
            Ok((String::new(), Some(text)))
        }
    }
}

/// `NAME=DIRECTORY`; a directory is said from its root.
fn named(text: &str) -> Result<(String, String)> {
    let Some((name, place)) = text.split_once('=') else {
        bail!("--build-context {text}: expected NAME=DIRECTORY or NAME=docker-image://IMAGE");
    };
    if place.starts_with("docker-image://") {
        return Ok((name.to_owned(), place.to_owned()));
    }
    let directory = absolute(Path::new(place))?;
    Ok((name.to_owned(), directory.to_str().context("the directory's path is no text")?.to_owned()))
}

/// `default`, or `id=SOCKET`.
fn agent(text: &str, usual: Option<PathBuf>) -> Result<(String, PathBuf)> {
    match text.split_once('=') {
        Some((id, socket)) => Ok((id.to_owned(), absolute(Path::new(socket))?)),
        None => {
            let socket = usual.with_context(|| format!("--ssh {text}: SSH_AUTH_SOCK names no agent"))?;
            Ok((text.to_owned(), socket))
        }
    }
}

fn pair(text: &str) -> (String, String) {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    (name.to_owned(), value.to_owned())
}

/// One without a value is taken from the environment; one that is not there either is not given.
fn argument(text: &str, environment: impl Fn(&str) -> Option<String>) -> Option<(String, String)> {
    match text.split_once('=') {
        Some(_) => Some(pair(text)),
        None => environment(text).map(|value| (text.to_owned(), value)),
    }
}

/// `id=token,src=token.txt`; without an id the file's name is one.
fn secret(text: &str) -> Result<(String, PathBuf)> {
    let options: BTreeMap<&str, &str> = text.split(',').filter_map(|option| option.split_once('=')).collect();
    let Some(source) = options.get("src").or_else(|| options.get("source")) else {
        bail!("--secret {text}: expected id=NAME,src=FILE");
    };
    let path = absolute(Path::new(source))?;
    let name = || path.file_name().map(|name| name.to_string_lossy().into_owned());
    let id = options.get("id").map(|id| (*id).to_owned()).or_else(name).context("a secret without an id")?;
    Ok((id, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_with_and_without_values() {
        let environment = |name: &str| (name == "HOME").then(|| "/root".to_owned());
        for (text, want) in [
            ("A=1", Some(("A", "1"))),
            ("A=b=c", Some(("A", "b=c"))),
            ("A=", Some(("A", ""))),
            ("HOME", Some(("HOME", "/root"))),
            ("NOWHERE", None),
        ] {
            let want = want.map(|(name, value)| (name.to_owned(), value.to_owned()));
            assert_eq!(argument(text, environment), want, "{text}");
        }
    }

    #[test]
    fn the_dockerfile_is_in_the_context_or_is_sent_itself() {
        let dir = tempfile::tempdir().unwrap();
        let context = dir.path().canonicalize().unwrap().join("context");
        std::fs::create_dir_all(context.join("docker")).unwrap();
        std::fs::write(context.join("docker/Dockerfile.dev"), "").unwrap();
        std::fs::write(dir.path().join("Dockerfile"), "").unwrap();
        let file = context.join("docker/../docker/Dockerfile.dev");
        assert_eq!(dockerfile(&context, &file).unwrap(), ("docker/Dockerfile.dev".to_owned(), None));
        let outside = dir.path().join("Dockerfile");
        std::fs::write(&outside, "FROM x").unwrap();
        assert_eq!(dockerfile(&context, &outside).unwrap(), (String::new(), Some("FROM x".to_owned())));
        assert!(dockerfile(&context, &context.join("missing")).is_err());
    }

    #[test]
    fn the_standard_input_is_a_dockerfile_or_an_archive() {
        let (source, file) = of_input("FROM x\n".as_bytes(), None).unwrap();
        assert_eq!((source.at, source.text.as_deref()), (BuildContextAt::Nowhere, Some("FROM x\n")));
        assert!(file.is_none());
        let text = "a".repeat(LONGEST_DOCKERFILE as usize + 1);
        for bytes in [&[0x1f, 0x8b, 8, 0][..], b"./\0\0ustar", text.as_bytes()] {
            let (source, file) = of_input(bytes, Some(Path::new("a/Dockerfile"))).unwrap();
            let BuildContextAt::Archive(path) = &source.at else { panic!("{:?}", source.at) };
            assert_eq!(std::fs::read(path).unwrap(), bytes);
            assert_eq!(source.dockerfile, "a/Dockerfile");
            drop(file);
            assert!(!path.exists());
        }
    }

    #[test]
    fn secrets_are_files() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().canonicalize().unwrap();
        let text = format!("id=token,src={}", path.display());
        assert_eq!(secret(&text).unwrap(), ("token".to_owned(), path));
        assert!(secret("id=token").is_err());
    }

    #[test]
    fn contexts_with_names_and_agents() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap().display().to_string();
        assert_eq!(named(&format!("files={path}/.")).unwrap(), ("files".to_owned(), path.clone()));
        let image = "base=docker-image://busybox:1";
        assert_eq!(named(image).unwrap(), ("base".to_owned(), "docker-image://busybox:1".to_owned()));
        assert!(named("alone").is_err());
        assert_eq!(agent("default", Some("/s".into())).unwrap(), ("default".to_owned(), "/s".into()));
        assert!(agent("default", None).is_err());
        assert_eq!(agent(&format!("k={path}"), None).unwrap(), ("k".to_owned(), path.into()));
    }
}
