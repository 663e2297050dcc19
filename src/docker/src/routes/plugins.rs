//! Plugins are not offered: there are none, and none can be had.

use crate::error::ApiError;
use crate::request::{ApiRequest, ApiResponse, json};

pub(super) async fn list(_: ApiRequest) -> ApiResponse {
    json(&[(); 0])
}

pub(super) async fn unknown(request: ApiRequest) -> ApiResponse {
    Err(ApiError::not_found(format_args!("plugin {:?} not found", request.name())))
}

pub(super) async fn not_offered(_: ApiRequest) -> ApiResponse {
    Err(ApiError::not_implemented("plugins are not offered here"))
}
