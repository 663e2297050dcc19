//! What the user's files say of the API server and of the scheduler, as a start finds them.

use crate::Paths;
use crate::error::StartError;
use crate::files::scheduler_profiles;
use crate::followed::FollowedFiles;
use crate::seen::Seen;
use crate::settings::Settings;
use audit::AuditLog;
use encryption::Encryption;
use scheduler::Profiles;
use std::sync::Arc;

pub(crate) struct ConfigFiles {
    pub(crate) audit: Option<Arc<AuditLog>>,
    pub(crate) authentication: authentication::Configuration,
    pub(crate) authorizers: Option<Vec<cluster::Authorizer>>,
    pub(crate) encryption: Arc<Encryption>,
    pub(crate) profiles: Profiles,
    pub(crate) followed: FollowedFiles,
}

impl ConfigFiles {
    /// And what of them is without effect.
    ///
    /// # Errors
    /// One can not be read, or says what can not be meant.
    pub(crate) fn read(paths: &Paths, settings: &Settings) -> Result<(Self, Option<String>), StartError> {
        let (profiles, note) = scheduler_profiles(settings.scheduler_config.as_deref())?;
        let files = settings.api_server_files.clone();
        let (mut authentication, mut authorization) = (Seen::default(), Seen::default());
        let opened = ConfigFiles {
            audit: files.open_audit_log(paths)?,
            authentication: files.authentication(&mut authentication)?,
            authorizers: files.authorization(&mut authorization)?,
            encryption: files.encryption()?,
            followed: FollowedFiles { files, authentication, authorization },
            profiles,
        };
        Ok((opened, note))
    }
}
