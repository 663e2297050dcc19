//! Builds without gRPC: of the clients that had BuildKit's client in them, before it was a plugin (Docker 18.09 to 20.10),
//! and of programs that speak to the engine themselves. They ask by one HTTP request and hear what goes on in its answer;
//! the context comes with the request, or the client has a session as all others.

use crate::BuildKit;
use crate::builds::Build;
use crate::proto::control::{Exporter, SolveRequest};
use crate::sent::SentContext;
use futures::StreamExt;
use prost::Message;
use std::collections::HashMap;
use std::sync::Arc;

/// What such a client asks for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PlainBuild {
    /// The client's own, by which it may cancel.
    pub id: String,
    /// Empty where the client has none.
    pub session: String,
    /// Of the frontend `dockerfile.v0`.
    pub attrs: HashMap<String, String>,
    /// Types of exporters, and their attributes.
    pub outputs: Vec<(String, HashMap<String, String>)>,
}

/// Where the context of such a build is.
pub enum PlainContext {
    /// Where the attributes say: in the session, or at an address.
    Elsewhere,
    /// In the request's body.
    Body(SentContext),
    /// In the body of another request, see [`BuildKit::give_context`].
    OtherRequest,
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
        context: PlainContext,
        told: impl Fn(Vec<u8>),
    ) -> Result<Option<String>, String> {
        let sent = match context {
            PlainContext::Elsewhere => None,
            PlainContext::Body(pieces) => Some(pieces),
            PlainContext::OtherRequest => Some(self.uploads.take(&asked.id).await?),
        };
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
        let (solved, ()) = tokio::join!(self.solve_with(Build::new(&request, sent), request), watched);
        match solved {
            Ok(mut response) => Ok(response.exporter_response.remove("containerimage.config.digest")),
            Err(status) => Err(format!("failed to solve: {}", status.message())),
        }
    }

    /// The context of the build that has this id, whose client sends it by a request of its own: `docker build -` of
    /// Docker 18.09 to 20.10. Comes to its end when the build has read it.
    ///
    /// # Errors
    /// No such build came for it.
    pub async fn give_context(&self, id: &str, pieces: SentContext) -> Result<(), String> {
        self.uploads.give(id, pieces).await
    }

    /// Ends a build. One that nobody knows is over already.
    pub fn cancel(&self, id: &str) {
        self.builds.cancel(id);
    }
}
