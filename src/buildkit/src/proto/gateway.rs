//! `moby.buildkit.v1.frontend`: the service LLBBridge.

use super::errors::Status;
use super::ops::{Definition, Platform, Range, SourceInfo};
use super::session::Stat;
use super::worker::{ApiCap, WorkerRecord};
use std::collections::HashMap;

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct PingRequest {}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PongResponse {
    #[prost(message, repeated, tag = "1")]
    pub(crate) frontend_api_caps: Vec<ApiCap>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) llb_caps: Vec<ApiCap>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) workers: Vec<WorkerRecord>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SolveRequest {
    #[prost(message, optional, tag = "1")]
    pub(crate) definition: Option<Definition>,
    #[prost(string, tag = "2")]
    pub(crate) frontend: String,
    #[prost(map = "string, string", tag = "3")]
    pub(crate) frontend_opt: HashMap<String, String>,
    #[prost(bool, tag = "5")]
    pub(crate) allow_result_return: bool,
    #[prost(bool, tag = "6")]
    pub(crate) allow_result_array_ref: bool,
    #[prost(map = "string, message", tag = "13")]
    pub(crate) frontend_inputs: HashMap<String, Definition>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SolveResponse {
    #[prost(string, tag = "1")]
    pub(crate) r#ref: String,
    #[prost(message, optional, tag = "3")]
    pub(crate) result: Option<SolveResult>,
}

/// `Result` of the specification.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SolveResult {
    #[prost(oneof = "ResultRef", tags = "1, 3, 4")]
    pub(crate) result: Option<ResultRef>,
    #[prost(map = "string, bytes", tag = "10")]
    pub(crate) metadata: HashMap<String, Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum ResultRef {
    #[prost(string, tag = "1")]
    RefDeprecated(String),
    #[prost(message, tag = "3")]
    Ref(Ref),
    #[prost(message, tag = "4")]
    Refs(RefMap),
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Ref {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) def: Option<Definition>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RefMap {
    #[prost(map = "string, message", tag = "1")]
    pub(crate) refs: HashMap<String, Ref>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ReturnRequest {
    #[prost(message, optional, tag = "1")]
    pub(crate) result: Option<SolveResult>,
    #[prost(message, optional, tag = "2")]
    pub(crate) error: Option<Status>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct ReturnResponse {}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct InputsRequest {}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct InputsResponse {
    #[prost(map = "string, message", tag = "1")]
    pub(crate) definitions: HashMap<String, Definition>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ResolveImageConfigRequest {
    #[prost(string, tag = "1")]
    pub(crate) r#ref: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) platform: Option<Platform>,
    #[prost(string, tag = "3")]
    pub(crate) resolve_mode: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ResolveImageConfigResponse {
    #[prost(string, tag = "1")]
    pub(crate) digest: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) config: Vec<u8>,
    #[prost(string, tag = "3")]
    pub(crate) r#ref: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ReadFileRequest {
    #[prost(string, tag = "1")]
    pub(crate) r#ref: String,
    #[prost(string, tag = "2")]
    pub(crate) file_path: String,
    #[prost(message, optional, tag = "3")]
    pub(crate) range: Option<FileRange>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct FileRange {
    #[prost(int64, tag = "1")]
    pub(crate) offset: i64,
    #[prost(int64, tag = "2")]
    pub(crate) length: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ReadFileResponse {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) data: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ReadDirRequest {
    #[prost(string, tag = "1")]
    pub(crate) r#ref: String,
    #[prost(string, tag = "2")]
    pub(crate) dir_path: String,
    #[prost(string, tag = "3")]
    pub(crate) include_pattern: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ReadDirResponse {
    #[prost(message, repeated, tag = "1")]
    pub(crate) entries: Vec<Stat>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct StatFileRequest {
    #[prost(string, tag = "1")]
    pub(crate) r#ref: String,
    #[prost(string, tag = "2")]
    pub(crate) path: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct StatFileResponse {
    #[prost(message, optional, tag = "1")]
    pub(crate) stat: Option<Stat>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct EvaluateRequest {
    #[prost(string, tag = "1")]
    pub(crate) r#ref: String,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct EvaluateResponse {}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct WarnRequest {
    #[prost(string, tag = "1")]
    pub(crate) digest: String,
    #[prost(int64, tag = "2")]
    pub(crate) level: i64,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) short: Vec<u8>,
    #[prost(bytes = "vec", repeated, tag = "4")]
    pub(crate) detail: Vec<Vec<u8>>,
    #[prost(string, tag = "5")]
    pub(crate) url: String,
    #[prost(message, optional, tag = "6")]
    pub(crate) info: Option<SourceInfo>,
    #[prost(message, repeated, tag = "7")]
    pub(crate) ranges: Vec<Range>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct WarnResponse {}
