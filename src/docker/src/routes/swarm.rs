//! Swarms are not offered: what asks for one hears what Docker says on a machine that is in none, and goes on without.

use crate::error::ApiError;
use crate::request::{ApiRequest, ApiResponse};
use http::StatusCode;

/// Clients know the status, not the words.
fn unavailable(message: &str) -> ApiResponse {
    Err(ApiError { status: StatusCode::SERVICE_UNAVAILABLE, message: message.to_owned() })
}

pub(super) async fn none(_: ApiRequest) -> ApiResponse {
    unavailable("This node is not part of a swarm")
}

pub(super) async fn no_manager(_: ApiRequest) -> ApiResponse {
    unavailable(
        "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to \
         swarm and try again.",
    )
}

pub(super) async fn not_offered(_: ApiRequest) -> ApiResponse {
    Err(ApiError::not_implemented(
        "swarms are not offered here: this machine is a Kubernetes cluster already, use kubectl",
    ))
}
