//! Upstream's DefaultTolerationSeconds: a pod outlives five minutes of its node's absence.

use super::plugin::{Plugin, Step};
use super::review::Review;
use ::api::Status;
use async_trait::async_trait;
use k8s_openapi::api::core::v1::{Pod, Toleration};

const SECONDS: i64 = 300; // upstream's --default-not-ready-toleration-seconds and --default-unreachable-toleration-seconds
const TAINTS: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];

pub(super) struct DefaultTolerationSeconds;

#[async_trait]
impl Plugin for DefaultTolerationSeconds {
    fn name(&self) -> &'static str {
        "DefaultTolerationSeconds"
    }

    fn handles(&self, step: Step, review: &Review<'_>) -> bool {
        step == Step::Admit && review.creates::<Pod>()
    }

    async fn admit(&self, review: &mut Review<'_>) -> Result<(), Status> {
        if let Some(pod) = review.draft.new_mut().and_then(|new| new.downcast_mut()) {
            tolerate(pod);
        }
        Ok(())
    }
}

fn tolerate(pod: &mut Pod) {
    let Some(spec) = pod.spec.as_mut() else { return };
    let tolerations = spec.tolerations.get_or_insert_default();
    for taint in TAINTS {
        if !tolerations.iter().any(|toleration| covers(toleration, taint)) {
            tolerations.push(Toleration {
                key: Some(taint.to_owned()),
                operator: Some("Exists".to_owned()),
                effect: Some("NoExecute".to_owned()),
                toleration_seconds: Some(SECONDS),
                value: None,
            });
        }
    }
}

fn covers(toleration: &Toleration, taint: &str) -> bool {
    let key = toleration.key.as_deref().unwrap_or_default();
    let effect = toleration.effect.as_deref().unwrap_or_default();
    (key == taint || key.is_empty()) && (effect == "NoExecute" || effect.is_empty())
}
