//! `minikube image` in all its forms.

use super::image_list::{holds, images, list};
use super::reason::{self, Exit, Reason};
use super::{Outcome, Session, output};
use crate::commands::Setting;
use clap::Subcommand;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// How the image store refuses what it does not have.
const NOT_THERE: &str = "No such image: ";

#[derive(clap::Args)]
#[command(arg_required_else_help = true)]
pub(super) struct Image {
    #[command(subcommand)]
    command: ImageCommand,
}

#[derive(Subcommand)]
enum ImageCommand {
    /// Build a container image in minikube
    Build {
        /// A directory, a URL, or `-` for an archive or Dockerfile on standard input
        context: Option<String>,
        /// Tag to apply to the new image (optional)
        #[arg(short, long)]
        tag: Vec<String>,
        /// Path to the Dockerfile to use (optional)
        #[arg(short, long)]
        file: Option<String>,
        /// Push the new image (requires tag)
        #[arg(long)]
        push: bool,
        /// Environment variables to pass to the build. (format: key=value)
        #[arg(long)]
        build_env: Vec<String>,
        /// Specify arbitrary flags to pass to the build. (format: key=value)
        #[arg(long)]
        build_opt: Vec<String>,
        #[arg(short, long, hide = true)]
        all: bool,
        #[arg(short, long, hide = true)]
        node: Option<String>,
    },
    /// Load an image into minikube
    Load {
        /// Images, archives, or `-` for an archive on standard input
        #[arg(required = true)]
        images: Vec<String>,
        /// Pull the remote image (no caching)
        #[arg(long)]
        pull: bool,
        /// Cache image from docker daemon
        #[arg(long)]
        daemon: bool,
        /// Cache image from remote registry
        #[arg(long)]
        remote: bool,
        /// Overwrite image even if same image:tag name exists
        #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", hide = true)]
        overwrite: Option<String>,
    },
    /// Save a image from minikube
    Save {
        image: String,
        /// An archive, or `-` for standard output; without it the image goes to the docker daemon
        target: Option<String>,
        /// Cache image to docker daemon
        #[arg(long)]
        daemon: bool,
        /// Cache image to remote registry
        #[arg(long)]
        remote: bool,
    },
    /// List images
    #[command(alias = "list")]
    Ls {
        /// Format output. One of: short|table|json|yaml
        #[arg(long, default_value = "short")]
        format: String,
    },
    /// Pull images
    Pull {
        #[arg(required = true)]
        images: Vec<String>,
    },
    /// Push images
    Push {
        #[arg(required = true)]
        images: Vec<String>,
    },
    /// Remove one or more images
    #[command(alias = "remove", alias = "unload")]
    Rm {
        #[arg(required = true)]
        images: Vec<String>,
    },
    /// Tag images
    #[command(alias = "list-tags")]
    Tag { image: String, name: String },
}

impl Image {
    pub(super) fn run(&self, session: &Session) -> Outcome {
        self.act(session).map_err(|exit| exit.at(reason::GUEST_IMAGE, self.command.reason()))
    }

    fn act(&self, session: &Session) -> Outcome {
        let (setting, _) = session.running()?;
        let again = || session.setting();
        match &self.command {
            ImageCommand::Build { context, tag, file, push, build_env, build_opt, .. } => {
                let Some(context) = context else {
                    return Err(reason::USAGE.because("Please provide a path or url to build"));
                };
                build(setting, context, tag, file.as_deref(), build_env, build_opt)?;
                if *push {
                    for name in tag {
                        super::monopod(again()?, &["image", "push", name])?;
                    }
                }
                Ok(ExitCode::SUCCESS)
            }
            ImageCommand::Load { images, pull, daemon, remote, .. } => {
                for image in images {
                    load(again()?, image, *pull || *remote, *daemon)?;
                }
                Ok(ExitCode::SUCCESS)
            }
            ImageCommand::Save { image, target, remote, .. } => match target.as_deref() {
                None if *remote => super::monopod(setting, &["image", "push", image]),
                None => to_daemon(setting, image),
                Some("-") => to_standard_output(setting, image),
                Some(path) => super::monopod(setting, &["image", "save", image, "-o", path]),
            },
            ImageCommand::Ls { format } => list(&setting, format),
            ImageCommand::Pull { images } => each(session, "pull", images),
            ImageCommand::Push { images } => each(session, "push", images),
            ImageCommand::Rm { images } => remove(session, images),
            ImageCommand::Tag { image, name } => super::monopod(setting, &["image", "tag", image, name]),
        }
    }
}

impl ImageCommand {
    /// How a refusal of the image store is called.
    fn reason(&self) -> Reason {
        match self {
            ImageCommand::Build { .. } => reason::GUEST_IMAGE_BUILD,
            ImageCommand::Load { .. } => reason::GUEST_IMAGE,
            ImageCommand::Save { .. } => reason::GUEST_IMAGE_SAVE,
            ImageCommand::Ls { .. } => reason::GUEST_IMAGE_LIST,
            ImageCommand::Pull { .. } => reason::GUEST_IMAGE_PULL,
            ImageCommand::Push { .. } => reason::GUEST_IMAGE_PUSH,
            ImageCommand::Rm { .. } => reason::GUEST_IMAGE_REMOVE,
            ImageCommand::Tag { .. } => reason::GUEST_IMAGE_TAG,
        }
    }
}

pub(super) fn each(session: &Session, command: &str, images: &[String]) -> Outcome {
    for image in images {
        super::monopod(session.setting()?, &["image", command, image])?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What is not there is gone already, as minikube has it: scripts remove an image before they load it anew. The others go all the same.
fn remove(session: &Session, images: &[String]) -> Outcome {
    for image in images {
        match super::monopod(session.setting()?, &["image", "rm", image]) {
            Err(exit) if exit.what.starts_with(NOT_THERE) => {
                output::problem(output::Mark::Warning, &format!("{NOT_THERE}{image}"));
            }
            removed => {
                removed?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn build(
    setting: Setting,
    context: &str,
    tags: &[String],
    file: Option<&str>,
    environment: &[String],
    options: &[String],
) -> Outcome {
    let mut words: Vec<String> = vec!["image".into(), "build".into(), context.into()];
    for tag in tags {
        words.extend(["-t".to_owned(), tag.clone()]);
    }
    if let Some(file) = file {
        words.extend(["-f".to_owned(), in_context(context, file)]);
    }
    for pair in environment {
        words.extend(["--build-arg".to_owned(), pair.clone()]);
    }
    words.extend(options.iter().map(|option| format!("--{option}")));
    super::monopod(setting, &words.iter().map(String::as_str).collect::<Vec<_>>())
}

/// minikube looks for a Dockerfile in the context, Docker where one is. What is not in the context is meant as Docker means it.
fn in_context(context: &str, file: &str) -> String {
    let inside = Path::new(context).join(file);
    if inside.is_file() { inside.display().to_string() } else { file.to_owned() }
}

/// An archive where there is a file of that name, else an image: of another engine's where one has it, else what is there already,
/// as this engine has built it, else of its registry.
pub(super) fn load(setting: Setting, image: &str, pull: bool, daemon: bool) -> Outcome {
    if image == "-" {
        let file = temporary()?;
        let mut bytes = Vec::new();
        std::io::stdin()
            .lock()
            .read_to_end(&mut bytes)
            .map_err(|e| reason::GUEST_IMAGE.because(format!("standard input: {e}")))?;
        std::fs::write(&file.0, bytes).map_err(|e| reason::GUEST_IMAGE.because(e))?;
        return super::monopod(setting, &["image", "load", &file.0.to_string_lossy()]);
    }
    if Path::new(image).exists() {
        return super::monopod(setting, &["image", "load", image]);
    }
    // no reference looks so
    if image.starts_with(['/', '.']) {
        return Err(reason::GUEST_IMAGE.because(format!("{image}: there is no such file")));
    }
    if !pull || daemon {
        let own = format!("unix://{}", setting.paths.docker_socket().display());
        if let Some(file) = from_other_engine(image, &own)? {
            return super::monopod(setting, &["image", "load", &file.0.to_string_lossy()]);
        }
        // never a stranger's of the same name
        if holds(&images(&setting)?, image) {
            return Ok(ExitCode::SUCCESS);
        }
        if daemon {
            return Err(
                reason::GUEST_IMAGE.because(format!("image {image} was not found in the docker daemon"))
            );
        }
    }
    super::monopod(setting, &["image", "pull", image])
}

/// What the docker command finds in the engine that it points at, where that is another one than this.
fn from_other_engine(image: &str, own: &str) -> Result<Option<Temporary>, Exit> {
    let host = std::env::var("DOCKER_HOST").unwrap_or_default();
    if host == own
        || std::fs::canonicalize("/var/run/docker.sock")
            .is_ok_and(|real| format!("unix://{}", real.display()) == own)
    {
        return Ok(None);
    }
    let file = temporary()?;
    let save = Command::new("docker")
        .args(["image", "save", "-o"])
        .arg(&file.0)
        .arg(image)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    Ok(save.is_ok_and(|status| status.success()).then_some(file))
}

fn to_daemon(setting: Setting, image: &str) -> Outcome {
    let file = temporary()?;
    let path = file.0.to_string_lossy().into_owned();
    super::monopod(setting, &["image", "save", image, "-o", &path])?;
    let load = Command::new("docker").args(["image", "load", "-q", "-i", &path]).status();
    match load {
        Ok(status) if status.success() => Ok(ExitCode::SUCCESS),
        Ok(status) => Err(reason::GUEST_IMAGE.because(format!("docker image load ended with {status}"))),
        Err(e) => Err(reason::GUEST_IMAGE.because(format!("docker image load: {e}"))),
    }
}

fn to_standard_output(setting: Setting, image: &str) -> Outcome {
    let file = temporary()?;
    super::monopod(setting, &["image", "save", image, "-o", &file.0.to_string_lossy()])?;
    let copy = || -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        std::io::copy(&mut std::fs::File::open(&file.0)?, &mut out)?;
        out.flush()
    };
    copy().map_err(|e| reason::GUEST_IMAGE.because(e))?;
    Ok(ExitCode::SUCCESS)
}

/// A file that goes with its name.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Made anew and for nobody else to read: a name that is there already is another's.
fn temporary() -> Result<Temporary, Exit> {
    use std::os::unix::fs::OpenOptionsExt;
    let directory = std::env::temp_dir();
    for attempt in 0..16_u32 {
        let nanos = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default()
            .subsec_nanos();
        let path = directory.join(format!("minikube-image-{}-{nanos}-{attempt}.tar", std::process::id()));
        let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        if made.is_ok() {
            return Ok(Temporary(path));
        }
    }
    Err(reason::GUEST_IMAGE.because(format!("{}: no temporary file could be made", directory.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tests run in the directory of this crate.
    #[test]
    fn a_dockerfile_is_looked_for_in_its_context() {
        for (context, file, want) in [
            ("src/minikube", "image.rs", "src/minikube/image.rs"),
            ("src", "minikube/image.rs", "src/minikube/image.rs"),
            ("src/minikube", "Cargo.toml", "Cargo.toml"),
            ("src", "/etc/passwd", "/etc/passwd"),
            ("https://example.com/x.git", "Dockerfile", "Dockerfile"),
            ("-", "Dockerfile", "Dockerfile"),
        ] {
            assert_eq!(in_context(context, file), want, "{context} {file}");
        }
    }
}
