//! Whether a container says for itself when it is started again (KEP-5307).

use super::super::checks::{list, one_of};
use crate::ErrorList;
use k8s_openapi::api::core::v1::Container;

const POLICIES: [&str; 3] = ["Always", "Never", "OnFailure"];
/// The second needs a node that declares it.
const ACTIONS: [&str; 2] = ["Restart", "RestartAllContainers"];
const OPERATORS: [&str; 2] = ["In", "NotIn"];
/// Upstream's limits.
const MOST_RULES: usize = 20;
const MOST_EXIT_CODES: usize = 255;

pub(super) fn of_container(container: &Container, at: &str, errors: &mut ErrorList) {
    let rules = list(&container.restart_policy_rules);
    match &container.restart_policy {
        Some(policy) => one_of(policy, &POLICIES, format_args!("{at}.restartPolicy"), errors),
        None if !rules.is_empty() => errors.required(
            format_args!("{at}.restartPolicy"),
            "must specify restartPolicy when restart rules are used",
        ),
        None => {}
    }
    let at = format!("{at}.restartPolicyRules");
    if rules.len() > MOST_RULES {
        errors.too_many(&at, rules.len(), MOST_RULES);
    }
    for (index, rule) in rules.iter().enumerate() {
        let at = format!("{at}[{index}]");
        one_of(&rule.action, &ACTIONS, format_args!("{at}.action"), errors);
        let Some(codes) = &rule.exit_codes else {
            errors.required(format_args!("{at}.exitCodes"), "must be specified");
            continue;
        };
        one_of(&codes.operator, &OPERATORS, format_args!("{at}.exitCodes.operator"), errors);
        let values = list(&codes.values);
        if values.len() > MOST_EXIT_CODES {
            errors.too_many(format_args!("{at}.exitCodes.values"), values.len(), MOST_EXIT_CODES);
        }
    }
}
