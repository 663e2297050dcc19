//! `google.rpc.Status`, and BuildKit's own details in it. Those are JSON: their type URL ends in `+json`.

use serde::Serialize;

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Status {
    #[prost(int32, tag = "1")]
    pub(crate) code: i32,
    #[prost(string, tag = "2")]
    pub(crate) message: String,
    #[prost(message, repeated, tag = "3")]
    pub(crate) details: Vec<Any>,
}

/// `google.protobuf.Any`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Any {
    #[prost(string, tag = "1")]
    pub(crate) type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) value: Vec<u8>,
}

/// `errdefs.Source`: the lines of a Dockerfile that an error is about; the client prints them.
#[derive(Serialize)]
pub(crate) struct Source<'s> {
    pub(crate) info: SourceFile<'s>,
    pub(crate) ranges: [SourceRange; 1],
}

pub(crate) const SOURCE_TYPE: &str = "github.com/moby/buildkit/errdefs.Source+json";

#[derive(Serialize)]
pub(crate) struct SourceFile<'s> {
    pub(crate) filename: &'s str,
    /// Base64.
    pub(crate) data: String,
    pub(crate) language: &'static str,
}

#[derive(Serialize)]
pub(crate) struct SourceRange {
    pub(crate) start: SourceLine,
    pub(crate) end: SourceLine,
}

#[derive(Serialize)]
pub(crate) struct SourceLine {
    pub(crate) line: usize,
}
