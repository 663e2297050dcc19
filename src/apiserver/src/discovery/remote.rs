//! What APIServices give away to extension API servers, as discovery has it.

use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kinds::ApiPriority;
use kinds::builtin::api_service::condition;

/// A version of a group that somebody else serves.
#[derive(Debug, PartialEq)]
pub(super) struct Remote {
    pub(super) group: String,
    pub(super) version: String,
    pub(super) priority: ApiPriority,
    pub(super) is_available: bool,
}

impl Remote {
    pub(super) fn of(service: &APIService) -> Self {
        let spec = service.spec.clone().unwrap_or_default();
        Remote {
            priority: ApiPriority {
                of_group: spec.group_priority_minimum,
                of_version: spec.version_priority,
            },
            group: spec.group.unwrap_or_default(),
            version: spec.version.unwrap_or_default(),
            is_available: condition(service).is_some_and(|condition| condition.status == "True"),
        }
    }
}
