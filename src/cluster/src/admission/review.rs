//! One request on its way through the plug-ins: who asks for what, and the object as it is by now.

use crate::admission_request::attributes::{Admission, Draft, Operation};
use crate::policies::mutating::Evaluated;
use crate::webhooks::Asked;
use kinds::{Instance, TypedKind};
use std::collections::BTreeMap;

pub(crate) struct Review<'a> {
    pub(crate) asked: &'a Admission<'a>,
    pub(crate) draft: Draft<'a>,
    /// The second time that the mutating plug-ins are asked: upstream's `IsReinvoke`.
    pub(super) is_reinvocation: bool,
    /// What the first time says of who wants to be asked a second time.
    pub(super) evaluated: Evaluated,
    pub(super) webhooks: Asked,
    /// The labels that a Binding was given the first time: see `pod_topology_labels.rs`.
    pub(super) topology_labels: BTreeMap<String, String>,
}

impl<'a> Review<'a> {
    pub(super) fn new(asked: &'a Admission<'a>, draft: Draft<'a>) -> Self {
        let (evaluated, webhooks) = (Evaluated::default(), Asked::default());
        let topology_labels = BTreeMap::new();
        Review { asked, draft, is_reinvocation: false, evaluated, webhooks, topology_labels }
    }

    /// The object as it shall be stored; `None` in deletions, and of what is stored nowhere.
    pub(super) fn new_object(&self) -> Option<&dyn Instance> {
        self.draft.subject().new
    }

    /// The object as it is stored, in updates and deletions.
    pub(super) fn old_object(&self) -> Option<&'a dyn Instance> {
        self.draft.old()
    }

    /// Whether such an object is created or updated, or a part of one.
    pub(super) fn writes<K: TypedKind>(&self) -> bool {
        self.new_object().is_some_and(|new| new.as_any().is::<K>())
    }

    pub(super) fn creates<K: TypedKind>(&self) -> bool {
        self.asked.operation == Operation::Create && self.writes::<K>()
    }

    /// Whether such an object itself is created or updated.
    pub(super) fn writes_whole<K: TypedKind>(&self) -> bool {
        self.asked.target.subresource.is_none() && self.writes::<K>()
    }
}
