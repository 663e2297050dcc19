use crate::commands::Setting;
use crate::control_client::ask;
use crate::{failures, logins};
use anyhow::{Context, Result, bail};
use appliance::{BuildRequest, ControlReply, ControlRequest};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub struct Build {
    /// The folder whose files COPY and ADD may take.
    #[arg(default_value = ".")]
    context: PathBuf,
    /// Name the image; may be given several times.
    #[arg(short, long = "tag")]
    tags: Vec<String>,
    /// The Dockerfile, inside of the folder.
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
}

impl Build {
    pub fn run(&self, setting: &Setting) -> Result<()> {
        let request = ControlRequest::BuildImage(self.request()?);
        let mut out = std::io::stdout().lock();
        ask(&setting.places, &request, |reply| {
            if let ControlReply::Output { text } = reply {
                // a terminal that went away does not end the build
                let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
            }
        })
    }

    fn request(&self) -> Result<BuildRequest> {
        let context = absolute(&self.context)?;
        if !context.is_dir() {
            return Err(failures::IMAGE.because(format!("{}: not a folder", context.display())));
        }
        let dockerfile = self.file.as_deref().map(|file| inside(&context, file)).transpose()?;
        Ok(BuildRequest {
            dockerfile: dockerfile.unwrap_or_default(),
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
}

fn absolute(path: &Path) -> Result<PathBuf> {
    path.canonicalize().map_err(|e| failures::IMAGE.because(format!("{}: {e}", path.display())))
}

/// Where the Dockerfile is, as seen from the context.
fn inside(context: &Path, file: &Path) -> Result<String> {
    let file = absolute(file)?;
    let inside = file.strip_prefix(context).map_err(|_| {
        failures::IMAGE.because(format!("the Dockerfile {} is not in {}", file.display(), context.display()))
    })?;
    Ok(inside.to_str().context("the Dockerfile's path is no text")?.to_owned())
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
    fn the_dockerfile_is_in_the_context() {
        let dir = tempfile::tempdir().unwrap();
        let context = dir.path().canonicalize().unwrap().join("context");
        std::fs::create_dir_all(context.join("docker")).unwrap();
        std::fs::write(context.join("docker/Dockerfile.dev"), "").unwrap();
        std::fs::write(dir.path().join("Dockerfile"), "").unwrap();
        let file = context.join("docker/../docker/Dockerfile.dev");
        assert_eq!(inside(&context, &file).unwrap(), "docker/Dockerfile.dev");
        assert!(inside(&context, &dir.path().join("Dockerfile")).is_err());
        assert!(inside(&context, &context.join("missing")).is_err());
    }

    #[test]
    fn secrets_are_files() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().canonicalize().unwrap();
        let text = format!("id=token,src={}", path.display());
        assert_eq!(secret(&text).unwrap(), ("token".to_owned(), path));
        assert!(secret("id=token").is_err());
    }
}
