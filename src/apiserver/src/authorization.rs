//! Whether somebody may do what a request asks for.

use crate::request::Request;
use crate::server_state::ServerState;
use api::Status;
use cluster::{Actor, Attributes};

/// The audit log hears of it.
///
/// # Errors
/// As [`cluster::Decision::permit`].
pub(crate) async fn authorize(
    state: &ServerState,
    actor: &Actor,
    request: &Request,
    asked: &Attributes,
) -> Result<(), Status> {
    let decision = state.cluster.ask(actor, asked).await;
    request.trail.authorized(&decision);
    decision.permit(actor, asked)
}
