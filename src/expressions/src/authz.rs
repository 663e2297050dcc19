//! `authorizer`: an expression asks what the one who wrote the request, or a service account, may do. What is asked is put
//! together call by call; [`Authorizer`] answers it.

use crate::outcome::Fault;
use kube_cel::cel::Value;
use kube_cel::cel::objects::Opaque;
use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

/// The methods, by name; the library has none that are called so.
const METHODS: [&str; 14] = [
    "path",
    "group",
    "serviceAccount",
    "resource",
    "subresource",
    "namespace",
    "name",
    "fieldSelector",
    "labelSelector",
    "check",
    "allowed",
    "reason",
    "errored",
    "error",
];
/// What asking costs, in steps of the evaluation: upstream's price.
const CHECK_COST: u64 = 350_000;

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessCheck {
    /// Namespace and name of another than the one who wrote the request.
    pub service_account: Option<(String, String)>,
    pub verb: String,
    /// Then there is no resource.
    pub path: Option<String>,
    pub group: String,
    pub resource: String,
    pub subresource: String,
    pub namespace: String,
    pub name: String,
    /// As queries have them.
    pub field_selector: String,
    pub label_selector: String,
}

/// Says what somebody may do.
pub trait Authorizer: Send + Sync {
    fn is_allowed(&self, asked: &AccessCheck) -> bool;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Authorizer,
    Path,
    Group,
    Resource,
    Decision { is_allowed: bool },
}

#[derive(Clone)]
struct Access {
    authorizer: Arc<dyn Authorizer>,
    stage: Stage,
    asked: AccessCheck,
}

impl PartialEq for Access {
    fn eq(&self, other: &Self) -> bool {
        self.stage == other.stage && self.asked == other.asked
    }
}

impl Eq for Access {}

impl Debug for Access {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("stage", &self.stage)
            .field("asked", &self.asked)
            .finish_non_exhaustive()
    }
}

impl Opaque for Access {
    fn runtime_type_name(&self) -> &str {
        match self.stage {
            Stage::Authorizer => "kubernetes.authorization.Authorizer",
            Stage::Path => "kubernetes.authorization.PathCheck",
            Stage::Group => "kubernetes.authorization.GroupCheck",
            Stage::Resource => "kubernetes.authorization.ResourceCheck",
            Stage::Decision { .. } => "kubernetes.authorization.Decision",
        }
    }
}

pub(crate) fn is_method(name: &str) -> bool {
    METHODS.contains(&name)
}

/// The type of what a method returns, where it is a plain one.
pub(crate) fn output_type(method: &str) -> Option<&'static str> {
    match method {
        "allowed" | "errored" => Some("bool"),
        "reason" | "error" => Some("string"),
        _ => None,
    }
}

/// The value of `authorizer`.
pub(crate) fn authorizer(of: Arc<dyn Authorizer>) -> Value {
    Value::Opaque(Arc::new(Access {
        authorizer: of,
        stage: Stage::Authorizer,
        asked: AccessCheck::default(),
    }))
}

/// The value of `authorizer.requestResource`.
pub(crate) fn resource_check(authorizer: Arc<dyn Authorizer>, asked: AccessCheck) -> Value {
    Value::Opaque(Arc::new(Access { authorizer, stage: Stage::Resource, asked }))
}

pub(crate) fn cost(method: &str) -> u64 {
    if method == "check" { CHECK_COST } else { 0 }
}

/// # Errors
/// What was asked of something else, or wrongly.
pub(crate) fn call(method: &str, arguments: &[Value]) -> Result<Value, Fault> {
    let no_overload = || Fault::Error("no such overload".to_owned());
    let (Some(Value::Opaque(target)), given) = (arguments.first(), arguments.get(1..).unwrap_or_default())
    else {
        return Err(no_overload());
    };
    let access = target.downcast_ref::<Access>().ok_or_else(no_overload)?;
    let mut texts = Vec::with_capacity(given.len());
    for value in given {
        match value {
            Value::String(text) => texts.push(text.as_str()),
            _ => return Err(no_overload()),
        }
    }
    let mut next = access.clone();
    match (access.stage, method, texts.as_slice()) {
        (Stage::Authorizer, "path", [path]) => {
            not_empty("path", path)?;
            next.stage = Stage::Path;
            next.asked.path = Some((*path).to_owned());
        }
        (Stage::Authorizer, "group", [group]) => {
            next.stage = Stage::Group;
            next.asked.group = (*group).to_owned();
        }
        (Stage::Authorizer, "serviceAccount", [namespace, name]) => {
            if !is_dns(name, 253, true) {
                return Err(Fault::Error(format!("Invalid service account name {name:?}")));
            }
            if !is_dns(namespace, 63, false) {
                return Err(Fault::Error(format!("Invalid service account namespace {namespace:?}")));
            }
            next.asked.service_account = Some(((*namespace).to_owned(), (*name).to_owned()));
        }
        (Stage::Group, "resource", [resource]) => {
            not_empty("resource", resource)?;
            next.stage = Stage::Resource;
            next.asked.resource = (*resource).to_owned();
        }
        (Stage::Resource, "subresource", [part]) => next.asked.subresource = (*part).to_owned(),
        (Stage::Resource, "namespace", [namespace]) => next.asked.namespace = (*namespace).to_owned(),
        (Stage::Resource, "name", [name]) => next.asked.name = (*name).to_owned(),
        (Stage::Resource, "fieldSelector", [selector]) => {
            next.asked.field_selector = (*selector).to_owned();
        }
        (Stage::Resource, "labelSelector", [selector]) => {
            next.asked.label_selector = (*selector).to_owned();
        }
        (Stage::Path | Stage::Resource, "check", [verb]) => {
            next.asked.verb = (*verb).to_owned();
            next.stage = Stage::Decision { is_allowed: access.authorizer.is_allowed(&next.asked) };
        }
        (Stage::Decision { is_allowed }, "allowed", []) => return Ok(Value::Bool(is_allowed)),
        // RBAC never fails, and has no reason for what no rule allows
        (Stage::Decision { .. }, "errored", []) => return Ok(Value::Bool(false)),
        (Stage::Decision { .. }, "error" | "reason", []) => {
            return Ok(Value::String(Arc::new(String::new())));
        }
        _ => return Err(no_overload()),
    }
    Ok(Value::Opaque(Arc::new(next)))
}

fn not_empty(what: &str, text: &str) -> Result<(), Fault> {
    match text.trim() {
        "" => Err(Fault::Error(format!("{what} must not be empty"))),
        _ => Ok(()),
    }
}

fn is_dns(name: &str, most: usize, dots: bool) -> bool {
    let label = |label: &str| {
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        !label.is_empty() && label.chars().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    name.len() <= most && if dots { name.split('.').all(label) } else { label(name) }
}
