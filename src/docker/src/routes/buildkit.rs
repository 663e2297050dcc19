//! Connections that leave HTTP/1 for gRPC: the buildx plugin's.

use super::images::told;
use crate::error::{ApiError, Result};
use crate::model::Ulimit;
use crate::record::new_id;
use crate::request::{ApiRequest, ApiResponse, Query, empty, full};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use buildkit::{PlainBuild, PlainContext};
use http::header::{CONNECTION, UPGRADE};
use http::{HeaderValue, Response, StatusCode};
use hyper::upgrade::Upgraded;
use serde::Deserialize;
use serde_json::json as value;
use std::collections::{BTreeMap, HashMap};

/// HTTP/2 without TLS and without asking again.
const PROTOCOL: &str = "h2c";

/// What `remote` says of a context that the client's session has.
const SESSION: &str = "client-session";
/// The same of one that comes by another request, whose `buildid` is the build's own after this and a colon.
const UPLOAD: &str = "upload-request";
const UPLOAD_TO: &str = "upload-request:";

/// The client asks the builder.
pub(super) async fn grpc(request: ApiRequest) -> ApiResponse {
    let kit = request.engine.buildkit.clone();
    switch(request, move |connection, _| kit.serve(connection))
}

/// The builder will ask the client.
pub(super) async fn session(request: ApiRequest) -> ApiResponse {
    let kit = request.engine.buildkit.clone();
    switch(request, move |connection, headers| async move { kit.hold_session(&headers, connection).await })
}

/// The same without a plugin: what goes on is told in the answer.
pub(super) async fn build(request: ApiRequest) -> ApiResponse {
    if let Some(id) = request.query.get("buildid").and_then(|id| id.strip_prefix(UPLOAD_TO)) {
        let (kit, id) = (request.engine.buildkit.clone(), id.to_owned());
        kit.give_context(&id, request.into_pieces()).await.map_err(ApiError::internal)?;
        return empty(StatusCode::OK);
    }
    let asked = plain(&request.query)?;
    let kit = request.engine.buildkit.clone();
    let context = match request.query.get("remote") {
        None => PlainContext::Body(request.into_pieces()),
        Some(UPLOAD) => PlainContext::OtherRequest,
        Some(_) => PlainContext::Elsewhere,
    };
    told(move |lines| async move {
        let trace = |message: Vec<u8>| {
            lines.say(&value!({"id": "moby.buildkit.trace", "aux": STANDARD.encode(message)}));
        };
        match kit.build_plain(asked, context, trace).await {
            Ok(Some(id)) => lines.say(&value!({"id": "moby.image.id", "aux": {"ID": id}})),
            Ok(None) => {}
            Err(message) => lines.fail_with(1, &message),
        }
        Ok(())
    })
}

/// Only such builds have an id to be cancelled by.
pub(super) async fn cancel(request: ApiRequest) -> ApiResponse {
    let id = request.query.get("id").ok_or_else(|| ApiError::bad("build ID not provided"))?;
    request.engine.buildkit.cancel(id);
    empty(StatusCode::OK)
}

/// `outputs`
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Output {
    r#type: String,
    #[serde(default)]
    attrs: HashMap<String, String>,
}

/// The parameters of the classic build, as BuildKit's frontend has them.
fn plain(query: &Query) -> Result<PlainBuild> {
    let mut attrs = HashMap::new();
    let args: BTreeMap<String, Option<String>> = query.json("buildargs")?;
    let labels: BTreeMap<String, String> = query.json("labels")?;
    attrs.extend(args.into_iter().filter_map(|(name, value)| Some((format!("build-arg:{name}"), value?))));
    attrs.extend(labels.into_iter().map(|(name, value)| (format!("label:{name}"), value)));
    let hosts: Vec<String> = query.all("extrahosts").map(|host| host.replacen(':', "=", 1)).collect();
    let limits: Vec<Ulimit> = query.json("ulimits")?;
    let limits: Vec<String> = limits.iter().map(|l| format!("{}={}:{}", l.name, l.soft, l.hard)).collect();
    for (name, value) in [
        ("filename", query.get("dockerfile").filter(|name| *name != ".").map(str::to_owned)),
        ("context", query.get("remote").filter(|at| ![SESSION, UPLOAD].contains(at)).map(str::to_owned)),
        ("target", query.get("target").map(str::to_owned)),
        ("platform", query.get("platform").map(str::to_owned)),
        ("no-cache", query.flag("nocache").then(String::new)),
        ("image-resolve-mode", query.flag("pull").then(|| "pull".to_owned())),
        ("force-network-mode", query.get("networkmode").filter(|mode| *mode != "default").map(str::to_owned)),
        ("add-hosts", Some(hosts.join(",")).filter(|hosts| !hosts.is_empty())),
        ("shm-size", query.get("shmsize").filter(|size| *size != "0").map(str::to_owned)),
        ("ulimit", Some(limits.join(",")).filter(|limits| !limits.is_empty())),
    ] {
        attrs.extend(value.map(|value| (name.to_owned(), value)));
    }
    let outputs: Vec<Output> = query.json("outputs")?;
    let mut outputs: Vec<_> = outputs.into_iter().map(|output| (output.r#type, output.attrs)).collect();
    outputs.retain(|(kind, _)| kind != "cacheonly");
    if query.get("outputs").is_none() {
        let names: Vec<&str> = query.all("t").collect();
        outputs.push(("moby".to_owned(), HashMap::from([("name".to_owned(), names.join(","))])));
    }
    let id = query.get("buildid").map_or_else(new_id, str::to_owned);
    let session = query.get("session").unwrap_or_default().to_owned();
    Ok(PlainBuild { id, session, attrs, outputs })
}

/// 101, and the task that serves what follows, until its end or the engine's.
fn switch<F>(
    request: ApiRequest,
    serve: impl FnOnce(Upgraded, http::HeaderMap) -> F + Send + 'static,
) -> ApiResponse
where
    F: Future<Output = ()> + Send + 'static,
{
    let protocol = request.header("upgrade").map(str::to_owned);
    let protocol = protocol.ok_or_else(|| ApiError::bad("no upgrade proto in request"))?;
    let upgrade = request.upgrade.filter(|_| protocol.eq_ignore_ascii_case(PROTOCOL));
    let upgrade = upgrade.ok_or_else(|| ApiError::bad(format_args!("protocol {protocol} not supported")))?;
    let (stop, headers) = (request.engine.stop.clone(), request.headers);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_become_attributes() {
        let query = "version=2&buildid=b&session=s&remote=client-session&dockerfile=Other&target=t&nocache=1&pull=1&t=a&t=b:1\
                     &networkmode=default&extrahosts=db:10.0.0.1&extrahosts=v6:%3A%3A1&platform=&buildargs=%7B%22A%22%3A%221%22%2C\
                     %22B%22%3Anull%7D&labels=%7B%22l%22%3A%22v%22%7D";
        let asked = plain(&Query::parse(query)).unwrap();
        let mut attrs: Vec<String> =
            asked.attrs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        attrs.sort();
        let want = [
            "add-hosts=db=10.0.0.1,v6=::1",
            "build-arg:A=1",
            "filename=Other",
            "image-resolve-mode=pull",
            "label:l=v",
            "no-cache=",
            "target=t",
        ];
        assert_eq!(attrs, want);
        assert_eq!((asked.id.as_str(), asked.session.as_str()), ("b", "s"));
        assert_eq!(
            asked.outputs,
            [("moby".to_owned(), HashMap::from([("name".to_owned(), "a,b:1".to_owned())]))]
        );
        let local = plain(&Query::parse("outputs=%5B%7B%22Type%22%3A%22local%22%7D%5D")).unwrap();
        assert_eq!(local.outputs, [("local".to_owned(), HashMap::new())]);
        for (remote, context) in [
            ("remote=upload-request", None),
            ("remote=https%3A%2F%2Fa%2Fb.tar", Some("https://a/b.tar")),
            ("", None),
        ] {
            let asked = plain(&Query::parse(remote)).unwrap();
            assert_eq!(asked.attrs.get("context").map(String::as_str), context, "{remote}");
        }
    }
}
