//! A registry on loopback that misbehaves on demand.

use super::{config, gzip};
use crate::Digest;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures::StreamExt;
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub(crate) struct FakeRegistry {
    /// `127.0.0.1:port`
    pub(crate) host: String,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
pub(crate) struct State {
    host: String,
    blobs: HashMap<String, Vec<u8>>,
    /// Tag or digest → media type and bytes.
    manifests: HashMap<String, (String, Vec<u8>)>,
    pub(crate) auth: Auth,
    /// Cut answers with a blob after so many bytes, each once.
    pub(crate) cuts: Vec<usize>,
    pub(crate) ignore_ranges: bool,
    /// Hang up in the middle of uploads, each once, after so many bytes.
    pub(crate) upload_cuts: Vec<usize>,
    uploads: HashMap<String, Vec<u8>>,
    /// Send blobs from this host instead.
    pub(crate) redirect_to: Option<String>,
    /// Send manifests, further pages of tags and uploads to this host instead.
    pub(crate) sends_to: Option<String>,
    /// Refuse so many requests first, each with this status, and say when to come again.
    pub(crate) busy: Vec<(u16, Option<&'static str>)>,
    /// `GET /v2/… bytes=0-`, with what authorised it.
    pub(crate) log: Vec<(String, Option<String>)>,
}

#[derive(Default, Clone, PartialEq)]
pub(crate) enum Auth {
    #[default]
    None,
    Basic,
    /// Tokens for all who ask, but only `user:secret` may see anything.
    Token,
    /// Tokens for all, and all may see.
    AnonymousToken,
}

impl State {
    pub(crate) fn manifest_digest(&self, tag: &str) -> Digest {
        Digest::of(&self.manifests[tag].1)
    }
}

/// Configurations are not cut.
const SMALL: usize = 1000;
const PASSWORD: &str = "user:secret";

impl FakeRegistry {
    pub(crate) async fn start() -> FakeRegistry {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let state = Arc::new(Mutex::new(State { host: host.clone(), ..State::default() }));
        let task = tokio::spawn(serve(listener, state.clone()));
        FakeRegistry { host, state, task }
    }

    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap())
    }

    /// Requests whose line holds `part`.
    pub(crate) fn asked(&self, part: &str) -> usize {
        self.change(|state| state.log.iter().filter(|(line, _)| line.contains(part)).count())
    }

    pub(crate) fn put_blob(&self, bytes: Vec<u8>) -> Digest {
        let digest = Digest::of(&bytes);
        self.change(|state| state.blobs.insert(digest.to_string(), bytes));
        digest
    }

    /// Answers with other bytes than the digest promises.
    pub(crate) fn forge_blob(&self, digest: &Digest, bytes: Vec<u8>) {
        self.change(|state| state.blobs.insert(digest.to_string(), bytes));
    }

    /// What names it stays.
    pub(crate) fn lose_blob(&self, digest: &Digest) {
        self.change(|state| state.blobs.remove(digest.as_str()));
    }

    pub(crate) fn put_manifest(&self, tag: &str, media_type: &str, document: &serde_json::Value) -> Digest {
        let bytes = document.to_string().into_bytes();
        let digest = Digest::of(&bytes);
        self.change(|state| {
            state.manifests.insert(tag.to_owned(), (media_type.to_owned(), bytes.clone()));
            state.manifests.insert(digest.to_string(), (media_type.to_owned(), bytes));
        });
        digest
    }

    /// An image of these layers, packed; gives its id and the layers' blobs.
    pub(crate) fn put_image(&self, tag: &str, layers: &[Vec<u8>]) -> (Digest, Vec<Digest>) {
        let packed: Vec<Vec<u8>> = layers.iter().map(|layer| gzip(layer)).collect();
        let sizes: Vec<usize> = packed.iter().map(Vec::len).collect();
        let blobs: Vec<Digest> = packed.into_iter().map(|layer| self.put_blob(layer)).collect();
        let config = config(layers);
        let size = config.len();
        let id = self.put_blob(config);
        let described: Vec<_> = blobs
            .iter()
            .zip(sizes)
            .map(|(digest, size)| json!({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest, "size": size}))
            .collect();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": crate::manifest::OCI_MANIFEST,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": id, "size": size},
            "layers": described,
        });
        self.put_manifest(tag, crate::manifest::OCI_MANIFEST, &manifest);
        (id, blobs)
    }
}

impl Drop for FakeRegistry {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Answer = Response<UnsyncBoxBody<Bytes, io::Error>>;

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
    while let Ok((socket, _)) = listener.accept().await {
        let state = state.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let state = state.clone();
            async move { receive(&state, request).await }
        });
        tokio::spawn(
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service),
        );
    }
}

/// Takes the body of an upload, as far as it is let, before the answer.
async fn receive(state: &Mutex<State>, request: Request<Incoming>) -> io::Result<Answer> {
    let (parts, mut body) = request.into_parts();
    if parts.method == Method::CONNECT {
        state.lock().unwrap().log.push((format!("CONNECT {}", parts.uri), None));
        return Ok(small(StatusCode::FORBIDDEN, "this proxy makes no tunnels"));
    }
    let is_upload = parts.method == Method::PATCH || parts.method == Method::PUT;
    let cut = if is_upload && parts.method == Method::PATCH {
        state.lock().unwrap().upload_cuts.pop()
    } else {
        None
    };
    let mut received = Vec::new();
    while let Some(frame) = body.frame().await {
        received.extend(frame.map_err(io::Error::other)?.into_data().unwrap_or_default());
        if cut.is_some_and(|cut| received.len() > cut) {
            break;
        }
    }
    let mut state = state.lock().unwrap();
    if parts.method == Method::PATCH {
        received.truncate(cut.unwrap_or(usize::MAX));
        state.uploads.entry(parts.uri.path().to_owned()).or_default().append(&mut received);
    }
    match cut {
        Some(_) => Err(io::Error::other("cut")),
        None => Ok(answer(&mut state, &Request::from_parts(parts, received))),
    }
}

fn answer(state: &mut State, request: &Request<Vec<u8>>) -> Answer {
    let text = |name: &str| request.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let path = request.uri().path().to_owned();
    let line = format!("{} {path} {}", request.method(), text("range").unwrap_or_default());
    state.log.push((line, text("authorization")));
    if path == "/token" && request.method() == Method::POST {
        return exchange(std::str::from_utf8(request.body()).unwrap());
    }
    if path == "/token" {
        return token(state, text("authorization"), request.uri().query().unwrap_or_default());
    }
    if let Some(refused) = refuse(state, text("authorization")) {
        return refused;
    }
    if let Some((status, after)) = state.busy.pop() {
        let mut answer = small(StatusCode::from_u16(status).unwrap(), "");
        answer.headers_mut().extend(after.map(|after| (http::header::RETRY_AFTER, after.parse().unwrap())));
        return answer;
    }
    if path.contains("/uploads/") {
        return upload(state, request);
    }
    if request.method() == Method::PUT {
        state.manifests.insert("pushed".into(), ("application/json".into(), request.body().clone()));
        return small(StatusCode::CREATED, "");
    }
    match path.trim_start_matches("/v2/").rsplitn(3, '/').collect::<Vec<_>>()[..] {
        [version, "manifests", _] => manifest(state, version),
        ["list", "tags", name] => tags(state, name, request.uri().query().unwrap_or_default()),
        [digest, "blobs", _] => blob(state, digest, text("range")),
        _ => small(StatusCode::OK, "{}"),
    }
}

fn token(state: &State, authorization: Option<String>, query: &str) -> Answer {
    assert!(query.contains("service=fake%2Eregistry") && query.contains("scope=repository%3A"), "{query}");
    let known = format!("Basic {}", BASE64_STANDARD.encode(PASSWORD));
    let token = match authorization {
        Some(given) if given == known => "good",
        Some(_) => return small(StatusCode::UNAUTHORIZED, r#"{"details":"incorrect username or password"}"#),
        None if state.auth == Auth::AnonymousToken => "good",
        None => "weak",
    };
    small(StatusCode::OK, &json!({"token": token}).to_string())
}

/// A token for a token.
fn exchange(form: &str) -> Answer {
    assert!(form.starts_with("grant_type=refresh%5Ftoken&service=fake%2Eregistry"), "{form}");
    match form.ends_with("&refresh_token=identity") {
        true => small(StatusCode::OK, r#"{"access_token":"good"}"#),
        false => small(StatusCode::UNAUTHORIZED, r#"{"details":"invalid refresh token"}"#),
    }
}

fn refuse(state: &State, authorization: Option<String>) -> Option<Answer> {
    let (challenge, wanted) = match state.auth {
        Auth::None => return None,
        Auth::Basic => {
            (r#"Basic realm="fake""#.to_owned(), format!("Basic {}", BASE64_STANDARD.encode(PASSWORD)))
        }
        Auth::Token | Auth::AnonymousToken => (
            format!(
                r#"Bearer realm="http://{}/token",service="fake.registry",scope="repository:a:pull""#,
                state.host
            ),
            "Bearer good".to_owned(),
        ),
    };
    if authorization == Some(wanted) {
        return None;
    }
    let body = r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#;
    let mut answer = small(StatusCode::UNAUTHORIZED, body);
    answer.headers_mut().insert("www-authenticate", challenge.parse().unwrap());
    Some(answer)
}

fn manifest(state: &State, version: &str) -> Answer {
    if let Some(host) = &state.sends_to {
        let mut answer = small(StatusCode::TEMPORARY_REDIRECT, "");
        let location = format!("http://{host}/v2/elsewhere/manifests/{version}");
        answer.headers_mut().insert("location", location.parse().unwrap());
        return answer;
    }
    let Some((media_type, bytes)) = state.manifests.get(version) else {
        return small(
            StatusCode::NOT_FOUND,
            r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#,
        );
    };
    let mut answer = small(StatusCode::OK, std::str::from_utf8(bytes).unwrap());
    answer.headers_mut().insert("content-type", media_type.parse().unwrap());
    answer
}

/// One on each page.
fn tags(state: &State, name: &str, query: &str) -> Answer {
    let mut tags: Vec<&String> = state.manifests.keys().filter(|key| !key.contains(':')).collect();
    tags.sort();
    let at = query.strip_prefix("last=").map_or(0, |last| last.parse::<usize>().unwrap());
    let mut answer = small(StatusCode::OK, &json!({"name": name, "tags": tags.get(at..=at)}).to_string());
    if at + 1 < tags.len() {
        let host = state.sends_to.as_ref().map(|host| format!("http://{host}")).unwrap_or_default();
        let next = format!("<{host}/v2/{name}/tags/list?last={}>; rel=\"next\"", at + 1);
        answer.headers_mut().insert("link", next.parse().unwrap());
    }
    answer
}

fn blob(state: &mut State, digest: &str, range: Option<String>) -> Answer {
    if let Some(host) = &state.redirect_to {
        let mut answer = small(StatusCode::TEMPORARY_REDIRECT, "");
        answer
            .headers_mut()
            .insert("location", format!("http://{host}/v2/elsewhere/blobs/{digest}").parse().unwrap());
        return answer;
    }
    let Some(bytes) = state.blobs.get(digest) else { return small(StatusCode::NOT_FOUND, "{}") };
    let start = range
        .filter(|_| !state.ignore_ranges)
        .map_or(0, |range| range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap());
    let rest = bytes[start..].to_vec();
    let length = rest.len();
    let sent = if length > SMALL { state.cuts.pop().map_or(length, |cut| cut.min(length)) } else { length };
    let data = Bytes::from(rest[..sent].to_vec());
    let frames = futures::stream::iter([Ok(Frame::data(data))]);
    // waits once, so that what is there goes out before the cut
    let cut = futures::stream::iter((sent < length).then_some(())).then(|()| async {
        tokio::task::yield_now().await;
        Err(io::Error::other("cut"))
    });
    let mut answer = Response::new(StreamBody::new(frames.chain(cut).boxed()).boxed_unsync());
    answer.headers_mut().insert("content-length", length.into());
    if start > 0 {
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
        let range = format!("bytes {start}-{}/{}", bytes.len() - 1, bytes.len());
        answer.headers_mut().insert("content-range", range.parse().unwrap());
    }
    answer
}

fn upload(state: &mut State, request: &Request<Vec<u8>>) -> Answer {
    let path = request.uri().path();
    let (status, location) = match *request.method() {
        Method::POST => {
            let host = state.sends_to.as_ref().map(|host| format!("http://{host}")).unwrap_or_default();
            (StatusCode::ACCEPTED, format!("{host}{path}{}", state.log.len()))
        }
        Method::PUT => {
            let mut bytes = state.uploads.remove(path).unwrap_or_default();
            bytes.extend_from_slice(request.body());
            let digest = Digest::of(&bytes);
            assert!(request.uri().query().unwrap_or_default().contains(digest.as_str()), "another digest");
            state.blobs.insert(digest.to_string(), bytes);
            (StatusCode::CREATED, path.to_owned())
        }
        Method::PATCH => (StatusCode::ACCEPTED, path.to_owned()),
        _ => (StatusCode::NO_CONTENT, path.to_owned()),
    };
    let mut answer = small(status, "");
    answer.headers_mut().insert("location", location.parse().unwrap());
    let length = state.uploads.get(path).map_or(0, Vec::len);
    answer.headers_mut().insert("range", format!("0-{}", length.saturating_sub(1)).parse().unwrap());
    answer
}

fn small(status: StatusCode, body: &str) -> Answer {
    let body =
        Full::new(Bytes::copy_from_slice(body.as_bytes())).map_err(|never| match never {}).boxed_unsync();
    Response::builder().status(status).body(body).unwrap()
}
