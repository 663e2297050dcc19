//! Files that are read again when they change: what they say then is in force without a start. One that is wrong is said in the
//! log, and what was read before stays in force, as upstream has it of its authorization and authentication configurations.
//!
//! Upstream looks at the one file, once a minute beside. Here every file that was read is followed (a kubeconfig, the certificates
//! and tokens that it names), by events of their directories alone: editors, and volumes of ConfigMaps, put a new file or a new link
//! in the old one's place.

use crate::error::StartError;
use crate::files::ApiServerFiles;
use crate::seen::Seen;
use apiserver::{ApiServer, ConfigFile};
use cluster::Cluster;
use cri::blocking;
use cri::logs::Watcher;
use std::fmt::Display;
use std::io;
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The user's files that are followed, as the start has read them.
pub(crate) struct FollowedFiles {
    pub(crate) files: ApiServerFiles,
    pub(crate) authentication: Seen,
    pub(crate) authorization: Seen,
}

/// One of them, and what it is read with.
struct Followed<T> {
    /// For the log.
    what: &'static str,
    files: ApiServerFiles,
    read: fn(&ApiServerFiles, &mut Seen) -> Result<T, StartError>,
    seen: Seen,
}

impl FollowedFiles {
    /// Until `stop`.
    pub(crate) fn start(
        self,
        server: &ApiServer,
        cluster: &Cluster,
        running: &mut JoinSet<()>,
        stop: &CancellationToken,
    ) {
        let FollowedFiles { files, authentication, authorization } = self;
        if !authentication.is_empty() {
            let followed = Followed {
                what: "authentication configuration",
                files: files.clone(),
                read: ApiServerFiles::authentication,
                seen: authentication,
            };
            let server = server.clone();
            let apply = move |changed: Option<authentication::Configuration>| {
                server.count_reload(ConfigFile::Authentication, changed.is_some());
                if let Some(configuration) = changed {
                    server.authenticate_by(configuration);
                }
            };
            running.spawn(followed.run(apply, stop.clone()));
        }
        if !authorization.is_empty() {
            let followed = Followed {
                what: "authorization configuration",
                files,
                read: ApiServerFiles::authorization,
                seen: authorization,
            };
            let (server, cluster) = (server.clone(), cluster.clone());
            let apply = move |changed: Option<Option<Vec<cluster::Authorizer>>>| {
                server.count_reload(ConfigFile::Authorization, changed.is_some());
                if let Some(Some(authorizers)) = changed {
                    cluster.authorize_by(authorizers);
                }
            };
            running.spawn(followed.run(apply, stop.clone()));
        }
    }
}

impl<T: Send + 'static> Followed<T> {
    /// Until `stop`. `apply` is called with what is read anew, and with `None` where that is wrong.
    async fn run(self, apply: impl Fn(Option<T>), stop: CancellationToken) {
        let Followed { what, files, read, mut seen } = self;
        let lost = |error: &dyn Display| tracing::error!(%error, "the {what} is not followed");
        let watcher = match Watcher::new() {
            Ok(watcher) => Arc::new(watcher),
            Err(error) => return lost(&error),
        };
        loop {
            let looked = {
                let (files, watcher) = (files.clone(), watcher.clone());
                blocking(move || look(&files, read, seen, &watcher)).await
            };
            let (now, news) = match looked {
                Ok(looked) => looked,
                Err(error) => return lost(&error),
            };
            seen = now;
            match news {
                Some(Ok(changed)) => {
                    tracing::info!("the {what} has changed, and is in force");
                    apply(Some(changed));
                    // it may name other files now
                    continue;
                }
                Some(Err(why)) => {
                    tracing::error!(%why, "the {what} has changed, and is wrong: what was read before stays in force");
                    apply(None);
                    continue;
                }
                None => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                happened = watcher.next() => if let Err(error) = happened {
                    return lost(&error);
                },
            }
        }
    }
}

/// Reads again, where something has changed. It is watched before, so that no change comes in between.
fn look<T>(
    files: &ApiServerFiles,
    read: fn(&ApiServerFiles, &mut Seen) -> Result<T, StartError>,
    before: Seen,
    watcher: &Watcher,
) -> io::Result<(Seen, Option<Result<T, StartError>>)> {
    before.watch(watcher)?;
    if !before.is_outdated() {
        return Ok((before, None));
    }
    let mut now = Seen::default();
    let news = read(files, &mut now);
    if news.is_err() {
        // some were not come to: each change of them is a reason to try again, and this one is not
        now.read_rest_of(&before);
    }
    Ok((now, Some(news)))
}

#[cfg(test)]
mod tests;
