//! The named expressions of a policy (`variables.NAME`), compiled.

use crate::node::Node;

/// Named expressions, each of which may name those before it. One is evaluated when it is first asked for, and once.
#[derive(Debug, Default)]
pub struct Composition {
    names: Vec<String>,
    nodes: Vec<Result<Node, String>>,
}

impl Composition {
    /// One that could not be compiled fails when it is asked for.
    pub(crate) fn push(&mut self, name: &str, node: Result<Node, String>) {
        self.names.push(name.to_owned());
        self.nodes.push(node);
    }

    /// The newest of the name.
    pub(crate) fn index(&self, name: &str) -> Option<usize> {
        self.names.iter().rposition(|known| known == name)
    }

    pub(crate) fn node(&self, index: usize) -> Result<&Node, &String> {
        self.nodes[index].as_ref()
    }

    pub(crate) fn nodes(&self) -> &[Result<Node, String>] {
        &self.nodes
    }
}
