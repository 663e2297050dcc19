//! How the conditions of a Job are written.

use k8s_openapi::api::batch::v1::JobCondition;
use kinds::whole_second;

/// Says whether anything changed. What was never true is not said to be false.
pub(super) fn put(
    conditions: &mut Vec<JobCondition>,
    kind: &str,
    value: &str,
    reason: &str,
    message: &str,
    now: jiff::Timestamp,
) -> bool {
    let at = Some(whole_second(now));
    let new = JobCondition {
        type_: kind.to_owned(),
        status: value.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_probe_time: at.clone(),
        last_transition_time: at,
    };
    match conditions.iter_mut().find(|known| known.type_ == kind) {
        Some(known)
            if known.status == value && known.reason == new.reason && known.message == new.message =>
        {
            false
        }
        Some(known) => {
            *known = new;
            true
        }
        None if value == "False" => false,
        None => {
            conditions.push(new);
            true
        }
    }
}
