//! A bearer token as a browser sends it with a WebSocket, for which it can set no header: as one of the subprotocols that it offers
//! (upstream's `request/websocket`). It is for who authenticates, and no protocol for anybody else.

const PREFIX: &str = "base64url.bearer.authorization.k8s.io.";

/// The token, base64url without padding; `None` for a protocol that is one.
pub(crate) fn token_in(protocol: &str) -> Option<&str> {
    protocol.strip_prefix(PREFIX)
}

pub(crate) fn is_token(protocol: &str) -> bool {
    token_in(protocol).is_some()
}
