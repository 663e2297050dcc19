//! The OpenAPI documents of the served kinds, made at build time, gzip-compressed and embedded: version 3 for each
//! group and version, and version 2 as JSON and as gnostic's protobuf, which kubectl before 1.28 reads. It knows
//! nothing of HTTP. Read [`document_v3`] first.

#![forbid(unsafe_code)]

mod custom;
mod custom_v2;
// the build writes the embedded document by it
#[path = "../build/gnostic.rs"]
mod gnostic;

pub use custom::{CustomDocument, CustomResource, custom_documents};
pub use custom_v2::{Version2, version_2};

use std::fmt::Write as _;
use std::io::Read as _;

struct Document {
    /// `api/v1`, `apis/apps/v1`
    path: &'static str,
    /// Of the content: lets clients keep a document for as long as it does not change.
    hash: &'static str,
    gz: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/documents.rs"));

/// The media type of [`document_v2_protobuf`].
pub const PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

/// What is served at `/openapi/v3/{path}`, gzip-compressed JSON; `path` is `api/v1` or `apis/apps/v1`.
pub fn document_v3(path: &str) -> Option<&'static [u8]> {
    V3.iter().find(|d| d.path == path).map(|d| d.gz)
}

/// The hash that [`index`] names for a path: the ETag of its document, and the query `hash` of a cacheable URL.
pub fn hash_v3(path: &str) -> Option<&'static str> {
    V3.iter().find(|d| d.path == path).map(|d| d.hash)
}

/// What is served at `/openapi/v3`: plain JSON.
pub fn index(custom: &[CustomDocument]) -> String {
    let mut text = String::from("{\"paths\":{");
    let built_in = V3.iter().map(|document| (document.path, document.hash));
    let custom = custom.iter().map(|document| (document.path.as_str(), document.hash.as_str()));
    for (at, (path, hash)) in built_in.chain(custom).enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let _ =
            write!(text, "{comma}\"{path}\":{{\"serverRelativeURL\":\"/openapi/v3/{path}?hash={hash}\"}}");
    }
    text.push_str("}}");
    text
}

/// The ETag of both forms of version 2.
pub fn hash_v2() -> &'static str {
    V2_HASH
}

/// Gzip-compressed.
pub fn document_v2_json() -> &'static [u8] {
    include_bytes!(concat!(env!("OUT_DIR"), "/v2.json.gz"))
}

/// Gzip-compressed; see [`PROTOBUF`].
pub fn document_v2_protobuf() -> &'static [u8] {
    include_bytes!(concat!(env!("OUT_DIR"), "/v2.pb.gz"))
}

/// A document for a client that does not accept gzip.
pub fn inflate(gz: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(gz.len() * 8);
    flate2::read::GzDecoder::new(gz)
        .read_to_end(&mut plain)
        .expect("documents were compressed by the build, or by us");
    plain
}

#[cfg(test)]
mod tests;
