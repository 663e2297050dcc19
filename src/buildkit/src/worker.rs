//! What the builder says of itself.

use crate::BuildKitConfig;
use crate::proto::ops::Platform;
use crate::proto::worker::{ApiCap, BuildkitVersion, WorkerRecord};

/// The BuildKit whose protocol is spoken: that of Docker 28.2, the engine that the socket says to be.
const VERSION: &str = "v0.22.0";

/// With this label buildx takes the engine for one that can write archives and push by itself; which this one can.
const SNAPSHOTTER: &str = "org.mobyproject.buildkit.worker.snapshotter";
/// What `--add-host name:host-gateway` means.
const HOST_GATEWAY: &str = "org.mobyproject.buildkit.worker.moby.host-gateway-ip";
const HOSTNAME: &str = "org.mobyproject.buildkit.worker.hostname";

/// What the client may ask of the gateway.
const GATEWAY: [&str; 12] = [
    "solve.base",
    "resolveimage",
    "resolveimage.resolvemode",
    "readfile",
    "readdir",
    "statfile",
    "return",
    "returnmap",
    "importcaches",
    "proto.refarray",
    "reference.output",
    "frontend.inputs",
];
/// The same of builds. `exporter.image.attestations` is left out: without it no client sends any.
const BUILDS: [&str; 11] = [
    "source.image",
    "source.image.resolvemode",
    "source.local",
    "source.local.sessionid",
    "source.local.includepatterns",
    "source.local.excludepatterns",
    "source.local.followpaths",
    "meta.description",
    "platform",
    "exporter.multiple",
    // of no build, but here buildx looks before it sends `--max-used-space`
    "gc.freespacefilter",
];

pub(crate) fn version() -> BuildkitVersion {
    let package = "github.com/moby/buildkit".to_owned();
    BuildkitVersion { package, version: VERSION.to_owned(), revision: String::new() }
}

pub(crate) fn record(config: &BuildKitConfig) -> WorkerRecord {
    let labels = [
        (SNAPSHOTTER, "overlayfs".to_owned()),
        (HOST_GATEWAY, config.gateway.to_string()),
        (HOSTNAME, config.name.clone()),
    ];
    WorkerRecord {
        id: config.name.clone(),
        labels: labels.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        platforms: vec![platform()],
        buildkit_version: Some(version()),
    }
}

fn platform() -> Platform {
    Platform {
        architecture: image::architecture().to_owned(),
        os: "linux".to_owned(),
        variant: String::new(),
    }
}

pub(crate) fn gateway_caps() -> Vec<ApiCap> {
    caps(&GATEWAY)
}

pub(crate) fn build_caps() -> Vec<ApiCap> {
    caps(&BUILDS)
}

fn caps(ids: &[&str]) -> Vec<ApiCap> {
    ids.iter().map(|id| ApiCap { id: (*id).to_owned(), enabled: true }).collect()
}
