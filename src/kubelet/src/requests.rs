//! What pods ask of their node and are given, and what the node has too little of. Pure.

use api::quantity::Quantity;
use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::api::resource;
use std::collections::{BTreeMap, HashMap};
use std::fmt;

/// What a pod asks of its node, by the resource's name.
pub type Requests = BTreeMap<String, Quantity>;
/// What is given to each container, by its name.
pub type Allocation = HashMap<String, ResourceRequirements>;
pub type Amounts = BTreeMap<String, resource::Quantity>;

/// What a pod asks for can not be given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// `Infeasible`: never on this node. `Deferred`: not now.
    pub reason: &'static str,
    pub message: String,
}

/// What a node has too little of; thousandths of processors, bytes. Shown in upstream's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortage {
    pub name: &'static str,
    pub asked: i64,
    pub used: i64,
    pub has: i64,
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shortage { name, asked, used, has } = self;
        write!(
            f,
            "Node didn't have enough resource: {name}, requested: {asked}, used: {used}, capacity: {has}"
        )
    }
}

/// The first of `names` of which the node does not have what is asked for, beside what others use.
pub fn shortage<'r>(
    asked: &Requests,
    used: impl Iterator<Item = &'r Requests> + Clone,
    allocatable: &Amounts,
    names: &[&'static str],
) -> Option<Shortage> {
    names.iter().find_map(|name| {
        let (asked, has) = (*asked.get(*name)?, kinds::pod::quantity(Some(allocatable), name)?);
        let used = used.clone().filter_map(|other| other.get(*name));
        let used = used.fold(Quantity::default(), |sum, amount| sum.plus(*amount));
        let counted = |amount: Quantity| if *name == "cpu" { amount.milli() } else { amount.value() };
        let is_short = !asked.is_zero() && used.plus(asked) > has;
        is_short.then(|| Shortage { name, asked: counted(asked), used: counted(used), has: counted(has) })
    })
}
