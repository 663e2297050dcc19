//! Why a command is refused: minikube's names for the reasons, and its exit codes.

use super::output::{self, Mark};
use crate::failures::{self, Failed};
use std::fmt;
use std::process::ExitCode;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reason {
    pub(super) id: &'static str,
    pub(super) code: u8,
}

macro_rules! reasons {
    ($($name:ident = $code:literal, $id:literal;)*) => {
        $(pub(super) const $name: Reason = Reason { id: $id, code: $code };)*
    };
}

reasons! {
    INTERNAL = 10, "MK_UNKNOWN";
    ADDON_ENABLE = 10, "MK_ADDON_ENABLE";
    ADDON_DISABLE = 10, "MK_ADDON_DISABLE";
    INTERRUPTED = 11, "MK_INTERRUPTED";
    OUTPUT_USAGE = 10, "MK_OUTPUT_USAGE";
    FORMAT_USAGE = 10, "MK_FORMAT_USAGE";
    STATUS_TEXT = 10, "MK_STATUS_TEXT";
    CONFIG_SET = 10, "MK_CONFIG_SET";
    CONFIG_UNSET = 10, "MK_CONFIG_UNSET";
    USAGE = 14, "MK_USAGE";
    USAGE_NO_PROFILE = 14, "MK_USAGE_NO_PROFILE";
    NOT_FOUND = 15, "MK_NOT_FOUND";
    UNIMPLEMENTED = 16, "MK_UNIMPLEMENTED";
    TOO_LITTLE_MEMORY = 23, "RSRC_INSUFFICIENT_REQ_MEMORY";
    DISK_TOO_SMALL = 26, "RSRC_INSUFFICIENT_STORAGE";
    TOO_FEW_CPUS = 29, "RSRC_INSUFFICIENT_CORES";
    HOST_STORAGE = 26, "RSRC_DOCKER_STORAGE";
    HOST_PATH_MISSING = 35, "HOST_PATH_MISSING";
    HOST_PERMISSION = 37, "HOST_PERMISSION";
    HOST_CONFIG = 38, "HOST_CONFIG_LOAD";
    KUBECONFIG = 38, "HOST_KUBECONFIG_UPDATE";
    INTERNET = 40, "INET_REPOS_UNAVAILABLE";
    DRIVER_UNSUPPORTED = 56, "DRV_UNSUPPORTED_OS";
    DRIVER_ROOT = 57, "DRV_NEEDS_ROOT";
    PROVIDER_NOT_FOUND = 65, "PROVIDER_NONE_NOT_FOUND";
    PORT = 81, "GUEST_PORT_CONFLICT";
    GUEST_PROVISION = 80, "GUEST_PROVISION";
    GUEST_IMAGE = 80, "GUEST_IMAGE_LOAD";
    GUEST_IMAGE_BUILD = 80, "GUEST_IMAGE_BUILD";
    GUEST_IMAGE_LIST = 80, "GUEST_IMAGE_LIST";
    GUEST_IMAGE_PULL = 80, "GUEST_IMAGE_PULL";
    GUEST_IMAGE_PUSH = 80, "GUEST_IMAGE_PUSH";
    GUEST_IMAGE_REMOVE = 80, "GUEST_IMAGE_REMOVE";
    GUEST_IMAGE_SAVE = 80, "GUEST_IMAGE_SAVE";
    GUEST_IMAGE_TAG = 80, "GUEST_IMAGE_TAG";
    GUEST_CP = 80, "GUEST_CP";
    GUEST_MOUNT = 80, "GUEST_MOUNT";
    GUEST_NOT_RUNNING = 83, "GUEST_NOT_RUNNING";
    GUEST_NOT_FOUND = 85, "GUEST_NOT_FOUND";
    GUEST_NODE = 80, "GUEST_NODE_ADD";
    GUEST_NODE_DELETE = 80, "GUEST_NODE_DELETE";
    GUEST_NODE_START = 80, "GUEST_NODE_START";
    GUEST_NODE_RETRIEVE = 85, "GUEST_NODE_RETRIEVE";
    GUEST_PAUSE = 80, "GUEST_PAUSE";
    GUEST_UNPAUSE = 80, "GUEST_UNPAUSE";
    CONTROL_PLANE_NOT_RUNNING = 103, "K8S_APISERVER_STOPPED";
    KUBERNETES_OLD = 106, "K8S_OLD_UNSUPPORTED";
    KUBERNETES_NEW = 106, "K8S_NEW_UNSUPPORTED";
    SERVICE_NOT_FOUND = 115, "SVC_NOT_FOUND";
    SERVICE_UNREACHABLE = 119, "SVC_UNREACHABLE";
}

impl Reason {
    pub(super) fn because(self, what: impl fmt::Display) -> Exit {
        Exit { reason: self, what: what.to_string(), advice: None }
    }
}

/// The end of a command that did not do what it was asked.
#[derive(Debug)]
pub(super) struct Exit {
    pub(super) reason: Reason,
    pub(super) what: String,
    pub(super) advice: Option<String>,
}

impl Exit {
    /// The user has been told.
    pub(super) fn silent(reason: Reason) -> Exit {
        Exit { reason, what: String::new(), advice: None }
    }

    pub(super) fn advise(mut self, advice: impl Into<String>) -> Exit {
        self.advice = Some(advice.into());
        self
    }

    /// With the name of what the command was at, where all that is known is that it is about `general`.
    pub(super) fn at(mut self, general: Reason, command: Reason) -> Exit {
        if self.reason == general {
            self.reason = command;
        }
        self
    }

    pub(super) fn report(self) -> ExitCode {
        if !self.what.is_empty() {
            output::problem(Mark::Fatal, &format!("Exiting due to {}: {}", self.reason.id, self.what));
            if let Some(advice) = &self.advice {
                output::problem(Mark::Tip, &format!("Suggestion: {advice}"));
            }
        }
        ExitCode::from(self.reason.code)
    }
}

/// A container that would not be held, or let go.
pub(super) fn of_pause(error: anyhow::Error, paused: bool) -> Exit {
    match failures::is(&error, failures::OTHER) {
        true if paused => GUEST_PAUSE.because(format!("Pause: {error:#}")),
        true => GUEST_UNPAUSE.because(format!("Unpause: {error:#}")),
        false => Exit::from(error),
    }
}

/// What `monopod` says of the same fault becomes the cause; its cure the suggestion.
impl From<anyhow::Error> for Exit {
    fn from(error: anyhow::Error) -> Exit {
        // a flag's value that only `monopod`'s own command looks at
        if let Some(usage) = error.downcast_ref::<clap::Error>() {
            let said = usage.to_string();
            let line = said.lines().next().unwrap_or_default();
            return USAGE.because(line.strip_prefix("error: ").unwrap_or(line));
        }
        let Some(failed) = error.downcast_ref::<Failed>() else {
            return INTERNAL.because(format!("{error:#}"));
        };
        let reason = match failed.failure.id {
            id if id == failures::NOT_ROOT.id => DRIVER_ROOT,
            id if id == failures::INTERRUPTED.id => INTERRUPTED,
            id if id == failures::PORT_TAKEN.id => PORT,
            id if id == failures::DISK_FULL.id => HOST_STORAGE,
            id if id == failures::NOT_OURS.id => HOST_PERMISSION,
            id if id == failures::STATE_DAMAGED.id => HOST_CONFIG,
            id if id == failures::NOT_RUNNING.id => GUEST_NOT_RUNNING,
            // as minikube has it for what needs a cluster: no command but `start` mends it
            id if id == failures::NO_KUBERNETES.id => {
                return USAGE
                    .because(format!("{error:#}"))
                    .advise("minikube start --kubernetes-version=stable");
            }
            id if id == failures::NO_ANSWER.id => CONTROL_PLANE_NOT_RUNNING,
            id if [failures::NO_NFT.id, failures::NO_CGROUPS.id, failures::NO_OVERLAY.id].contains(&id) => {
                PROVIDER_NOT_FOUND
            }
            id if id == failures::SERVICE_NOT_FOUND.id => SERVICE_NOT_FOUND,
            id if id == failures::SERVICE_NOT_READY.id || id == failures::SERVICE_UNREACHABLE.id => {
                SERVICE_UNREACHABLE
            }
            id if id == failures::MANIFEST.id => ADDON_ENABLE,
            id if id == failures::REGISTRY.id => INTERNET,
            id if id == failures::IMAGE.id => GUEST_IMAGE,
            id if id == failures::KUBECONFIG.id || id == failures::KUBECONFIG_OWNER.id => KUBECONFIG,
            id if id == failures::OTHER.id => INTERNAL,
            _ => GUEST_PROVISION,
        };
        let cure = failed.failure.cure.replace("monopod ", "minikube ");
        reason.because(format!("{error:#}: {}", failed.failure.cause)).advise(cure)
    }
}
