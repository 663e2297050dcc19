//! What an expression of an admission policy may name, and what it is evaluated with.

use crate::authz::{self, AccessCheck, Authorizer};
use crate::check::Check;
use crate::constructed;
use crate::lower::Lower;
use crate::node::Node;
use crate::output::Output;
use crate::parse::parse;
use crate::places::{located, placed};
use crate::program::{Answer, Budget, Fault, Outcome, Program, Variables};
use crate::sizes::Sizes;
use crate::types::{Place, Ty, Typing};
use schema::Schema;
use serde_json::Value as Json;
use std::sync::Arc;

/// The fields of `request`, which upstream declares; below `*` everything may be named.
const REQUEST: [&str; 24] = [
    "kind.group",
    "kind.version",
    "kind.kind",
    "resource.group",
    "resource.version",
    "resource.resource",
    "subResource",
    "requestKind.group",
    "requestKind.version",
    "requestKind.kind",
    "requestResource.group",
    "requestResource.version",
    "requestResource.resource",
    "requestSubResource",
    "name",
    "namespace",
    "operation",
    "userInfo.username",
    "userInfo.uid",
    "userInfo.groups",
    "userInfo.extra.*",
    "dryRun",
    "options.*",
    "uid",
];
/// Those of `namespaceObject`.
const NAMESPACE: [&str; 15] = [
    "metadata.name",
    "metadata.generateName",
    "metadata.namespace",
    "metadata.labels.*",
    "metadata.annotations.*",
    "metadata.UID",
    "metadata.creationTimestamp",
    "metadata.deletionGracePeriodSeconds",
    "metadata.deletionTimestamp",
    "metadata.generation",
    "metadata.resourceVersion",
    "metadata.finalizers",
    "spec.finalizers",
    "status.conditions",
    "status.phase",
];

/// The fields of a `SubjectAccessReview`'s spec, which is `request` to the conditions of an authorisation webhook.
const ACCESS_REVIEW: [&str; 15] = [
    "user",
    "groups",
    "uid",
    "extra.*",
    "resourceAttributes.namespace",
    "resourceAttributes.verb",
    "resourceAttributes.group",
    "resourceAttributes.version",
    "resourceAttributes.resource",
    "resourceAttributes.subresource",
    "resourceAttributes.name",
    "resourceAttributes.fieldSelector.*",
    "resourceAttributes.labelSelector.*",
    "nonResourceAttributes.path",
    "nonResourceAttributes.verb",
];

/// What `request` is.
#[derive(Debug, Clone, Copy, Default)]
pub enum About {
    /// Of admission.
    #[default]
    Request,
    AccessReview,
}

/// What an expression may name beside what every expression may.
#[derive(Debug, Clone, Copy, Default)]
pub struct Environment<'e> {
    pub about: About,
    pub variables: &'e [&'e str],
    /// `variables.NAME`.
    pub composed: Option<&'e Composition>,
    pub authorizer: bool,
    /// `Object{…}` and `JSONPatch{…}`.
    pub patches: bool,
}

impl Environment<'_> {
    /// Of the conditions of an authorisation webhook.
    pub fn of_access_review() -> Self {
        Environment { about: About::AccessReview, variables: &["request"], ..Self::default() }
    }

    /// # Errors
    /// In upstream's words, as a field's validation tells them.
    pub fn compile(&self, source: &str, output: Output) -> Result<Program, String> {
        let failed = |why: String| format!("compilation failed: {why}");
        let node = self.node(source).map_err(failed)?;
        output.check(&node)?;
        Ok(Program { node })
    }

    fn node(&self, source: &str) -> Result<Node, String> {
        let node = Lower::of_environment(self).node(parse(source)?).map_err(|why| placed(source, &why))?;
        declared(&node, self.about).map_err(|why| placed(source, &why))?;
        Ok(node)
    }
}

/// Named expressions, each of which may name those before it. One is evaluated when it is first asked for, and once.
#[derive(Debug, Default)]
pub struct Composition {
    names: Vec<String>,
    nodes: Vec<Result<Node, String>>,
}

impl Composition {
    /// `environment` is that of the expressions that will name it. One that can not be compiled fails when it is asked for.
    ///
    /// # Errors
    /// As [`Environment::compile`].
    pub fn add(&mut self, name: &str, source: &str, environment: &Environment<'_>) -> Result<(), String> {
        let node = Environment { composed: Some(self), ..*environment }.node(source);
        let told = node.as_ref().map(drop).map_err(|why| format!("compilation failed: {why}"));
        self.names.push(name.to_owned());
        self.nodes.push(node);
        told
    }

    /// The newest of the name.
    pub(crate) fn index(&self, name: &str) -> Option<usize> {
        self.names.iter().rposition(|known| known == name)
    }

    pub(crate) fn node(&self, index: usize) -> Result<&Node, &String> {
        self.nodes[index].as_ref()
    }
}

/// The kinds that the expressions of a policy are about.
#[derive(Debug, Clone, Copy)]
pub struct Kinds<'s> {
    /// Of `object` and `oldObject`.
    pub object: &'s Schema,
    /// Of `params`, where it is known.
    pub params: Option<&'s Schema>,
}

impl<'s> Kinds<'s> {
    fn names(self) -> Vec<(String, Ty<'s>)> {
        let ty = |schema: &'s Schema| Place::Resource(schema).ty(Typing::Policy).unwrap_or(Ty::Dyn);
        let object = ["object", "oldObject"].map(|name| (name.to_owned(), ty(self.object)));
        object.into_iter().chain(self.params.map(|params| ("params".to_owned(), ty(params)))).collect()
    }
}

/// What the names of a policy's expressions stand for, given the kinds that they are about.
#[derive(Debug)]
pub struct Typed<'s> {
    names: Vec<(String, Ty<'s>)>,
    composed: Vec<Ty<'s>>,
}

impl Composition {
    /// What each comes out as; of one that is wrong nothing is known.
    pub fn typed<'s>(&self, kinds: Kinds<'s>) -> Typed<'s> {
        let (sizes, names) = (Sizes::default(), kinds.names());
        let mut composed = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let mut check = Check::new(Typing::Policy, names.clone(), &sizes, &composed);
            let ty = node.as_ref().ok().and_then(|node| Some(check.node(node).ok()?.ty));
            composed.push(ty.unwrap_or(Ty::Dyn).bounded());
        }
        Typed { names, composed }
    }
}

impl Program {
    /// Whether it can be right, given what it names. `source` is its text.
    ///
    /// # Errors
    /// What is wrong, as cel-go tells it: a field that there is not, an operator or a function that takes no such values.
    /// What is not known before is assumed to be right.
    pub fn check(&self, source: &str, typed: &Typed<'_>) -> Result<(), String> {
        let sizes = Sizes::default();
        let mut check = Check::new(Typing::Policy, typed.names.clone(), &sizes, &typed.composed);
        check.node(&self.node).map(drop).map_err(|issue| located(source, &self.node, &issue))
    }
}

/// Expressions about one object: what they name, and which of the composed ones are known already.
pub struct Evaluation<'c> {
    variables: Variables,
    composition: &'c Composition,
    known: Vec<Option<Answer>>,
}

impl<'c> Evaluation<'c> {
    pub fn new(variables: Variables, composition: &'c Composition) -> Self {
        Evaluation { variables, known: vec![None; composition.nodes.len()], composition }
    }

    /// # Errors
    /// What went wrong, or that it is too much work.
    pub fn evaluate(&mut self, program: &Program, budget: &mut Budget) -> Result<Outcome, Fault> {
        self.value(program, budget).map(Outcome::of)
    }

    /// What an `Object{…}` says, as JSON.
    ///
    /// # Errors
    /// As [`Evaluation::evaluate`], and that it is none.
    pub fn object(&mut self, program: &Program, budget: &mut Budget) -> Result<Json, Fault> {
        constructed::object(&self.value(program, budget)?)
    }

    /// What a list of `JSONPatch{…}` says, as RFC 6902 has it.
    ///
    /// # Errors
    /// As [`Evaluation::evaluate`], and that it is none.
    pub fn patch(&mut self, program: &Program, budget: &mut Budget) -> Result<Json, Fault> {
        constructed::patch(&self.value(program, budget)?)
    }

    fn value(&mut self, program: &Program, budget: &mut Budget) -> Answer {
        program.value_with(&self.variables, self.composition, &mut self.known, budget)
    }
}

impl Variables {
    /// `authorizer`, and what it has ready about the request itself.
    #[must_use]
    pub fn authorizer(self, authorizer: &Arc<dyn Authorizer>, request: AccessCheck) -> Self {
        self.value("authorizer", authz::authorizer(authorizer.clone()))
            .value(REQUEST_RESOURCE, authz::resource_check(authorizer.clone(), request))
    }
}

/// One name, with a dot.
pub(crate) const REQUEST_RESOURCE: &str = "authorizer.requestResource";

/// Whether all that is named of `request` and `namespaceObject` is there to be named.
fn declared(node: &Node, about: About) -> Result<(), String> {
    if let Some((root, path)) = path_of(node) {
        let fields: &[&str] = match (root, about) {
            ("request", About::Request) => &REQUEST,
            ("request", About::AccessReview) => &ACCESS_REVIEW,
            ("namespaceObject", _) => &NAMESPACE,
            _ => &[],
        };
        if let (false, Some(unknown)) = (fields.is_empty(), undeclared(fields, &path)) {
            return Err(format!("undefined field '{unknown}'"));
        }
    }
    node.children().into_iter().try_for_each(|child| declared(child, about))
}

fn path_of(node: &Node) -> Option<(&str, Vec<&str>)> {
    match node {
        Node::Variable(name) => Some((name, Vec::new())),
        Node::Select { operand, field, .. } | Node::Has { operand, field } => {
            let (root, mut path) = path_of(operand)?;
            path.push(field);
            Some((root, path))
        }
        _ => None,
    }
}

/// The first step that leads to nothing.
fn undeclared<'p>(fields: &[&str], path: &[&'p str]) -> Option<&'p str> {
    (1..=path.len()).find_map(|length| {
        let leads = |declared: &&str| {
            let mut declared = declared.split('.');
            for step in &path[..length] {
                match declared.next() {
                    Some("*") => return true,
                    Some(known) if known == *step => {}
                    _ => return false,
                }
            }
            true
        };
        (!fields.iter().any(leads)).then(|| path[length - 1])
    })
}
