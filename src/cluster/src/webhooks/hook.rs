//! A webhook as it is configured: what it wants to be asked about.

use super::review::Version;
use crate::admission_request::matching::{Conditions, Matching};
use k8s_openapi::api::admissionregistration::v1::{MutatingWebhook, ValidatingWebhook, WebhookClientConfig};
use kinds::builtin::webhooks::compile_condition;
use std::time::Duration;

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10); // admissionregistration.k8s.io/v1's own

/// As metrics name a webhook that may change what it is asked about.
const ADMIT: &str = "admit";

pub(super) struct Hook {
    pub(super) name: String,
    /// As metrics name it: `admit` or `validating`.
    pub(super) kind: &'static str,
    pub(super) client: WebhookClientConfig,
    pub(super) matching: Matching,
    pub(super) conditions: Conditions,
    pub(super) ignores_failure: bool,
    pub(super) is_dry_run_safe: bool,
    pub(super) if_needed: bool,
    pub(super) timeout: Duration,
    pub(super) version: Version,
}

impl Hook {
    pub(super) fn url(&self) -> String {
        url_of(&self.client, self.timeout)
    }

    pub(super) fn may_patch(&self) -> bool {
        self.kind == ADMIT
    }
}

/// Where its Service, or its address, is asked.
pub(crate) fn url_of(client: &WebhookClientConfig, timeout: Duration) -> String {
    let seconds = timeout.as_secs();
    match &client.service {
        Some(service) => {
            let (name, namespace, port) = (&service.name, &service.namespace, service.port.unwrap_or(443));
            let path = service.path.as_deref().unwrap_or_default();
            let slash = if path.starts_with('/') { "" } else { "/" };
            format!("https://{name}.{namespace}.svc:{port}{slash}{path}?timeout={seconds}s")
        }
        None => format!("{}?timeout={seconds}s", client.url.as_deref().unwrap_or_default()),
    }
}

fn timeout(seconds: Option<i32>) -> Duration {
    seconds.and_then(|s| u64::try_from(s).ok()).map_or(DEFAULT_TIMEOUT, Duration::from_secs)
}

macro_rules! from {
    ($hook:expr, $kind:expr, $if_needed:expr) => {
        Hook {
            kind: $kind,
            if_needed: $if_needed,
            matching: Matching::of_webhook(
                $hook.rules.unwrap_or_default(),
                $hook.namespace_selector,
                $hook.object_selector,
                $hook.match_policy.as_deref(),
            ),
            conditions: Conditions::new(
                $hook.match_conditions.as_deref().unwrap_or_default(),
                compile_condition,
            ),
            ignores_failure: $hook.failure_policy.as_deref() == Some("Ignore"),
            is_dry_run_safe: matches!($hook.side_effects.as_str(), "None" | "NoneOnDryRun"),
            timeout: timeout($hook.timeout_seconds),
            version: Version::of(&$hook.admission_review_versions),
            name: $hook.name,
            client: $hook.client_config,
        }
    };
}

impl From<MutatingWebhook> for Hook {
    fn from(hook: MutatingWebhook) -> Self {
        let if_needed = hook.reinvocation_policy.as_deref() == Some("IfNeeded");
        from!(hook, ADMIT, if_needed)
    }
}

impl From<ValidatingWebhook> for Hook {
    fn from(hook: ValidatingWebhook) -> Self {
        from!(hook, "validating", false)
    }
}
