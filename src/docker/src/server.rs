//! The socket, its connections, and the way of a request to its handler.

use crate::api_version::MAX_VERSION_TEXT;
use crate::config::DockerConfig;
use crate::engine::Engine;
use crate::request::{ApiRequest, Body, Query, full};
use crate::request_line;
use crate::routes::Found;
use crate::socket::{Socket, SocketError};
use crate::upload::Upload;
use crate::{recover, routes, supervise};
use http::{HeaderValue, Method, Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use image::ImageStore;
use listener::{accept_all, serve_http};
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("{what} {}: {why}", path.display())]
    Place { what: &'static str, path: PathBuf, why: std::io::Error },
    #[error(transparent)]
    Socket(#[from] SocketError),
}

/// Binds the socket, takes up what an earlier run left, and serves until `stop`. Containers go on running afterwards.
///
/// # Errors
/// The directory or the socket can not be made.
pub async fn serve(
    config: DockerConfig,
    runtime: Arc<dyn cri::Runtime>,
    host_networks: Arc<dyn cri::Networks>,
    images: Arc<ImageStore>,
    stop: CancellationToken,
) -> Result<(), ServeError> {
    let socket = Socket::own(&config.socket)?;
    serve_on(vec![socket], config, runtime, host_networks, images, stop).await
}

/// The same on sockets that were bound before: whoever comes early waits instead of finding nobody.
///
/// # Errors
/// The directory can not be made.
pub async fn serve_on(
    sockets: Vec<Socket>,
    config: DockerConfig,
    runtime: Arc<dyn cri::Runtime>,
    host_networks: Arc<dyn cri::Networks>,
    images: Arc<ImageStore>,
    stop: CancellationToken,
) -> Result<(), ServeError> {
    // before anything is looked at: nothing that happens meanwhile is missed
    let happenings = runtime.events();
    let state_dir = config.state_dir.clone();
    let engine = Engine::open(config, runtime, host_networks, images, stop.clone())
        .map_err(|why| ServeError::Place { what: "open", path: state_dir, why })?;
    recover::take_up(&engine).await;
    let supervisor = tokio::spawn(supervise::follow(engine.clone(), happenings, stop.clone()));
    futures::future::join_all(sockets.iter().map(|socket| accept_at(&engine, socket, &stop))).await;
    let _ = supervisor.await;
    Ok(())
}

async fn accept_at(engine: &Arc<Engine>, socket: &Socket, stop: &CancellationToken) {
    let handle = |stream, ()| {
        let (engine, stop) = (engine.clone(), stop.clone());
        let service = service_fn(move |request| {
            let engine = engine.clone();
            async move { Ok::<_, Infallible>(answer(engine, request).await) }
        });
        async move { serve_http(request_line::encoded(stream), service, None, &stop).await }
    };
    accept_all("the Docker socket", &socket.listener, stop, handle).await;
}

async fn answer(engine: Arc<Engine>, mut request: Request<Incoming>) -> Response<Body> {
    let is_head = request.method() == Method::HEAD;
    let upgrade = request.extensions_mut().remove();
    let (parts, body) = request.into_parts();
    let (body, over) = Upload::new(body);
    let found = routes::find(&parts.method, parts.uri.path());
    let outcome = match found {
        Ok(Found { handler, path, version }) => {
            let query = Query::parse(parts.uri.query().unwrap_or_default());
            handler(ApiRequest { engine, path, version, query, headers: parts.headers, body, upgrade }).await
        }
        Err(refusal) => {
            drop(body);
            Err(refusal)
        }
    };
    let mut response = match outcome {
        Ok(response) => response,
        Err(refusal) => {
            let _ = over.await;
            refusal.into()
        }
    };
    if is_head {
        *response.body_mut() = full("");
    }
    for (name, value) in [
        ("api-version", MAX_VERSION_TEXT),
        ("docker-experimental", "false"),
        ("ostype", "linux"),
        ("server", "Docker/28.2.2 (linux)"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
