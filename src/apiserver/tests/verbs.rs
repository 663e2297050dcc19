//! Verbs that a kind has or has not, as upstream's server answers them.

mod common;

use common::{Server, Who};

#[tokio::test]
async fn namespaces_are_not_deleted_all_at_once() {
    let server = Server::start().await;
    let refused = server.ask(Who::Admin, "DELETE /api/v1/namespaces", &[], b"").await;
    assert_eq!(refused.code, 405, "{}", refused.body);
    assert_eq!(refused.message(), "the server does not allow this method on the requested resource");
    let there = server.ask(Who::Admin, "GET /api/v1/namespaces/default", &[], b"").await;
    assert_eq!(there.json()["status"]["phase"], "Active");
    assert_eq!(server.ask(Who::Admin, "DELETE /api/v1/nodes", &[], b"").await.code, 200);
}
