//! What a PriorityLevelConfiguration comes to: how many seats, and where to wait for one.

use crate::queues::Queuing;
use k8s_openapi::api::flowcontrol::v1::PriorityLevelConfiguration;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Upstream's defaults of what the object leaves out.
const SHARES: i32 = 30;
const QUEUES: i32 = 64;
const HAND: i32 = 8;
const QUEUE_LENGTH: i32 = 50;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Level {
    pub(crate) uid: Arc<str>,
    pub(crate) limit: Limit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// Nothing holds its requests up.
    Exempt,
    /// `queuing` is `None` where a request without a seat is refused.
    Seats { seats: u32, queuing: Option<Queuing> },
}

/// By name. Each level gets its part of all seats, rounded up.
pub(crate) fn levels(objects: &[Arc<PriorityLevelConfiguration>], seats: u32) -> BTreeMap<String, Level> {
    let total: i64 = objects.iter().map(|object| i64::from(shares(object))).sum();
    let one = |object: &Arc<PriorityLevelConfiguration>| {
        let name = object.metadata.name.clone().unwrap_or_default();
        let uid = object.metadata.uid.as_deref().unwrap_or_default().into();
        // rounded up: a level with any share has a seat
        let part = (i64::from(seats) * i64::from(shares(object)) + total.max(1) - 1) / total.max(1);
        let limit = limit(object, u32::try_from(part).unwrap_or(seats));
        (name, Level { uid, limit })
    };
    objects.iter().map(one).collect()
}

/// Those of an exempt level count too: upstream takes what its requests use from what the others have.
fn shares(object: &PriorityLevelConfiguration) -> i32 {
    let spec = &object.spec;
    match (&spec.exempt, &spec.limited) {
        (Some(exempt), _) => exempt.nominal_concurrency_shares.unwrap_or(0).max(0),
        (None, Some(limited)) => limited.nominal_concurrency_shares.unwrap_or(SHARES).max(0),
        (None, None) => 0,
    }
}

fn limit(object: &PriorityLevelConfiguration, seats: u32) -> Limit {
    let spec = &object.spec;
    if spec.type_ == "Exempt" {
        return Limit::Exempt;
    }
    let response = spec.limited.as_ref().map(|limited| &limited.limit_response);
    let waits = response.is_none_or(|response| response.type_ != "Reject");
    let given = response.and_then(|response| response.queuing.as_ref());
    let or = |value: Option<i32>, default: i32| usize::try_from(value.unwrap_or(default)).unwrap_or(1).max(1);
    let queuing = waits.then(|| Queuing {
        queues: or(given.and_then(|q| q.queues), QUEUES),
        hand: or(given.and_then(|q| q.hand_size), HAND),
        length: or(given.and_then(|q| q.queue_length_limit), QUEUE_LENGTH),
    });
    Limit::Seats { seats, queuing }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn object(name: &str, spec: Value) -> Arc<PriorityLevelConfiguration> {
        let object = json!({"metadata": {"name": name, "uid": name}, "spec": spec});
        Arc::new(serde_json::from_value(object).unwrap())
    }

    #[test]
    fn seats_are_shared_out() {
        let objects = [
            object("exempt", json!({"type": "Exempt"})),
            object(
                "a",
                json!({"type": "Limited", "limited": {"nominalConcurrencyShares": 10, "limitResponse": {"type": "Queue", "queuing": {"queues": 2, "handSize": 1, "queueLengthLimit": 5}}}}),
            ),
            object(
                "b",
                json!({"type": "Limited", "limited": {"nominalConcurrencyShares": 20, "limitResponse": {"type": "Reject"}}}),
            ),
            object(
                "c",
                json!({"type": "Limited", "limited": {"nominalConcurrencyShares": 0, "limitResponse": {"type": "Queue"}}}),
            ),
        ];
        let got: Vec<Limit> = levels(&objects, 100).into_values().map(|level| level.limit).collect();
        let queuing = |queues, hand, length| Some(Queuing { queues, hand, length });
        let want = [
            Limit::Seats { seats: 34, queuing: queuing(2, 1, 5) },
            Limit::Seats { seats: 67, queuing: None },
            Limit::Seats { seats: 0, queuing: queuing(64, 8, 50) },
            Limit::Exempt,
        ];
        assert_eq!(got, want);
    }
}
