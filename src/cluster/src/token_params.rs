//! What is asked for of a new token: for whom it is, how long it lives, and with what it dies.

use ::api::{Gvk, Status};

#[derive(Debug, Clone, Default)]
pub struct TokenRequestParams {
    /// Empty: the API server itself.
    pub audiences: Vec<String>,
    pub expiration_seconds: Option<i64>,
    pub bound: Option<BoundObject>,
}

/// What a token lives and dies with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundObject {
    pub kind: BoundKind,
    pub name: String,
    /// Empty: that of the object which there is.
    pub uid: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoundKind {
    Pod,
    Secret,
    Node,
}

impl BoundObject {
    /// # Errors
    /// `BadRequest` for a kind that no token can be bound to.
    pub fn new(api_version: &str, kind: &str, name: String, uid: String) -> Result<Self, Status> {
        let kind = match (api_version, kind) {
            ("" | "v1", "Pod") => BoundKind::Pod,
            ("" | "v1", "Secret") => BoundKind::Secret,
            ("" | "v1", "Node") => BoundKind::Node,
            _ => {
                let Gvk { group, version, kind } = Gvk::parse(api_version, kind);
                let why = format!("cannot bind token to object of type {group}/{version}, Kind={kind}");
                return Err(Status::bad_request(why));
            }
        };
        Ok(BoundObject { kind, name, uid })
    }

    /// A pod's own token.
    pub fn pod(name: &str, uid: &str) -> Self {
        BoundObject { kind: BoundKind::Pod, name: name.to_owned(), uid: uid.to_owned() }
    }
}

impl BoundKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            BoundKind::Pod => "Pod",
            BoundKind::Secret => "Secret",
            BoundKind::Node => "Node",
        }
    }
}
