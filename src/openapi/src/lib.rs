//! The OpenAPI documents of the served kinds, rendered from the registry when somebody asks: version 3 for each group and version,
//! and version 2 of all, as JSON and as gnostic's protobuf; kubectl before 1.28 reads that of version 2. The definitions of built-in types are
//! made at build time. It knows nothing of HTTP. Read [`Documents::of`] first, then `paths.rs`.

#![forbid(unsafe_code)]

mod definitions;
mod documents;
mod extension;
mod gnostic;
mod paths;
mod resource;
mod version_2;
mod version_3;

pub use documents::{Document, Documents, index};
pub use extension::Extension;

use serde_json::Value;
use std::fmt::Display;
use std::io::{Read as _, Write as _};

include!(concat!(env!("OUT_DIR"), "/definitions.rs"));

/// What the documents say of themselves.
const VERSION: &str = api::KUBERNETES_VERSION.git;

/// The media type of [`Documents::version_2_protobuf`].
pub const PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

/// The media type of [`Documents::version_3_protobuf`].
pub const PROTOBUF_3: &str = "application/com.github.proto-openapi.spec.v3@v1.0+protobuf";

/// A document for a client that does not accept gzip.
pub fn inflate(gz: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(gz.len() * 8);
    flate2::read::GzDecoder::new(gz)
        .read_to_end(&mut plain)
        .expect("documents were compressed by the build, or by us");
    plain
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(plain).and_then(|()| encoder.finish()).expect("memory takes every byte")
}

/// A JSON object, of values that are JSON: a document is written as it is made, and never stands in memory as values.
fn object_of(entries: impl IntoIterator<Item = (String, impl Display)>) -> String {
    let each = entries.into_iter().map(|(name, json)| format!("{}:{json}", Value::from(name)));
    format!("{{{}}}", each.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests;
