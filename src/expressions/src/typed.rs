//! Whether the expressions of a policy can be right, given the kinds that they are about.

use crate::check::Check;
use crate::composition::Composition;
use crate::places::located;
use crate::program::Program;
use crate::sizes::Sizes;
use crate::types::{Place, Ty, Typing};
use schema::Schema;

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
        let mut composed = Vec::with_capacity(self.nodes().len());
        for node in self.nodes() {
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
