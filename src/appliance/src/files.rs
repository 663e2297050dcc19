//! The files of the user that say how API server and scheduler work. Where they are is kept for later starts; what is in them is
//! read at each start, as upstream's do. Those that say who is believed and who may do what are followed from then on
//! (`followed.rs`).

use crate::Paths;
use crate::error::StartError;
use crate::seen::Seen;
use apiserver::AccessWebhookClient;
use audit::{AuditLog, Policy, Rotation};
use authentication::Configuration;
use authorization::Connection;
use cluster::Authorizer;
use encryption::Encryption;
use scheduler::Profiles;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Upstream's size of a file; of those that were put aside upstream keeps all where nobody says otherwise, which fills disks.
const ROTATION: Rotation = Rotation { largest_file: 100 << 20, kept_files: 10 };

/// Absolute paths.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApiServerFiles {
    /// `audit.k8s.io/v1`, kind `Policy`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit_policy: Option<PathBuf>,
    /// In the profile's own directory where nobody says otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit_log: Option<PathBuf>,
    /// `apiserver.config.k8s.io/v1`, kind `AuthenticationConfiguration`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authentication_config: Option<PathBuf>,
    /// `apiserver.config.k8s.io/v1`, kind `AuthorizationConfiguration`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization_config: Option<PathBuf>,
    /// `apiserver.config.k8s.io/v1`, kind `EncryptionConfiguration`. The profile's from when its state was opened with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption_provider_config: Option<PathBuf>,
}

impl ApiServerFiles {
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// # Errors
    /// A file that can not be read or is none.
    pub(crate) fn authentication(&self, seen: &mut Seen) -> Result<Configuration, StartError> {
        const WHAT: &str = "authentication configuration";
        let Some(path) = &self.authentication_config else { return Ok(Configuration::default()) };
        Configuration::parse(&text(WHAT, path, seen)?).map_err(|why| wrong(WHAT, path, &why))
    }

    /// Who is asked what somebody may do; `None` is what a cluster begins with.
    ///
    /// # Errors
    /// A file that can not be read or is none, and the same of those that say where its webhooks are.
    pub(crate) fn authorization(&self, seen: &mut Seen) -> Result<Option<Vec<Authorizer>>, StartError> {
        const WHAT: &str = "authorization configuration";
        let Some(path) = &self.authorization_config else { return Ok(None) };
        let file = authorization::Configuration::parse(&text(WHAT, path, seen)?);
        let file = file.map_err(|why| wrong(WHAT, path, &why))?;
        let mut authorizers = Vec::new();
        for authorizer in file.authorizers {
            authorizers.push(match authorizer {
                authorization::Authorizer::AlwaysAllow => Authorizer::AlwaysAllow,
                authorization::Authorizer::AlwaysDeny => Authorizer::AlwaysDeny,
                authorization::Authorizer::Node => Authorizer::Node,
                authorization::Authorizer::Rbac => Authorizer::Rbac,
                authorization::Authorizer::Webhook(webhook) => {
                    Authorizer::Webhook(Arc::new(access_webhook(*webhook, seen)?))
                }
            });
        }
        Ok(Some(authorizers))
    }

    /// # Errors
    /// A file that can not be read or is none.
    pub(crate) fn encryption(&self) -> Result<Arc<Encryption>, StartError> {
        const WHAT: &str = "encryption configuration";
        let Some(path) = &self.encryption_provider_config else { return Ok(Arc::default()) };
        let text = text(WHAT, path, &mut Seen::default())?;
        Encryption::parse(&text).map(Arc::new).map_err(|why| wrong(WHAT, path, &why))
    }

    /// # Errors
    /// A policy that can not be read or is none, a log that can not be written.
    pub(crate) fn open_audit_log(&self, paths: &Paths) -> Result<Option<Arc<AuditLog>>, StartError> {
        let Some(path) = &self.audit_policy else { return Ok(None) };
        let text = text("audit policy", path, &mut Seen::default())?;
        let policy = Policy::parse(&text).map_err(|why| wrong("audit policy", path, &why))?;
        let log = self.audit_log.clone().unwrap_or_else(|| paths.audit_log());
        let open = AuditLog::open(policy, &log, ROTATION).map_err(|why| wrong("audit log", &log, &why))?;
        Ok(Some(Arc::new(open)))
    }
}

/// How the scheduler places pods, and what of the file means nothing here; without a file as upstream does.
///
/// # Errors
/// A file that can not be read or is none.
pub(crate) fn scheduler_profiles(path: Option<&Path>) -> Result<(Profiles, Option<String>), StartError> {
    const WHAT: &str = "scheduler configuration";
    let Some(path) = path else { return Ok((Profiles::default(), None)) };
    let text = text(WHAT, path, &mut Seen::default())?;
    let profiles = Profiles::parse(&text).map_err(|why| wrong(WHAT, path, &why))?;
    let idle = profiles.without_effect().join(", ");
    let note = format!("{WHAT} {}: without effect in this process: {idle}", path.display());
    Ok((profiles, Some(note).filter(|_| !idle.is_empty())))
}

fn access_webhook(
    webhook: authorization::Webhook,
    seen: &mut Seen,
) -> Result<AccessWebhookClient, StartError> {
    const WHAT: &str = "kubeconfig of an authorization webhook";
    let path = webhook.kubeconfig.clone();
    let text = text(WHAT, &path, seen)?;
    let seen = RefCell::new(seen);
    let connection = Connection::parse(&text, &path, |named| seen.borrow_mut().read(named));
    let connection = connection.map_err(|why| wrong(WHAT, &path, &why))?;
    AccessWebhookClient::new(webhook, connection).map_err(|why| wrong(WHAT, &path, &why))
}

fn text(what: &str, path: &Path, seen: &mut Seen) -> Result<String, StartError> {
    let text = seen.read(path).and_then(|bytes| String::from_utf8(bytes).map_err(io::Error::other));
    text.map_err(|why| wrong(what, path, &why))
}

fn wrong(what: &str, path: &Path, why: &dyn std::fmt::Display) -> StartError {
    StartError::Configuration { what: format!("{what} {}: {why}", path.display()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_the_users_that_is_none_is_no_fault_of_the_cluster() {
        let dir = tempfile::tempdir().unwrap();
        let odd = dir.path().join("odd.yaml");
        std::fs::write(&odd, "kind: x").unwrap();
        for path in [odd, dir.path().join("none.yaml"), dir.path().to_owned()] {
            let files =
                ApiServerFiles { encryption_provider_config: Some(path.clone()), ..Default::default() };
            for error in [scheduler_profiles(Some(&path)).err(), files.encryption().err()] {
                let shown = path.display();
                assert!(matches!(error, Some(StartError::Configuration { .. })), "{shown}: {error:?}");
            }
        }
    }
}
