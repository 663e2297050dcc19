//! BuildKit's protocol, for the buildx plugin, `docker buildx bake` and compose: what they build is built by the image
//! store's own builder.
//!
//! The client opens two connections and leaves HTTP/1 on both. On one it is a gRPC client (`server.rs`: the services
//! Control and LLBBridge), on the other it is the server (`session.rs`): there it is asked for its files, passwords,
//! secrets and ssh agents. A build lives as long as the call that asked for it. This crate knows no HTTP routes and no
//! containers: a RUN is run by the [`image::BuildRunner`] that it is given. What it does not do: low-level builds (LLB) of
//! other frontends, several platforms, attestations, caches in registries.
//!
//! Read `control.rs` first, then `solve.rs`; questions about a Dockerfile are in `subrequests.rs`, what a build warns of in `lint.rs`;
//! `session/transfer.rs` is how files come.

#![forbid(unsafe_code)]

mod bridge;
mod builds;
mod control;
mod errors;
mod export;
mod frontend;
mod history;
mod lint;
mod meter;
mod plain;
mod progress;
mod proto;
mod reading;
mod results;
mod sent;
mod server;
mod session;
mod solve;
mod subrequests;
mod usage;
mod vertices;
mod worker;

use builds::Builds;
use history::History;
use http::HeaderMap;
use hyper::rt::{Read, Write};
use image::{BuildRunner, ImageStore};
pub use plain::{PlainBuild, PlainContext};
pub use sent::SentContext;
use sent::Uploads;
use session::Sessions;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
pub use usage::{CachedStep, cached_steps, made_up_to};

/// All that the builder is told.
#[derive(Debug, Clone)]
pub struct BuildKitConfig {
    /// The worker's name.
    pub name: String,
    /// Its own, for sockets of ssh agents. What an earlier run left there is removed.
    pub state_dir: PathBuf,
    /// What containers know the machine by.
    pub gateway: Ipv4Addr,
}

pub struct BuildKit {
    config: BuildKitConfig,
    images: Arc<ImageStore>,
    runner: Arc<dyn BuildRunner>,
    /// Hears the id of every image that was built, and its names.
    told: Box<dyn Fn(&str, &[String]) + Send + Sync>,
    sessions: Sessions,
    builds: Builds,
    uploads: Uploads,
    history: History,
}

impl BuildKit {
    pub fn new(
        config: BuildKitConfig,
        images: Arc<ImageStore>,
        runner: Arc<dyn BuildRunner>,
        told: impl Fn(&str, &[String]) + Send + Sync + 'static,
    ) -> Arc<BuildKit> {
        // nobody else's: sockets of agents that ended with an earlier run
        let _ = std::fs::remove_dir_all(&config.state_dir);
        Arc::new(BuildKit {
            config,
            images,
            runner,
            told: Box::new(told),
            sessions: Sessions::default(),
            builds: Builds::default(),
            uploads: Uploads::default(),
            history: History::default(),
        })
    }

    /// Serves a connection that left HTTP at `/grpc`, until its client ends it.
    pub async fn serve<C>(self: Arc<Self>, connection: C)
    where
        C: Read + Write + Unpin + Send + 'static,
    {
        if let Err(error) = server::serve(self, connection).await {
            tracing::debug!(%error, "a client of the builder went away");
        }
    }

    /// The same at `/session`, where the roles are changed: `headers` are those of the request.
    pub async fn hold_session<C>(&self, headers: &HeaderMap, connection: C)
    where
        C: Read + Write + Unpin + Send + 'static,
    {
        if let Err(status) = self.sessions.hold(headers, connection).await {
            tracing::debug!(%status, "a session was refused");
        }
    }
}
