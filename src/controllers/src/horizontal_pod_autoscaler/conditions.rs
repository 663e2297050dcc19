//! What an autoscaler says of itself.

use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v2::{HorizontalPodAutoscaler, HorizontalPodAutoscalerCondition};
use kinds::whole_second;

pub(super) const ABLE: &str = "AbleToScale";
pub(super) const ACTIVE: &str = "ScalingActive";
pub(super) const LIMITED: &str = "ScalingLimited";
/// It was the autoscaler that took the last pod away, and not somebody who wants none (KEP-2021).
pub(super) const AT_ZERO: &str = "ScaledToZero";

/// An autoscaler's conditions, as a look leaves them.
pub(super) struct Conditions {
    all: Vec<HorizontalPodAutoscalerCondition>,
    before: Vec<HorizontalPodAutoscalerCondition>,
    generation: Option<i64>,
    now: Timestamp,
}

impl Conditions {
    pub(super) fn of(autoscaler: &HorizontalPodAutoscaler, now: Timestamp) -> Self {
        let all = autoscaler.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
        Conditions { before: all.clone(), all, generation: autoscaler.metadata.generation, now }
    }

    pub(super) fn is_true(&self, kind: &str) -> bool {
        self.all.iter().any(|condition| condition.type_ == kind && condition.status == "True")
    }

    /// The last word of a look counts: only when that differs from before has there been a transition.
    pub(super) fn set(&mut self, kind: &str, status: bool, reason: &str, message: impl Into<String>) {
        let status = if status { "True" } else { "False" };
        let known = self.before.iter().find(|c| c.type_ == kind && c.status == status);
        let condition = HorizontalPodAutoscalerCondition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: Some(reason.to_owned()),
            message: Some(message.into()),
            observed_generation: self.generation,
            last_transition_time: known
                .and_then(|c| c.last_transition_time.clone())
                .or_else(|| Some(whole_second(self.now))),
        };
        match self.all.iter_mut().find(|c| c.type_ == kind) {
            Some(place) => *place = condition,
            None => self.all.push(condition),
        }
    }

    pub(super) fn into_list(self) -> Vec<HorizontalPodAutoscalerCondition> {
        self.all
    }
}
