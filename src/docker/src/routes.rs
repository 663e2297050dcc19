//! All that can be asked: one line each. A handler is in the file of its group.

mod archive;
mod build;
mod buildkit;
mod commit;
mod containers;
mod exec;
mod images;
mod lifecycle;
mod networks;
mod plugins;
mod registry;
mod streams;
mod swarm;
mod system;
mod update;
mod volumes;

use crate::api_version::{MAX_VERSION, Version, check_version, is_version};
use crate::error::{ApiError, Result};
use crate::request::{ApiRequest, ApiResponse};
use futures::future::BoxFuture;
use http::Method;
use percent_encoding::percent_decode_str;

pub(crate) type Handler = fn(ApiRequest) -> BoxFuture<'static, ApiResponse>;

struct Route {
    method: Method,
    /// `{x}` stands for one segment, `{x*}` for one or more.
    pattern: &'static str,
    handler: Handler,
}

macro_rules! routes {
    ($($method:ident $pattern:literal $handler:path;)*) => {
        &[$(Route { method: Method::$method, pattern: $pattern, handler: |request| Box::pin($handler(request)) }),*]
    };
}

const ROUTES: &[Route] = routes! {
    GET "_ping" system::ping;
    HEAD "_ping" system::ping;
    GET "version" system::version;
    GET "info" system::info;
    GET "events" system::events;
    GET "system/df" system::df;
    POST "auth" registry::auth;

    GET "containers/json" containers::list;
    POST "containers/create" containers::create;
    POST "containers/prune" containers::prune;
    GET "containers/{id*}/json" containers::inspect;
    DELETE "containers/{id*}" containers::remove;
    POST "containers/{id*}/rename" containers::rename;
    POST "containers/{id*}/update" update::update;
    GET "containers/{id*}/top" containers::top;
    GET "containers/{id*}/changes" containers::changes;
    POST "commit" commit::commit;

    POST "containers/{id*}/start" lifecycle::start;
    POST "containers/{id*}/stop" lifecycle::stop;
    POST "containers/{id*}/restart" lifecycle::restart;
    POST "containers/{id*}/kill" lifecycle::kill;
    POST "containers/{id*}/pause" lifecycle::pause;
    POST "containers/{id*}/unpause" lifecycle::unpause;
    POST "containers/{id*}/wait" lifecycle::wait;

    GET "containers/{id*}/logs" streams::logs;
    POST "containers/{id*}/attach" streams::attach;
    GET "containers/{id*}/attach/ws" streams::attach_by_websocket;
    POST "containers/{id*}/resize" streams::resize;
    GET "containers/{id*}/stats" streams::statistics;

    POST "containers/{id*}/exec" exec::create;
    POST "exec/{id}/start" exec::start;
    POST "exec/{id}/resize" exec::resize;
    GET "exec/{id}/json" exec::inspect;

    HEAD "containers/{id*}/archive" archive::stat;
    GET "containers/{id*}/archive" archive::get;
    PUT "containers/{id*}/archive" archive::put;
    GET "containers/{id*}/export" archive::export;

    GET "images/json" images::list;
    POST "images/create" images::create;
    POST "images/load" images::load;
    GET "images/get" images::save;
    POST "images/prune" images::prune;
    GET "images/search" registry::search;
    GET "images/{name*}/json" images::inspect;
    GET "images/{name*}/history" images::history;
    GET "images/{name*}/get" images::save_one;
    POST "images/{name*}/tag" images::tag;
    POST "images/{name*}/push" images::push;
    DELETE "images/{name*}" images::remove;
    GET "distribution/{name*}/json" registry::distribution;

    POST "build" build::build;
    POST "build/prune" build::prune;
    POST "build/cancel" buildkit::cancel;
    POST "grpc" buildkit::grpc;
    POST "session" buildkit::session;

    POST "swarm/leave" swarm::none;
    GET "swarm" swarm::no_manager;
    GET "swarm/unlockkey" swarm::no_manager;
    POST "swarm/update" swarm::no_manager;
    POST "swarm/init" swarm::not_offered;
    POST "swarm/join" swarm::not_offered;
    POST "swarm/unlock" swarm::not_offered;
    GET "nodes" swarm::no_manager;
    GET "nodes/{id}" swarm::no_manager;
    GET "services" swarm::no_manager;
    GET "services/{id}" swarm::no_manager;
    POST "services/create" swarm::no_manager;
    GET "tasks" swarm::no_manager;
    GET "tasks/{id}" swarm::no_manager;
    GET "secrets" swarm::no_manager;
    GET "secrets/{id}" swarm::no_manager;
    POST "secrets/create" swarm::no_manager;
    GET "configs" swarm::no_manager;
    GET "configs/{id}" swarm::no_manager;
    POST "configs/create" swarm::no_manager;

    GET "plugins" plugins::list;
    GET "plugins/privileges" plugins::not_offered;
    POST "plugins/pull" plugins::not_offered;
    POST "plugins/create" plugins::not_offered;
    GET "plugins/{name*}/json" plugins::unknown;
    POST "plugins/{name*}/enable" plugins::unknown;
    POST "plugins/{name*}/disable" plugins::unknown;
    POST "plugins/{name*}/upgrade" plugins::unknown;
    POST "plugins/{name*}/push" plugins::unknown;
    POST "plugins/{name*}/set" plugins::unknown;
    DELETE "plugins/{name*}" plugins::unknown;

    GET "networks" networks::list;
    POST "networks/create" networks::create;
    POST "networks/prune" networks::prune;
    GET "networks/{id}" networks::inspect;
    DELETE "networks/{id}" networks::remove;
    POST "networks/{id}/connect" networks::connect;
    POST "networks/{id}/disconnect" networks::disconnect;

    GET "volumes" volumes::list;
    POST "volumes/create" volumes::create;
    POST "volumes/prune" volumes::prune;
    GET "volumes/{name}" volumes::inspect;
    DELETE "volumes/{name}" volumes::remove;
};

/// What a path leads to.
pub(crate) struct Found {
    pub(crate) handler: Handler,
    /// What stood for the placeholders.
    pub(crate) path: Vec<String>,
    /// The client's, the newest where it says none.
    pub(crate) version: Version,
}

/// The handler for a path, with or without its version.
pub(crate) fn find(method: &Method, path: &str) -> Result<Found> {
    let path = path.trim_start_matches('/').trim_end_matches('/');
    let (version, path) = match path.split_once('/') {
        Some((first, rest)) if is_version(first) => (check_version(first)?, rest),
        _ => (MAX_VERSION, path),
    };
    let segments: Vec<&str> = path.split('/').collect();
    for route in ROUTES.iter().filter(|route| route.method == *method) {
        if let Some(found) = matched(route.pattern, &segments) {
            return Ok(Found { handler: route.handler, path: found, version });
        }
    }
    Err(ApiError::not_found("page not found"))
}

/// What stood for the placeholders; a `*` takes what the fixed ends leave.
fn matched(pattern: &str, segments: &[&str]) -> Option<Vec<String>> {
    let mut wanted: Vec<&str> = pattern.split('/').collect();
    let mut given: Vec<String> =
        segments.iter().map(|s| percent_decode_str(s).decode_utf8_lossy().into_owned()).collect();
    if let Some(many) = wanted.iter().position(|w| w.ends_with("*}")) {
        let surplus = given.len().checked_sub(wanted.len())?;
        let joined = given.splice(many..=many + surplus, [String::new()]).collect::<Vec<_>>().join("/");
        given[many] = joined;
        wanted[many] = "{}";
    }
    if wanted.len() != given.len() {
        return None;
    }
    let mut found = Vec::new();
    for (wanted, given) in wanted.into_iter().zip(given) {
        if wanted.starts_with('{') && !given.is_empty() {
            found.push(given);
        } else if wanted != given {
            return None;
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        for (pattern, path, want) in [
            ("version", "version", Some(vec![])),
            ("containers/{id*}/json", "containers/abc/json", Some(vec!["abc"])),
            ("containers/{id*}/json", "containers/web/data/json", Some(vec!["web/data"])),
            ("containers/{id*}/json", "containers/json", None),
            ("containers/{id*}/json", "containers//json", None),
            ("images/{name*}/json", "images/reg:5000/a/b:1/json", Some(vec!["reg:5000/a/b:1"])),
            ("images/{name*}/json", "images/a%2Fb/json", Some(vec!["a/b"])),
            ("images/{name*}/json", "images/json", None),
            ("images/{name*}", "images/a/b", Some(vec!["a/b"])),
        ] {
            let got = matched(pattern, &path.split('/').collect::<Vec<_>>());
            assert_eq!(
                got,
                want.map(|w: Vec<&str>| w.into_iter().map(str::to_owned).collect()),
                "{pattern} {path}"
            );
        }
    }

    #[test]
    fn versions() {
        for (path, want) in [
            ("/_ping", None),
            ("/v1.51/_ping", None),
            ("/v1.24/info", None),
            ("/v1.23/info", Some(400)),
            ("/v1.52/info", Some(400)),
            ("/v1.x/info", Some(400)),
            ("/v1.40/nowhere", Some(404)),
            ("/images/json/", None),
            // another method's
            ("/containers/create", Some(404)),
        ] {
            let got = find(&Method::GET, path).err().map(|refusal| refusal.status.as_u16());
            assert_eq!(got, want, "{path}");
        }
    }
}
