//! From the text of a policy's expression to a program: what it names is there to be named.

use crate::composition::Composition;
use crate::environment::{About, Environment};
use crate::lower::Lower;
use crate::node::Node;
use crate::output::Output;
use crate::parse::parse;
use crate::places::placed;
use crate::program::Program;

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

impl Environment<'_> {
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
        node.patterns_fit()?;
        Ok(node)
    }
}

impl Composition {
    /// `environment` is that of the expressions that will name it. One that can not be compiled fails when it is asked for.
    ///
    /// # Errors
    /// As [`Environment::compile`].
    pub fn add(&mut self, name: &str, source: &str, environment: &Environment<'_>) -> Result<(), String> {
        let node = Environment { composed: Some(self), ..*environment }.node(source);
        let told = node.as_ref().map(drop).map_err(|why| format!("compilation failed: {why}"));
        self.push(name, node);
        told
    }
}

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
