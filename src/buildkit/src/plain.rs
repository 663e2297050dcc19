//! Builds of the clients that had BuildKit's client in them, before it was a plugin (Docker 18.09 to 20.10): they ask by
//! one HTTP request, hear what goes on in its answer, and have a session as all others.

use crate::BuildKit;
use crate::proto::control::{Exporter, SolveRequest};
use futures::StreamExt;
use prost::Message;
use std::collections::HashMap;
use std::sync::Arc;
use tonic::Request;

/// What such a client asks for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PlainBuild {
    /// The client's own, by which it may cancel.
    pub id: String,
    pub session: String,
    /// Of the frontend `dockerfile.v0`.
    pub attrs: HashMap<String, String>,
    /// Types of exporters, and their attributes.
    pub outputs: Vec<(String, HashMap<String, String>)>,
}

impl BuildKit {
    /// `told` gets what goes on, each piece an encoded `moby.buildkit.v1.StatusResponse`. Gives the image's id, where the
    /// result is one in the store.
    ///
    /// # Errors
    /// In BuildKit's words.
    pub async fn build_plain(
        self: Arc<Self>,
        asked: PlainBuild,
        told: impl Fn(Vec<u8>),
    ) -> Result<Option<String>, String> {
        let exporters = asked.outputs.into_iter().map(|(r#type, attrs)| Exporter { r#type, attrs });
        let request = SolveRequest {
            r#ref: asked.id.clone(),
            session: asked.session,
            frontend: "dockerfile.v0".to_owned(),
            frontend_attrs: asked.attrs,
            exporters: exporters.collect(),
            ..SolveRequest::default()
        };
        let watched = async {
            let Ok(progress) = self.builds.progress(&asked.id).await else { return };
            let mut all = std::pin::pin!(progress.follow());
            while let Some(message) = all.next().await {
                told(message.encode_to_vec());
            }
        };
        let (solved, ()) = tokio::join!(self.clone().solve(Request::new(request)), watched);
        match solved {
            Ok(mut response) => Ok(response.exporter_response.remove("containerimage.config.digest")),
            Err(status) => Err(format!("failed to solve: {}", status.message())),
        }
    }

    /// Ends a build. One that nobody knows is over already.
    pub fn cancel(&self, id: &str) {
        self.builds.cancel(id);
    }
}
