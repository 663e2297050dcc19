//! Nobody hands out more than he holds: upstream's policy-based storage of roles and bindings
//! (`pkg/registry/rbac/*/policybased`).
//!
//! A role may be written by who holds all its rules, or may `escalate` roles; a binding by who holds all rules of the role
//! that it binds, or may `bind` that role; an aggregated role, whose rules others write, only by who holds everything.
//! Members of system:masters pass, and so do updates of nothing but owners and finalizers, without which the garbage
//! collector could not work.

use super::plugin::{Plugin, Step};
use super::review::Review;
use crate::policy_rule::{describe, full_authority, quoted};
use crate::reservations::Reservations;
use crate::rule_coverage::{COMPARISONS, Missing, TOLD, TooMany, uncovered};
use crate::{Actor, Attributes, Cluster, Target};
use ::api::{GroupResource, ObjectKey, Status};
use async_trait::async_trait;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef};
use kinds::{Instance, TypedKind};
use store::Resource;

pub(super) struct RbacEscalation;

#[async_trait]
impl Plugin for RbacEscalation {
    fn name(&self) -> &'static str {
        "RbacEscalation"
    }

    fn handles(&self, step: Step, review: &Review<'_>) -> bool {
        let writes = || {
            review.writes_whole::<ClusterRole>()
                || review.writes_whole::<Role>()
                || review.writes_whole::<RoleBinding>()
                || review.writes_whole::<ClusterRoleBinding>()
        };
        step == Step::Begin && writes()
    }

    async fn begin(&self, review: &mut Review<'_>, _: &mut Reservations) -> Result<(), Status> {
        let Some(new) = review.new_object() else { return Ok(()) };
        check(review.asked.cluster, review.asked.actor, review.asked.target, new, review.old_object())
    }
}

fn check(
    cluster: &Cluster,
    actor: &Actor,
    target: &Target,
    new: &dyn Instance,
    old: Option<&dyn Instance>,
) -> Result<(), Status> {
    if actor.is_in(Actor::MASTERS) {
        return Ok(());
    }
    let check = Check { cluster, actor, target, name: new.meta().name.as_deref().unwrap_or_default() };
    let only_for_the_collector = || old.is_some_and(|old| differs_for_the_collector_only(new, old));
    if let Some(role) = new.downcast_ref::<ClusterRole>() {
        let gathers = |role: &ClusterRole| role.aggregation_rule.is_some();
        let gathered = old.and_then(|old| old.downcast_ref::<ClusterRole>()).is_some_and(gathers);
        if check.may_escalate() || only_for_the_collector() {
            return Ok(());
        }
        check.holds(role.rules.as_deref().unwrap_or_default())?;
        return if gathers(role) || gathered { check.may_aggregate() } else { Ok(()) };
    }
    if let Some(role) = new.downcast_ref::<Role>() {
        if check.may_escalate() || only_for_the_collector() {
            return Ok(());
        }
        return check.holds(role.rules.as_deref().unwrap_or_default());
    }
    let bound = new.downcast_ref::<RoleBinding>().map(|binding| &binding.role_ref);
    let bound = bound.or_else(|| new.downcast_ref::<ClusterRoleBinding>().map(|binding| &binding.role_ref));
    let Some(role) = bound else { return Ok(()) };
    if only_for_the_collector() || check.may_bind(role) {
        return Ok(());
    }
    check.holds(&check.rules_of(role)?)
}

struct Check<'c> {
    cluster: &'c Cluster,
    actor: &'c Actor,
    target: &'c Target,
    name: &'c str,
}

impl Check<'_> {
    fn may_escalate(&self) -> bool {
        self.cluster.decide(self.actor, &Attributes::of("escalate", self.target)).is_allowed()
    }

    /// In the binding's namespace: one may be let bind a cluster's role there only.
    fn may_bind(&self, role: &RoleRef) -> bool {
        let resource = match role.kind.as_str() {
            "ClusterRole" => "clusterroles",
            "Role" => "roles",
            _ => return false,
        };
        let bind = Attributes {
            verb: "bind".to_owned(),
            group: role.api_group.clone().unwrap_or_default(),
            resource: resource.to_owned(),
            namespace: self.target.namespace.clone(),
            name: Some(role.name.clone()),
            ..Attributes::default()
        };
        self.cluster.decide(self.actor, &bind).is_allowed()
    }

    fn holds(&self, wanted: &[PolicyRule]) -> Result<(), Status> {
        let missing = self.missing(wanted)?;
        if missing.is_nothing() {
            return Ok(());
        }
        let mut each: Vec<String> = describe(&missing.rules).into_iter().collect();
        if missing.more > 0 {
            each.push(format!("and {} more", missing.more));
        }
        self.refused(&format!(
            "user {:?} (groups={}) is attempting to grant RBAC permissions not currently held:\n{}",
            self.actor.name,
            quoted(&self.actor.groups),
            each.join("\n")
        ))
    }

    fn may_aggregate(&self) -> Result<(), Status> {
        match self.missing(&full_authority())?.is_nothing() {
            true => Ok(()),
            false => self.refused("must have cluster-admin privileges to use the aggregationRule"),
        }
    }

    fn missing(&self, wanted: &[PolicyRule]) -> Result<Missing, Status> {
        let namespace = self.target.namespace.as_deref().unwrap_or_default();
        let held = self.cluster.rules_of(self.actor, namespace);
        uncovered(held.iter(), wanted, TOLD).or_else(|TooMany| {
            let refused = self.refused(&format!(
                "more than {COMPARISONS} comparisons would tell whether user {:?} holds its rules: write fewer or shorter ones",
                self.actor.name
            ));
            refused.map(|()| Missing::default())
        })
    }

    /// # Errors
    /// `NotFound` for a role that there is not: what it would hold is not known.
    fn rules_of(&self, role: &RoleRef) -> Result<Vec<PolicyRule>, Status> {
        let namespace = self.target.namespace.as_deref();
        match role.kind.as_str() {
            "ClusterRole" => self.stored(&ObjectKey::cluster(&role.name), |role: ClusterRole| role.rules),
            "Role" => self
                .stored(&ObjectKey::namespaced(namespace.unwrap_or_default(), &role.name), |role: Role| {
                    role.rules
                }),
            // validation refuses it, and nobody could be bound by it
            _ => Ok(Vec::new()),
        }
    }

    fn stored<K: TypedKind>(
        &self,
        key: &ObjectKey,
        rules: fn(K) -> Option<Vec<PolicyRule>>,
    ) -> Result<Vec<PolicyRule>, Status> {
        let info = K::info();
        let stored = self.cluster.store().snapshot().get(&Resource::from(&info.storage), key);
        let stored = stored.ok_or_else(|| Status::not_found(&info.gvr.group_resource(), &key.name))?;
        Ok(rules(stored.decode().map_err(Status::internal)?).unwrap_or_default())
    }

    fn refused(&self, why: &str) -> Result<(), Status> {
        let resource: GroupResource = self.target.group_resource();
        Err(Status::forbidden(&resource, self.name, why))
    }
}

/// Upstream's `IsOnlyMutatingGCFields`.
pub(super) fn differs_for_the_collector_only(new: &dyn Instance, old: &dyn Instance) -> bool {
    let mut copy = new.clone_box();
    let meta = copy.meta_mut();
    meta.owner_references.clone_from(&old.meta().owner_references);
    meta.finalizers.clone_from(&old.meta().finalizers);
    meta.managed_fields.clone_from(&old.meta().managed_fields);
    copy.same_as(old)
}
