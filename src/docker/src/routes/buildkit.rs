//! Connections that leave HTTP/1 for gRPC: the buildx plugin's.

use crate::call::{Answer, Call, full};
use crate::refusal::Refusal;
use http::header::{CONNECTION, UPGRADE};
use http::{HeaderValue, Response, StatusCode};
use hyper::upgrade::Upgraded;

/// HTTP/2 without TLS and without asking again.
const PROTOCOL: &str = "h2c";

/// The client asks the builder.
pub(super) async fn grpc(call: Call) -> Answer {
    let kit = call.engine.buildkit.clone();
    switch(call, move |connection, _| kit.serve(connection))
}

/// The builder will ask the client.
pub(super) async fn session(call: Call) -> Answer {
    let kit = call.engine.buildkit.clone();
    switch(call, move |connection, headers| async move { kit.hold_session(&headers, connection).await })
}

/// 101, and the task that serves what follows, until its end or the engine's.
fn switch<F>(call: Call, serve: impl FnOnce(Upgraded, http::HeaderMap) -> F + Send + 'static) -> Answer
where
    F: Future<Output = ()> + Send + 'static,
{
    let protocol = call.header("upgrade").map(str::to_owned);
    let protocol = protocol.ok_or_else(|| Refusal::bad("no upgrade proto in request"))?;
    let upgrade = call.upgrade.filter(|_| protocol.eq_ignore_ascii_case(PROTOCOL));
    let upgrade = upgrade.ok_or_else(|| Refusal::bad(format_args!("protocol {protocol} not supported")))?;
    let (stop, headers) = (call.engine.stop.clone(), call.headers);
    tokio::spawn(async move {
        let Ok(connection) = upgrade.await else { return };
        tokio::select! {
            () = serve(connection, headers) => {}
            () = stop.cancelled() => {}
        }
    });
    let mut response = Response::new(full(""));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    response.headers_mut().insert(UPGRADE, HeaderValue::from_static(PROTOCOL));
    Ok(response)
}
