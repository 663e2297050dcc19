//! How the command line talks to the daemon: one JSON line asks, JSON lines answer, on a socket that only root can open.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::Ipv4Addr;
use std::path::PathBuf;

/// What a refusal begins with where the request has words that this daemon does not know: who asks is of another version.
pub const NOT_UNDERSTOOD: &str = "request not understood";

/// What may be asked. A word that the daemon does not know is refused, and not passed over: it would do something else than what
/// was asked for. So that a daemon of before goes on to answer, what is not asked for is not sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ControlRequest {
    Status,
    /// Ends the daemon.
    Stop,
    /// The same at a later time, instead of what was scheduled before. Answers [`ControlReply::StopsAt`].
    ScheduleStop {
        after_seconds: u64,
    },
    CancelStop,
    /// Answers [`ControlReply::Counted`]: the containers of pods in these namespaces, of all without a list.
    Pause {
        namespaces: Option<BTreeSet<String>>,
    },
    Unpause {
        namespaces: Option<BTreeSet<String>>,
    },
    /// Answers [`ControlReply::Url`]: opens the dashboard once, for a few minutes.
    Dashboard {
        /// Whose browser it is to open; whoever's has the link, where nobody is named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user: Option<u32>,
    },
    /// Answers [`ControlReply::Services`]: every service that has ports.
    Services,
    /// The same for one service; waits until something stands behind it.
    Service {
        namespace: String,
        name: String,
        wait_seconds: u64,
    },
    /// Answers [`ControlReply::Progress`] and [`ControlReply::Told`] on the way, [`ControlReply::Images`] at the end.
    PullImage {
        name: String,
        /// `linux/arm64`; this machine's where it is not said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        platform: Option<String>,
        /// Every tag of the repository.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        all_tags: bool,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        logins: Vec<Login>,
    },
    /// Answers [`ControlReply::Progress`] and [`ControlReply::Told`] on the way.
    PushImage {
        name: String,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        all_tags: bool,
        logins: Vec<Login>,
    },
    /// Answers [`ControlReply::Output`] on the way, [`ControlReply::Images`] at the end.
    BuildImage(Box<BuildRequest>),
    TagImage {
        image: String,
        name: String,
    },
    /// Writes a docker-archive to a file of the machine.
    SaveImages {
        names: Vec<String>,
        path: PathBuf,
    },
    /// Answers [`ControlReply::Pruned`]. Without `all`, only images without a name and the steps of builds.
    PruneImages {
        all: bool,
    },
    /// A file of the machine: docker-archive, OCI archive, or the directory of an OCI layout.
    LoadImage {
        path: PathBuf,
    },
    Images,
    /// Answers [`ControlReply::Pruned`].
    RemoveImage {
        name: String,
    },
    /// Applies the manifests of an absolute path or a URL, and remembers them. Answers [`ControlReply::Objects`].
    EnableAddon {
        name: String,
        source: String,
    },
    /// Removes what was applied. Answers [`ControlReply::Objects`].
    DisableAddon {
        name: String,
    },
    /// Takes the tour; answers a [`ControlReply::Step`] and [`ControlReply::Told`]s for each of its steps.
    Demo,
}

/// What a registry is told of who asks.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// As Docker's configuration names it; empty for whichever is asked.
    pub registry: String,
    pub username: String,
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login(for {:?}, redacted)", self.registry)
    }
}

impl ControlRequest {
    /// # Errors
    /// The answer to a line that is none, or has words of another version.
    pub(crate) fn read(line: &str) -> Result<ControlRequest, ControlReply> {
        serde_json::from_str(line).map_err(|error| {
            let message =
                format!("{NOT_UNDERSTOOD}: {error} (the daemon is version {})", env!("CARGO_PKG_VERSION"));
            ControlReply::Failed { reason: Refusal::Other, message }
        })
    }
}

/// An image to be built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuildRequest {
    pub context: BuildContextAt,
    /// In the context; `Dockerfile` where empty.
    pub dockerfile: String,
    /// The Dockerfile itself, where it is not in the context.
    pub dockerfile_text: Option<String>,
    pub tags: Vec<String>,
    pub args: BTreeMap<String, String>,
    pub labels: BTreeMap<String, String>,
    /// A stage; the last one where empty.
    pub target: String,
    pub no_cache: bool,
    pub pull: bool,
    /// What `RUN --mount=type=secret` may ask for: id → a file of the machine.
    pub secrets: BTreeMap<String, PathBuf>,
    /// Sockets of agents for `RUN --mount=type=ssh`, by id.
    pub ssh: BTreeMap<String, PathBuf>,
    /// `os/arch[/variant]`; this machine's where empty.
    pub platform: String,
    /// `none` or `host`.
    pub network: Option<String>,
    /// `name:address`
    pub add_hosts: Vec<String>,
    /// What FROM and `--from` mean by these names: a directory of the machine, or an image behind `docker-image://`.
    pub build_contexts: BTreeMap<String, String>,
    pub logins: Vec<Login>,
}

/// Where the files of a build are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BuildContextAt {
    /// A directory of the machine.
    Directory(PathBuf),
    /// A tar of the machine, which may be packed.
    Archive(PathBuf),
    /// A repository, an archive or a Dockerfile.
    Url(String),
    Nowhere,
}

/// One line of an answer; the last is `Done` or `Failed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "kebab-case")]
pub enum ControlReply {
    Status(ControlStatus),
    Url {
        url: String,
    },
    Services {
        services: Vec<ServiceAddress>,
    },
    Images {
        images: Vec<cri::ImageInfo>,
    },
    Progress(PullProgress),
    /// What a build says, as it comes.
    Output {
        text: String,
    },
    /// Names and ids of what was removed, and the bytes that it had taken.
    Pruned {
        removed: Vec<String>,
        freed: u64,
    },
    /// What is done next, as the kubectl command that would do the same.
    Step {
        command: String,
    },
    /// What came of it.
    Told {
        what: String,
    },
    /// Seconds since 1970.
    StopsAt {
        at: u64,
    },
    Objects {
        objects: Vec<crate::AddonObject>,
    },
    Counted {
        containers: usize,
    },
    Done,
    Failed {
        reason: Refusal,
        message: String,
    },
}

/// What kind of no it is: the command line has an exit code and a cure for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// There is no such service.
    NotFound,
    /// A registry did not give the image, or does not take it.
    Registry,
    Image,
    /// Of an add-on: nothing was applied, or a part of it.
    Manifest,
    /// The daemon runs without it.
    NoKubernetes,
    /// Or one that a later daemon has a word for.
    #[serde(other)]
    Other,
}

/// How far one layer is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullProgress {
    /// The first twelve digits of the layer's digest.
    pub layer: String,
    /// `Downloading`, `Pull complete`, …: Docker's words.
    pub state: String,
    /// Bytes; 0 where they are not known.
    pub done: u64,
    pub total: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlStatus {
    pub profile: String,
    pub pid: u32,
    pub version: String,
    pub kubernetes: String,
    pub node_ip: Ipv4Addr,
    /// Empty without Kubernetes.
    pub api: String,
    pub ready: bool,
    #[serde(default)]
    pub without_kubernetes: bool,
    /// Some pods are frozen.
    #[serde(default)]
    pub paused: Option<kubelet::Paused>,
    /// Of a stop that is scheduled: seconds since 1970.
    #[serde(default)]
    pub stops_at: Option<u64>,
    /// Nothing new is stored until something is deleted.
    #[serde(default)]
    pub store_full: Option<StoreFull>,
}

/// Of the daemon's memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreFull {
    pub used: usize,
    pub limit: usize,
}

/// Where a service can be reached from the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceAddress {
    pub namespace: String,
    pub name: String,
    /// `ClusterIP`, `NodePort`, `LoadBalancer`, `ExternalName`
    pub kind: String,
    pub cluster_ip: Option<String>,
    pub external_ip: Option<String>,
    pub ports: Vec<ServicePort>,
    /// Some ready endpoint stands behind it.
    pub ready: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServicePort {
    pub name: Option<String>,
    pub protocol: String,
    pub port: i32,
    pub node_port: Option<i32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(line: &str) -> String {
        match ControlRequest::read(line) {
            Err(ControlReply::Failed { reason: Refusal::Other, message }) => message,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn words_of_another_version_are_refused_as_such() {
        let build = |context: &str, more: &str| {
            format!(
                r#"{{"do": "build-image", "context": {context}, "dockerfile": "", "dockerfile_text": null, "tags": [],
                "args": {{}}, "labels": {{}}, "target": "", "no_cache": false, "pull": false, "secrets": {{}}, "ssh": {{}},
                "platform": "", "network": null, "add_hosts": [], "build_contexts": {{}}, "logins": []{more}}}"#
            )
        };
        let ControlRequest::BuildImage(known) =
            ControlRequest::read(&build(r#"{"directory": "/x"}"#, "")).unwrap()
        else {
            panic!("another request")
        };
        assert_eq!(known.context, BuildContextAt::Directory("/x".into()));
        for (name, line, why) in [
            ("a context", build(r#"{"folder": "/x"}"#, ""), "unknown variant `folder`"),
            ("what a build is to do", build(r#""nowhere""#, r#", "squash": true"#), "unknown field `squash`"),
            ("a request", r#"{"do": "fly"}"#.to_owned(), "unknown variant `fly`"),
            (
                "an option",
                r#"{"do": "pull-image", "name": "x", "slowly": true}"#.to_owned(),
                "unknown field `slowly`",
            ),
            ("no request", "{".to_owned(), "EOF"),
        ] {
            let message = refused(&line);
            assert!(message.starts_with(NOT_UNDERSTOOD) && message.contains(why), "{name}: {message}");
            assert!(message.contains(env!("CARGO_PKG_VERSION")), "{name}: {message}");
        }
    }

    #[test]
    fn what_is_not_asked_for_is_not_sent() {
        let pull = ControlRequest::PullImage {
            name: "x".into(),
            platform: None,
            all_tags: false,
            logins: Vec::new(),
        };
        assert_eq!(serde_json::to_string(&pull).unwrap(), r#"{"do":"pull-image","name":"x"}"#);
        assert_eq!(
            serde_json::to_string(&ControlRequest::Dashboard { user: None }).unwrap(),
            r#"{"do":"dashboard"}"#
        );
    }

    #[test]
    fn a_no_of_a_later_daemon_is_a_no() {
        assert_eq!(serde_json::from_str::<Refusal>("\"later\"").unwrap(), Refusal::Other);
        for known in [Refusal::NotFound, Refusal::Registry, Refusal::NoKubernetes, Refusal::Other] {
            let text = serde_json::to_string(&known).unwrap();
            assert_eq!(serde_json::from_str::<Refusal>(&text).unwrap(), known, "{text}");
        }
    }
}
