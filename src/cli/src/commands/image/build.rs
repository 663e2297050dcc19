use crate::commands::Setting;
use crate::control_client::ask;
use crate::{failures, logins};
use anyhow::{Context, Result, bail};
use appliance::{BuildContextAt, BuildRequest, ControlReply, ControlRequest};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub struct Build {
    /// The folder whose files COPY and ADD may take; or the URL of a git repository, an archive or a Dockerfile; or `-` for
    /// a Dockerfile on the standard input, and no files.
    #[arg(default_value = ".")]
    context: String,
    /// Name the image; may be given several times.
    #[arg(short, long = "tag")]
    tags: Vec<String>,
    /// The Dockerfile, `Dockerfile` in the folder where none is named.
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
    /// What FROM and --from mean by a name: NAME=FOLDER or NAME=docker-image://IMAGE.
    #[arg(long = "build-context")]
    build_contexts: Vec<String>,
    /// Print the image's id only.
    #[arg(short, long)]
    quiet: bool,
}

impl Build {
    pub fn run(&self, setting: &Setting) -> Result<()> {
        let request = ControlRequest::BuildImage(Box::new(self.request()?));
        let mut out = std::io::stdout().lock();
        ask(&setting.places, &request, |reply| {
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

    fn request(&self) -> Result<BuildRequest> {
        let (context, dockerfile, dockerfile_text) = self.context(std::io::stdin())?;
        Ok(BuildRequest {
            dockerfile,
            dockerfile_text,
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
            context,
        })
    }

    /// Where the files are, and which or what the Dockerfile is.
    fn context(&self, mut input: impl Read) -> Result<(BuildContextAt, String, Option<String>)> {
        if self.context == "-" {
            let mut text = String::new();
            input
                .read_to_string(&mut text)
                .context("the standard input is no Dockerfile: `docker build -` takes archives")?;
            return Ok((BuildContextAt::Nowhere, String::new(), Some(text)));
        }
        if is_remote(&self.context) {
            let file = self.file.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
            return Ok((BuildContextAt::Url(self.context.clone()), file, None));
        }
        let folder = absolute(Path::new(&self.context))?;
        if !folder.is_dir() {
            return Err(failures::IMAGE.because(format!("{}: not a directory", folder.display())));
        }
        let (file, text) = match &self.file {
            Some(file) => dockerfile(&folder, file)?,
            None => (String::new(), None),
        };
        Ok((BuildContextAt::Folder(folder), file, text))
    }
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

/// `NAME=FOLDER`; a folder is said from its root.
fn named(text: &str) -> Result<(String, String)> {
    let Some((name, place)) = text.split_once('=') else {
        bail!("--build-context {text}: expected NAME=FOLDER or NAME=docker-image://IMAGE");
    };
    if place.starts_with("docker-image://") {
        return Ok((name.to_owned(), place.to_owned()));
    }
    let folder = absolute(Path::new(place))?;
    Ok((name.to_owned(), folder.to_str().context("the directory's path is no text")?.to_owned()))
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
