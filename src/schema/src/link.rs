//! How a node of a schema holds the nodes below it.

use crate::{Schema, table};
use std::ops::Deref;
use std::sync::Arc;

/// The node below another: its own, or a type of the table, which is read when it is first looked at. Types may hold
/// themselves (`JSONSchemaProps`), and most are never asked for.
#[derive(Debug, Clone)]
pub struct Link(To);

#[derive(Debug, Clone)]
enum To {
    Own(Arc<Schema>),
    Named(&'static str),
}

impl Link {
    /// A type that the table has: see [`table::named`].
    pub(crate) fn to_type(name: &'static str) -> Self {
        Link(To::Named(name))
    }
}

impl From<Schema> for Link {
    fn from(schema: Schema) -> Self {
        Link(To::Own(Arc::new(schema)))
    }
}

impl Deref for Link {
    type Target = Schema;

    fn deref(&self) -> &Schema {
        match &self.0 {
            To::Own(schema) => schema,
            To::Named(name) => {
                table::named(name).expect("the table refers to types that it has: held by its tests")
            }
        }
    }
}
