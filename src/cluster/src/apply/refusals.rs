//! Why something is not applied, in upstream's words.

use crate::Target;
use ::api::apply::{ApplyError, Conflict};
use ::api::{Cause, Reason, Status};
use kinds::Subresource;
use serde_json::Value;
use std::collections::BTreeMap;

/// Where a scale has its number.
const REPLICAS: &str = ".spec.replicas";

/// Upstream gives these errors no code of their own.
pub(super) fn malformed(config: &Value, target: &Target, why: &str) -> Status {
    let named = |field: &str| config.pointer(field).and_then(Value::as_str).unwrap_or_default();
    let (namespace, name) = (named("/metadata/namespace"), named("/metadata/name"));
    let ::api::Gvk { group, version, kind } = &target.version.info().gvk;
    let what = format!("{namespace}/{name}; {group}/{version}, Kind={kind}");
    Status::new(Reason::Unknown, format!("failed to create typed patch object ({what}): {why}"))
}

pub(super) fn refusal(error: ApplyError, config: &Value, target: &Target) -> Status {
    match error {
        ApplyError::Malformed(why) => malformed(config, target, &why),
        ApplyError::Conflicts(mut conflicts) => {
            // of the object it says nothing else, wherever that has it
            if target.subresource == Some(Subresource::Scale) {
                conflicts.iter_mut().for_each(|conflict| REPLICAS.clone_into(&mut conflict.path));
            }
            let mut status = Status::new(Reason::Conflict, conflict_message(&conflicts));
            status.causes = conflicts
                .into_iter()
                .map(|Conflict { manager, path }| Cause {
                    reason: "FieldManagerConflict".to_owned(),
                    message: format!("conflict with {manager}"),
                    field: path,
                })
                .collect();
            status
        }
    }
}

/// kubectl shows it as it is.
fn conflict_message(conflicts: &[Conflict]) -> String {
    if let [Conflict { manager, path }] = conflicts {
        return format!("Apply failed with 1 conflict: conflict with {manager}: {path}");
    }
    let mut by_manager: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for Conflict { manager, path } in conflicts {
        by_manager.entry(manager).or_default().push(path);
    }
    let lines = by_manager.into_iter().map(|(manager, paths)| {
        let paths: Vec<String> = paths.into_iter().map(|path| format!("\n- {path}")).collect();
        format!("conflicts with {manager}:{}", paths.concat())
    });
    format!("Apply failed with {} conflicts: {}", conflicts.len(), lines.collect::<Vec<_>>().join("\n"))
}
