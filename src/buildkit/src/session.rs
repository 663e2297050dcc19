//! The way back to the client: it is a gRPC server on a connection that it opened itself, and answers for its files,
//! passwords, secrets and agents.

pub(crate) mod channel;
pub(crate) mod export;
pub(crate) mod files;
pub(crate) mod packing;
pub(crate) mod secrets;
pub(crate) mod ssh;
pub(crate) mod transfer;
pub(crate) mod upload;

use crate::proto::session::{CredentialsRequest, CredentialsResponse};
use async_trait::async_trait;
use channel::Channel;
use cri::Credentials;
use futures::Stream;
use http::HeaderMap;
use http::uri::{PathAndQuery, Uri};
use hyper::rt::{Read, Write};
use image::BuildCredentials;
use prost::Message;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tonic::client::Grpc;
use tonic::{Code, Request, Status, Streaming};
use tonic_prost::ProstCodec;

const ID: &str = "x-docker-expose-session-uuid";
const METHOD: &str = "x-docker-expose-session-grpc-method";
/// The client asks for a build and opens its session at the same time: either may be first. BuildKit waits as long.
const PATIENCE: Duration = Duration::from_secs(5);
/// The user whose password is an identity token, as the image store knows it.
const IDENTITY_TOKEN: &str = "<token>";
/// BuildKit's own limit for one message.
pub(crate) const MAX_MESSAGE: usize = 16 << 20;

/// A client that is there.
#[derive(Debug)]
pub(crate) struct Session {
    channel: Channel,
    /// What it offers, in lower case: `/moby.filesync.v1.filesync/diffcopy`.
    methods: HashSet<String>,
}

/// All clients that are there, by the ids that they gave themselves.
pub(crate) struct Sessions(watch::Sender<HashMap<String, Arc<Session>>>);

impl Default for Sessions {
    fn default() -> Self {
        Sessions(watch::Sender::new(HashMap::new()))
    }
}

impl Sessions {
    /// Serves as the client's session until its connection ends.
    pub(crate) async fn hold<C>(&self, headers: &HeaderMap, connection: C) -> Result<(), Status>
    where
        C: Read + Write + Unpin + Send + 'static,
    {
        let text = |value: &http::HeaderValue| value.to_str().ok().map(str::to_owned);
        let id = headers.get(ID).and_then(text).filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| Status::invalid_argument("a session needs an id"))?;
        let methods =
            headers.get_all(METHOD).iter().filter_map(text).map(|m| m.to_ascii_lowercase()).collect();
        let (channel, end) =
            Channel::open(connection).await.map_err(|e| Status::unavailable(e.to_string()))?;
        let session = Arc::new(Session { channel, methods });
        let is_new = self.0.send_if_modified(|all| {
            let is_new = !all.contains_key(&id);
            if is_new {
                all.insert(id.clone(), session);
            }
            is_new
        });
        if !is_new {
            return Err(Status::already_exists(format!("session {id} already exists")));
        }
        let _registered = Registered { sessions: self, id };
        end.await;
        Ok(())
    }

    /// The same for a client that may have none.
    pub(crate) async fn of(&self, id: &str) -> Result<Option<Arc<Session>>, Status> {
        match id {
            "" => Ok(None),
            id => self.get(id).await.map(Some),
        }
    }

    /// Waits a moment for one that is about to come.
    pub(crate) async fn get(&self, id: &str) -> Result<Arc<Session>, Status> {
        if id.is_empty() {
            return Err(Status::unavailable("no active sessions"));
        }
        let mut all = self.0.subscribe();
        let found = tokio::time::timeout(PATIENCE, all.wait_for(|all| all.contains_key(id))).await;
        let found = found.ok().and_then(Result::ok).and_then(|all| all.get(id).cloned());
        found.ok_or_else(|| {
            Status::unavailable(format!("no active session for {id}: context deadline exceeded"))
        })
    }
}

struct Registered<'s> {
    sessions: &'s Sessions,
    id: String,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.sessions.0.send_modify(|all| drop(all.remove(&self.id)));
    }
}

impl Session {
    pub(crate) fn offers(&self, method: &str) -> bool {
        self.methods.contains(&method.to_ascii_lowercase())
    }

    async fn grpc(&self) -> Result<Grpc<Channel>, Status> {
        let mut grpc = Grpc::with_origin(self.channel.clone(), Uri::from_static("http://localhost"))
            .max_decoding_message_size(MAX_MESSAGE);
        grpc.ready().await.map_err(|e| Status::unavailable(format!("the client is gone: {e}")))?;
        Ok(grpc)
    }

    pub(crate) async fn ask<Q, A>(&self, method: &'static str, question: Q) -> Result<A, Status>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let codec = ProstCodec::<Q, A>::default();
        let mut grpc = self.grpc().await?;
        let answer = grpc.unary(Request::new(question), PathAndQuery::from_static(method), codec).await?;
        Ok(answer.into_inner())
    }

    /// A stream in both directions. Some clients answer only after the first message: send while this is waited for.
    pub(crate) async fn talk<Q, A>(
        &self,
        method: &'static str,
        question: Request<impl Stream<Item = Q> + Send + 'static>,
    ) -> Result<Streaming<A>, Status>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let codec = ProstCodec::<Q, A>::default();
        let mut grpc = self.grpc().await?;
        let answer = grpc.streaming(question, PathAndQuery::from_static(method), codec).await?;
        Ok(answer.into_inner())
    }

    /// What `docker login` left with the client for a registry.
    pub(crate) async fn credentials(&self, domain: &str) -> Option<Credentials> {
        const METHOD: &str = "/moby.filesync.v1.Auth/Credentials";
        if !self.offers(METHOD) {
            return None;
        }
        // as BuildKit asks: the client knows Docker's own registry by this host
        let host = if domain == "docker.io" { "registry-1.docker.io" } else { domain };
        let answer = self.ask(METHOD, CredentialsRequest { host: host.to_owned() }).await;
        let CredentialsResponse { username, secret } = answer.ok()?;
        if secret.is_empty() {
            return None;
        }
        // an identity token comes without a user
        let username = if username.is_empty() { IDENTITY_TOKEN.to_owned() } else { username };
        Some(Credentials::Basic { username, password: secret })
    }
}

/// What the client is logged in to, asked for when a registry is.
pub(crate) struct Logins(pub(crate) Arc<Session>);

#[async_trait]
impl BuildCredentials for Logins {
    async fn credentials(&self, registry: &str) -> Vec<Credentials> {
        self.0.credentials(registry).await.into_iter().collect()
    }
}

/// Whether the client has no such thing, which is no failure.
pub(crate) fn is_absent(status: &Status) -> bool {
    matches!(status.code(), Code::NotFound | Code::Unimplemented)
}
