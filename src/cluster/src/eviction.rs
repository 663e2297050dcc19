//! Evictions: a pod goes where the budgets of those who run it allow that. Upstream's `pods/eviction`.

use crate::admission::{Operation, admit_eviction};
use crate::apply::ManagedFields;
use crate::{Actor, Attributes, Cluster, DeleteOptions, Target, WriteOptions};
use ::api::{Cause, GroupResource, Gvk, Object, Reason, Status};
use k8s_openapi::api::core::v1::{Pod, PodCondition};
use k8s_openapi::api::policy::v1::{Eviction, PodDisruptionBudget, PodDisruptionBudgetStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kinds::{Instance, Subresource, TypedKind, pod as ask, selectors};
use store::Resource;

/// So many evictions that the controller has not heard of yet are no sign of health.
const MOST_DISRUPTED_PODS: usize = 2000;
/// A condition of budgets, and its reason where it is not known how many pods must stay.
const ALLOWED: &str = "DisruptionAllowed";
const SYNC_FAILED: &str = "SyncFailed";
const CANNOT: &str = "Cannot evict pod as it would violate the pod's disruption budget.";
/// What a client that came too early is told to wait, in seconds.
const SOON: i32 = 10;

/// What the budgets say of one pod.
enum Verdict {
    /// It counts for nobody.
    Free,
    /// It is not among the healthy: it may go as long as it does not become so meanwhile.
    WhileUnready(String),
    /// One of the disruptions that the budget of this name allows is used up.
    Takes(String),
}

impl Cluster {
    /// The eviction as policies and webhooks have left it: whoever asks for one from outside goes by here first. `part` is the pod's
    /// `eviction`.
    ///
    /// # Errors
    /// `Forbidden`; `NotFound`; `BadRequest` for one of another pod; what policies and webhooks refuse.
    pub async fn admit_eviction(
        &self,
        actor: &Actor,
        part: &Target,
        eviction: Eviction,
        options: &WriteOptions,
    ) -> Result<Eviction, Status> {
        self.authorize(actor, &Attributes::of("create", part))?;
        let pod = Target { subresource: None, ..part.clone() };
        let asked = self.admission(actor, part, Operation::Create, options);
        let gvk = Gvk::new("policy", "v1", "Eviction");
        let judge = |eviction: &Eviction| {
            if eviction.metadata.name != part.name {
                return Err(Status::bad_request("name in URL does not match name in Eviction object"));
            }
            self.read_stored(&pod).map(drop)
        };
        asked.admit_unstored(&gvk, eviction, judge).await
    }

    /// Deletes a pod, if its disruption budget allows it.
    ///
    /// # Errors
    /// `Forbidden`; `NotFound`; `TooManyRequests` where the budget does not allow it now; `InternalError` for a pod with several
    /// budgets.
    pub async fn evict(&self, actor: &Actor, pod: &Target, options: &DeleteOptions) -> Result<(), Status> {
        let part = pod.clone().subresource(Subresource::Eviction);
        self.authorize(actor, &Attributes::of("create", &part))?;
        admit_eviction(self, actor, &part)?;
        let pod = Target { subresource: None, ..pod.clone() };
        let stored = self.read_stored(&pod)?;
        let object: Pod = stored.decode().map_err(Status::internal)?;
        let mut options = options.clone();
        match self.verdict(&object)? {
            Verdict::Free => {}
            Verdict::WhileUnready(budget) if options.resource_version.is_none() => {
                self.mark_as_target(&pod, &options).await?;
                let now = self.read_stored(&pod)?;
                options.resource_version = Some(now.revision());
                if ask::is_ready(&now.decode().map_err(Status::internal)?) {
                    return Err(being_processed(&budget));
                }
                return match self.delete_unasked(&pod, &options).await {
                    Err(status) if status.is(Reason::Conflict) => Err(being_processed(&budget)),
                    other => other.map(|_| ()),
                };
            }
            Verdict::WhileUnready(_) => {}
            Verdict::Takes(budget) => self.use_up(&object, &budget, options.dry_run).await?,
        }
        self.mark_as_target(&pod, &options).await?;
        self.delete_unasked(&pod, &options).await.map(|_| ())
    }

    fn verdict(&self, pod: &Pod) -> Result<Verdict, Status> {
        // its end disrupts nothing that was not disrupted before
        if ask::is_terminal(pod) || ask::is_deleting(pod) || ask::phase(pod) == "Pending" {
            return Ok(Verdict::Free);
        }
        let mut budgets = self.budgets_of(pod);
        let Some(budget) = budgets.pop() else { return Ok(Verdict::Free) };
        if !budgets.is_empty() {
            let why = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
            return Err(Status::new(Reason::InternalError, why));
        }
        if !ask::is_ready(pod) && unready_may_go(&budget) {
            return Ok(Verdict::WhileUnready(budget.metadata.name.unwrap_or_default()));
        }
        Ok(Verdict::Takes(budget.metadata.name.unwrap_or_default()))
    }

    fn budgets_of(&self, pod: &Pod) -> Vec<PodDisruptionBudget> {
        let snapshot = self.store().snapshot();
        let resource = Resource::from(&PodDisruptionBudget::info().storage);
        let labels = pod.metadata.labels.clone().unwrap_or_default();
        let all = snapshot.list(&resource, pod.metadata.namespace.as_deref(), None);
        let budgets = all.filter_map(|object| object.decode::<PodDisruptionBudget>().ok());
        let selects = |budget: &PodDisruptionBudget| {
            let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
            selector.is_some_and(|selector| selectors::selects(selector, &labels))
        };
        budgets.filter(selects).collect()
    }

    /// Takes one of the disruptions that the budget allows, and notes whose it is until the controller has seen it.
    async fn use_up(&self, pod: &Pod, budget: &str, dry_run: bool) -> Result<(), Status> {
        let version = self.registry().by_gvr(&PodDisruptionBudget::info().gvr);
        let version = version.ok_or_else(|| Status::internal("no disruption budgets"))?;
        let target = Target::object(&version, pod.metadata.namespace.as_deref(), budget)
            .subresource(Subresource::Status);
        let name = pod.metadata.name.clone().unwrap_or_default();
        let take = |current: &Object| -> Result<Box<dyn Instance>, Status> {
            let mut budget: PodDisruptionBudget = current.decode().map_err(Status::internal)?;
            take(&mut budget, &name, jiff::Timestamp::now())?;
            Ok(Box::new(budget))
        };
        let options = WriteOptions { dry_run, ..WriteOptions::default() };
        let taken =
            self.modify_authorized(&Actor::root(), &target, &options, ManagedFields::Follow, &take).await;
        match taken {
            Err(status) if status.is(Reason::Conflict) => Err(being_processed(budget)),
            other => other.map(|_| ()),
        }
    }

    /// Says in the pod's status why it ends (KEP-3329).
    async fn mark_as_target(&self, pod: &Target, options: &DeleteOptions) -> Result<(), Status> {
        if options.dry_run {
            return Ok(());
        }
        let mark = |current: &Object| -> Result<Box<dyn Instance>, Status> {
            let mut pod: Pod = current.decode().map_err(Status::internal)?;
            let condition = PodCondition {
                type_: "DisruptionTarget".to_owned(),
                status: "True".to_owned(),
                reason: Some("EvictionByEvictionAPI".to_owned()),
                message: Some("Eviction API: evicting".to_owned()),
                observed_generation: pod.metadata.generation,
                ..PodCondition::default()
            };
            ask::set_condition(pod.status.get_or_insert_default(), condition, jiff::Timestamp::now());
            pod.metadata.resource_version = None;
            Ok(Box::new(pod))
        };
        // who asks for one revision gets that or nothing: the condition would make another
        if options.resource_version.is_some() {
            return Ok(());
        }
        let status = pod.clone().subresource(Subresource::Status);
        let options = WriteOptions::default();
        self.modify_authorized(&Actor::root(), &status, &options, ManagedFields::Kept, &mark)
            .await
            .map(|_| ())
    }
}

fn unready_may_go(budget: &PodDisruptionBudget) -> bool {
    let policy = budget.spec.as_ref().and_then(|spec| spec.unhealthy_pod_eviction_policy.as_deref());
    let status = budget.status.clone().unwrap_or_default();
    let (healthy, desired) = (status.current_healthy.unwrap_or(0), status.desired_healthy.unwrap_or(0));
    policy == Some("AlwaysAllow") || (healthy >= desired && desired > 0)
}

fn take(budget: &mut PodDisruptionBudget, pod: &str, now: jiff::Timestamp) -> Result<(), Status> {
    let name = budget.metadata.name.clone().unwrap_or_default();
    let generation = budget.metadata.generation;
    let status = budget.status.get_or_insert_default();
    let forbidden = |why: &str, cause: &str| {
        let mut status = Status::forbidden(&GroupResource::new("policy", "poddisruptionbudget"), &name, why);
        status.causes.push(of_budget(format!(
            "The disruption budget {name} does not allow evicting pods currently: {cause}"
        )));
        Err(status)
    };
    if status.observed_generation.unwrap_or(0) < generation.unwrap_or(0) {
        return Err(being_processed(&name));
    }
    let allowed = status.disruptions_allowed.unwrap_or(0);
    if allowed < 0 {
        let why = "pdb disruptions allowed is negative";
        return forbidden(why, why);
    }
    if status.disrupted_pods.as_ref().is_some_and(|pods| pods.len() > MOST_DISRUPTED_PODS) {
        return forbidden(
            "DisruptedPods map too big - too many evictions not confirmed by PDB controller",
            "too many pending evictions not confirmed by PDB controller",
        );
    }
    if allowed == 0 {
        return Err(too_many(why_none(&name, status), None));
    }
    status.disruptions_allowed = Some(allowed - 1);
    if allowed == 1 {
        let conditions = status.conditions.get_or_insert_default();
        set_allowed_condition(conditions, false, generation, now);
    }
    status.disrupted_pods.get_or_insert_default().insert(pod.to_owned(), kinds::whole_second(now));
    Ok(())
}

/// Why the budget allows no disruption: where it could not be reckoned, or was not yet reckoned anew, the numbers are not the reason.
fn why_none(name: &str, status: &PodDisruptionBudgetStatus) -> String {
    let (desired, healthy) = (status.desired_healthy.unwrap_or(0), status.current_healthy.unwrap_or(0));
    let conditions = status.conditions.iter().flatten();
    let told = conditions.filter(|c| c.type_ == ALLOWED && c.status == "False" && !c.message.is_empty());
    let told = told.map(|condition| (condition.reason.as_str(), condition.message.as_str())).next();
    let not_now = format!("The disruption budget {name} does not allow evicting pods currently");
    match told {
        Some((SYNC_FAILED, why)) => format!("{not_now} because it failed sync: {why}"),
        _ if healthy <= desired => {
            format!("The disruption budget {name} needs {desired} healthy pods and has {healthy} currently")
        }
        Some((reason, why)) => format!("{not_now} ({reason}): {why}"),
        None => not_now,
    }
}

/// The condition `DisruptionAllowed`, as upstream's `UpdateDisruptionAllowedCondition` has it.
pub fn set_allowed_condition(
    conditions: &mut Vec<Condition>,
    allowed: bool,
    generation: Option<i64>,
    now: jiff::Timestamp,
) {
    let (status, reason) = if allowed { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
    set_condition(conditions, (status, reason, ""), generation, now);
}

/// The same where it is not known how many there should be.
pub fn set_failed_condition(
    conditions: &mut Vec<Condition>,
    why: &str,
    generation: Option<i64>,
    now: jiff::Timestamp,
) {
    set_condition(conditions, ("False", SYNC_FAILED, why), generation, now);
}

/// Status, reason and message.
type Said<'s> = (&'s str, &'s str, &'s str);

fn set_condition(
    conditions: &mut Vec<Condition>,
    (status, reason, message): Said<'_>,
    generation: Option<i64>,
    now: jiff::Timestamp,
) {
    let Time(now) = kinds::whole_second(now);
    let known = conditions.iter().position(|c| c.type_ == ALLOWED);
    let since = known.map(|at| &conditions[at]).filter(|c| c.status == status);
    let condition = Condition {
        type_: ALLOWED.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        observed_generation: generation,
        last_transition_time: since.map_or(Time(now), |c| c.last_transition_time.clone()),
    };
    match known {
        Some(at) => conditions[at] = condition,
        None => conditions.push(condition),
    }
}

fn being_processed(budget: &str) -> Status {
    let why = format!("The disruption budget {budget} is still being processed by the server.");
    too_many(why, Some(SOON))
}

fn too_many(why: String, wait: Option<i32>) -> Status {
    let mut status = Status::new(Reason::TooManyRequests, CANNOT);
    status.causes.push(of_budget(why));
    status.retry_after_seconds = wait;
    status
}

/// By which a client tells a budget's refusal from others.
fn of_budget(message: String) -> Cause {
    Cause { reason: "DisruptionBudget".into(), message, field: String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn budget(status: Value) -> PodDisruptionBudget {
        serde_json::from_value(json!({"metadata": {"name": "b", "generation": 2}, "status": status})).unwrap()
    }

    #[test]
    fn a_disruption_is_taken_while_there_is_one() {
        let now = jiff::Timestamp::UNIX_EPOCH;
        // (name, allowed, observed generation, refusal's cause)
        let cases = [
            ("two", 2, 2, None),
            ("the last", 1, 2, None),
            ("none", 0, 2, Some("The disruption budget b needs 3 healthy pods and has 2 currently")),
            ("not yet seen", 2, 1, Some("The disruption budget b is still being processed by the server.")),
        ];
        for (name, allowed, observed, want) in cases {
            let mut budget = budget(json!({
                "disruptionsAllowed": allowed, "observedGeneration": observed, "desiredHealthy": 3, "currentHealthy": 2,
            }));
            let outcome = take(&mut budget, "p", now);
            let said = outcome.err().map(|status| {
                assert_eq!((status.code, status.message.as_str()), (429, CANNOT), "{name}");
                status.causes[0].message.clone()
            });
            assert_eq!(said.as_deref(), want, "{name}");
            let status = budget.status.unwrap();
            let taken = i32::from(want.is_none());
            assert_eq!(status.disruptions_allowed, Some(allowed - taken), "{name}");
            assert_eq!(status.disrupted_pods.map_or(0, |pods| pods.len()), taken as usize, "{name}");
            let insufficient = status.conditions.iter().flatten().any(|c| c.reason == "InsufficientPods");
            assert_eq!(insufficient, name == "the last", "{name}");
        }
    }

    #[test]
    fn why_a_budget_allows_none() {
        let condition = |status: &str, reason: &str, message: &str| {
            json!([{"type": "DisruptionAllowed", "status": status, "reason": reason, "message": message,
                "lastTransitionTime": "2026-01-01T00:00:00Z"}])
        };
        let insufficient = || condition("False", "InsufficientPods", "");
        let not_now = "The disruption budget b does not allow evicting pods currently";
        let needs =
            |has: i32| format!("The disruption budget b needs 3 healthy pods and has {has} currently");
        let failed = |status: &str| condition(status, "SyncFailed", "no scale");
        let frozen = condition("False", "Frozen", "for the night");
        // (name, healthy of the three that there must be, conditions, why)
        let cases = [
            ("too few", 2, insufficient(), needs(2)),
            ("just enough", 3, json!([]), needs(3)),
            ("not reckoned", 1, failed("False"), format!("{not_now} because it failed sync: no scale")),
            ("reckoned again", 2, failed("True"), needs(2)),
            ("somebody else says it", 4, frozen, format!("{not_now} (Frozen): for the night")),
            ("enough, and nobody says why", 4, insufficient(), not_now.to_owned()),
        ];
        for (name, healthy, conditions, want) in cases {
            let status = json!({"disruptionsAllowed": 0, "observedGeneration": 2, "currentHealthy": healthy,
                "desiredHealthy": 3, "conditions": conditions});
            let refused = take(&mut budget(status), "p", jiff::Timestamp::UNIX_EPOCH).unwrap_err();
            assert_eq!((refused.code, refused.causes), (429, vec![of_budget(want)]), "{name}");
        }
    }

    #[test]
    fn a_budget_that_can_not_be_right_says_that_it_was_the_budget() {
        let many: serde_json::Map<String, Value> =
            (0..=MOST_DISRUPTED_PODS).map(|n| (format!("p{n}"), json!("2026-01-01T00:00:00Z"))).collect();
        let cases = [
            (json!({"disruptionsAllowed": -1}), "pdb disruptions allowed is negative"),
            (
                json!({"disruptionsAllowed": 1, "disruptedPods": many}),
                "too many pending evictions not confirmed by PDB controller",
            ),
        ];
        for (mut status, want) in cases {
            status["observedGeneration"] = 2.into();
            let refused = take(&mut budget(status), "p", jiff::Timestamp::UNIX_EPOCH).unwrap_err();
            let said = format!("The disruption budget b does not allow evicting pods currently: {want}");
            assert_eq!(refused.code, 403, "{want}");
            assert_eq!(refused.causes, [of_budget(said)], "{want}");
        }
    }

    #[test]
    fn an_unready_pod_may_go_where_enough_are_healthy_or_the_policy_says_so() {
        for (healthy, desired, policy, want) in [
            (2, 2, None, true),
            (1, 2, None, false),
            (0, 0, None, false),
            (1, 2, Some("IfHealthyBudget"), false),
            (1, 2, Some("AlwaysAllow"), true),
        ] {
            let mut budget = budget(json!({"currentHealthy": healthy, "desiredHealthy": desired}));
            budget.spec.get_or_insert_default().unhealthy_pod_eviction_policy = policy.map(str::to_owned);
            assert_eq!(unready_may_go(&budget), want, "{healthy}/{desired} {policy:?}");
        }
    }
}
