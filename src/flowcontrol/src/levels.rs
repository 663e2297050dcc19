//! What a PriorityLevelConfiguration comes to: where its requests wait, and how many of the server's seats are its own, may be
//! lent, and may be borrowed.

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
    pub(crate) spec: Spec,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spec {
    pub(crate) response: Response,
    /// Its part of the server's seats is that of its shares in the shares of all.
    pub(crate) shares: u32,
    /// How much of its part others may have while it does not need it.
    pub(crate) lendable_percent: u32,
    /// How much of what others lend it may have, in percent of its own part; all of it, where this is `None`.
    pub(crate) borrowing_limit_percent: Option<u32>,
}

/// What comes of a request for which there is no seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Response {
    /// Nothing holds it up.
    Exempt,
    Queue(Queuing),
    Reject,
}

/// Of one level, in seats; the names are those of upstream's metrics (`apiserver_flowcontrol_nominal_limit_seats` and so on).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// What is its own when it needs it.
    pub nominal: u32,
    /// What is never lent.
    pub lower: u32,
    /// What it may have, if others lend it that much.
    pub upper: u32,
}

/// By name.
pub(crate) fn levels(objects: &[Arc<PriorityLevelConfiguration>]) -> BTreeMap<String, Level> {
    let one = |object: &Arc<PriorityLevelConfiguration>| {
        let name = object.metadata.name.clone().unwrap_or_default();
        let uid = object.metadata.uid.as_deref().unwrap_or_default().into();
        (name, Level { uid, spec: spec(object) })
    };
    objects.iter().map(one).collect()
}

/// Shares out `seats`, in the order of `specs`: upstream's `finishQueueSetReconfigsLocked`. An exempt level has a part like all
/// others: that is kept for it.
pub(crate) fn limits(specs: &[Spec], seats: u32) -> Vec<Limits> {
    let total: u64 = specs.iter().map(|spec| u64::from(spec.shares)).sum::<u64>().max(1);
    let one = |spec: &Spec| {
        // rounded up: a level with any share has a seat
        let nominal = (u64::from(seats) * u64::from(spec.shares)).div_ceil(total);
        // to the nearest, halves up
        let percent = |percent: u32| seats_of((nominal * u64::from(percent) + 50) / 100);
        let borrowing = spec.borrowing_limit_percent.map_or(seats, percent);
        let nominal = seats_of(nominal);
        Limits {
            nominal,
            lower: nominal - percent(spec.lendable_percent).min(nominal),
            upper: nominal.saturating_add(borrowing),
        }
    };
    specs.iter().map(one).collect()
}

fn seats_of(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn spec(object: &PriorityLevelConfiguration) -> Spec {
    let spec = &object.spec;
    let number = |value: Option<i32>, default: i32| u32::try_from(value.unwrap_or(default)).unwrap_or(0);
    if spec.type_ == "Exempt" {
        let exempt = spec.exempt.clone().unwrap_or_default();
        return Spec {
            response: Response::Exempt,
            shares: number(exempt.nominal_concurrency_shares, 0),
            lendable_percent: number(exempt.lendable_percent, 0),
            borrowing_limit_percent: None,
        };
    }
    let limited = spec.limited.clone().unwrap_or_default();
    Spec {
        response: response(object),
        shares: number(limited.nominal_concurrency_shares, SHARES),
        lendable_percent: number(limited.lendable_percent, 0),
        borrowing_limit_percent: limited.borrowing_limit_percent.map(|percent| number(Some(percent), 0)),
    }
}

/// Of a limited one.
fn response(object: &PriorityLevelConfiguration) -> Response {
    let response = object.spec.limited.as_ref().map(|limited| &limited.limit_response);
    if response.is_some_and(|response| response.type_ == "Reject") {
        return Response::Reject;
    }
    let given = response.and_then(|response| response.queuing.as_ref());
    let or = |value: Option<i32>, default: i32| usize::try_from(value.unwrap_or(default)).unwrap_or(1).max(1);
    Response::Queue(Queuing {
        queues: or(given.and_then(|q| q.queues), QUEUES),
        hand: or(given.and_then(|q| q.hand_size), HAND),
        length: or(given.and_then(|q| q.queue_length_limit), QUEUE_LENGTH),
    })
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
    fn what_an_object_says_and_what_it_leaves_out() {
        let limited = |limited: Value| json!({"type": "Limited", "limited": limited});
        let queuing = json!({"queues": 2, "handSize": 1, "queueLengthLimit": 5});
        let objects = [
            object("a", json!({"type": "Exempt"})),
            object(
                "b",
                json!({"type": "Exempt", "exempt": {"nominalConcurrencyShares": 7, "lendablePercent": 40}}),
            ),
            object(
                "c",
                limited(
                    json!({"nominalConcurrencyShares": 10, "lendablePercent": 30, "borrowingLimitPercent": 200,
                    "limitResponse": {"type": "Queue", "queuing": queuing}}),
                ),
            ),
            object("d", limited(json!({"limitResponse": {"type": "Reject"}}))),
            object("e", limited(json!({"nominalConcurrencyShares": 0, "limitResponse": {"type": "Queue"}}))),
        ];
        let queue = |queues, hand, length| Response::Queue(Queuing { queues, hand, length });
        let spec = |response, shares, lendable_percent, borrowing_limit_percent| Spec {
            response,
            shares,
            lendable_percent,
            borrowing_limit_percent,
        };
        let want = [
            spec(Response::Exempt, 0, 0, None),
            spec(Response::Exempt, 7, 40, None),
            spec(queue(2, 1, 5), 10, 30, Some(200)),
            spec(Response::Reject, 30, 0, None),
            spec(queue(64, 8, 50), 0, 0, None),
        ];
        let got: Vec<Spec> = levels(&objects).into_values().map(|level| level.spec).collect();
        assert_eq!(got, want);
    }

    #[test]
    fn seats_are_shared_out() {
        // shares, lendable, borrowing, and what comes of it: nominal, lower, upper
        let cases = [
            (
                "upstream's defaults",
                600,
                vec![
                    ((0, 0, None), (0, 0, 600)),
                    ((5, 0, None), (13, 13, 613)),
                    ((30, 33, None), (74, 50, 674)),
                    ((40, 25, None), (98, 73, 698)),
                    ((10, 0, None), (25, 25, 625)),
                    ((40, 50, None), (98, 49, 698)),
                    ((100, 90, None), (245, 24, 845)),
                    ((20, 50, None), (49, 24, 649)),
                ],
            ),
            (
                "limits of borrowing",
                100,
                vec![
                    ((10, 100, Some(0)), (34, 0, 34)),
                    ((20, 50, Some(150)), (67, 33, 168)),
                    ((0, 50, Some(300)), (0, 0, 0)),
                ],
            ),
            ("nobody has a share", 100, vec![((0, 0, None), (0, 0, 100)), ((0, 0, Some(10)), (0, 0, 0))]),
            ("numbers that are no use", 100, vec![((1, 400, Some(u32::MAX)), (100, 0, u32::MAX))]),
        ];
        for (name, seats, rows) in cases {
            let spec = |(shares, lendable_percent, borrowing_limit_percent)| Spec {
                response: Response::Reject,
                shares,
                lendable_percent,
                borrowing_limit_percent,
            };
            let specs: Vec<Spec> = rows.iter().map(|(given, _)| spec(*given)).collect();
            let want: Vec<Limits> = rows
                .iter()
                .map(|(_, (nominal, lower, upper))| Limits {
                    nominal: *nominal,
                    lower: *lower,
                    upper: *upper,
                })
                .collect();
            assert_eq!(limits(&specs, seats), want, "{name}");
        }
    }
}
