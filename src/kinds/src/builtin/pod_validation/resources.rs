//! What containers and pods ask of a node: names, amounts, and what fits what.

use super::super::checks::{judged, list};
use super::super::names;
use crate::ErrorList;
use api::quantity::Quantity;
use k8s_openapi::api::core::v1::{ContainerResizePolicy, PodSpec, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Amount;
use std::collections::{BTreeMap, BTreeSet};

type Amounts = BTreeMap<String, Amount>;

const HUGE_PAGES: &str = "hugepages-";
const OF_CONTAINERS: [&str; 3] = ["cpu", "ephemeral-storage", "memory"];
const OF_PODS: [&str; 3] = ["cpu", "hugepages-", "memory"];
/// What has a meaning without a prefix, be it in a quota only.
pub(in crate::builtin) const STANDARD: [&str; 20] = [
    "configmaps",
    "cpu",
    "ephemeral-storage",
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "memory",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
    "requests.storage",
    "resourcequotas",
    "secrets",
    "services",
    "services.loadbalancers",
    "services.nodeports",
    "storage",
];
const COUNTED: [&str; 9] = [
    "configmaps",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "services",
    "services.loadbalancers",
    "services.nodeports",
];

pub(super) fn of_container(
    given: &ResourceRequirements,
    claims: &BTreeSet<&str>,
    at: &str,
    errors: &mut ErrorList,
) {
    requirements(given, container_resource, at, errors);
    super::claims::used(list(&given.claims), claims, &format!("{at}.claims"), errors);
}

/// As the client said it.
fn written<'l>(list: Option<&'l Amounts>, name: &str) -> &'l str {
    list.and_then(|list| list.get(name)).map_or("", |quantity| &quantity.0)
}

/// KEP-2837.
pub(super) fn of_pod(spec: &PodSpec, at: &str, errors: &mut ErrorList) {
    let Some(given) = &spec.resources else { return };
    if spec.os.as_ref().is_some_and(|os| os.name == "windows") {
        return errors.forbidden(at, "may not be set for a windows pod");
    }
    if given.claims.is_some() {
        errors.forbidden(format_args!("{at}.claims"), "claims may not be set for Resources at pod-level");
    }
    requirements(given, pod_resource, at, errors);
    for (name, sum) in crate::pod::requests_of_containers(spec) {
        let asked = crate::pod::quantity(given.requests.as_ref(), &name);
        if asked.is_some_and(|asked| sum > asked) {
            errors.invalid(
                format_args!("{at}.requests[{name}]"),
                written(given.requests.as_ref(), &name),
                format_args!("must be greater than or equal to aggregate container requests of {sum}"),
            );
        }
    }
    // nothing of them is lent: what the containers may have the pod must
    for (name, sum) in
        crate::pod::limits_of_containers(spec).into_iter().filter(|(name, _)| is_huge_page(name))
    {
        let most = crate::pod::quantity(given.limits.as_ref(), &name);
        if most.is_some_and(|most| sum > most) {
            errors.invalid(
                format_args!("{at}.limits[{name}]"),
                written(given.limits.as_ref(), &name),
                format_args!("must be greater than or equal to aggregate container limits of {sum}"),
            );
        }
    }
    for (index, container) in spec.containers.iter().enumerate() {
        let limits = container.resources.as_ref().and_then(|r| r.limits.as_ref());
        for (name, limit) in limits.into_iter().flatten() {
            let whole = crate::pod::quantity(given.limits.as_ref(), name);
            let own = limit.0.parse::<Quantity>().ok();
            if let Some((whole, _)) = whole.zip(own).filter(|(whole, own)| own > whole) {
                errors.invalid(
                    format_args!("{at}.containers[{index}][{name}].limits"),
                    limit.0.as_str(),
                    format_args!("must be less than or equal to pod limits of {whole}"),
                );
            }
        }
    }
}

/// Limits that nobody may exceed, as of an overhead.
pub(in super::super) fn of_overhead(amounts: &Amounts, at: &str, errors: &mut ErrorList) {
    let given = ResourceRequirements { limits: Some(amounts.clone()), ..ResourceRequirements::default() };
    requirements(&given, container_resource, at, errors);
}

fn requirements(
    given: &ResourceRequirements,
    judge: fn(&str, &str, &mut ErrorList),
    at: &str,
    errors: &mut ErrorList,
) {
    let none = Amounts::new();
    let limits = given.limits.as_ref().unwrap_or(&none);
    let requests = given.requests.as_ref().unwrap_or(&none);
    for (field, amounts) in [("limits", limits), ("requests", requests)] {
        for (name, amount) in amounts {
            let at = format!("{at}.{field}[{name}]");
            judge(name, &at, errors);
            self::amount(name, amount, &at, errors);
        }
    }
    for (name, request) in requests {
        fits(name, request, limits.get(name), at, errors);
    }
    let any = |is: fn(&str) -> bool| limits.keys().chain(requests.keys()).any(|name| is(name));
    if any(is_huge_page) && !any(|name| matches!(name, "cpu" | "memory")) {
        errors.forbidden(at, "HugePages require cpu or memory");
    }
}

pub(in super::super) fn amount(name: &str, amount: &Amount, at: &str, errors: &mut ErrorList) {
    let text = amount.0.as_str();
    let parsed = match text.parse::<Quantity>() {
        Ok(parsed) => parsed,
        Err(why) => return errors.invalid(at, text, why),
    };
    if parsed.is_negative() {
        errors.invalid(at, text, super::super::checks::NOT_NEGATIVE);
    }
    if (COUNTED.contains(&name) || is_extended(name)) && Quantity::from_units(parsed.value()) != parsed {
        errors.invalid(at, text, "must be an integer");
    }
    if is_huge_page(name) && !divides(name, parsed) {
        errors.invalid(at, text, format_args!("{text} is not positive integer multiple of {name}"));
    }
}

fn divides(name: &str, amount: Quantity) -> bool {
    let page = name.strip_prefix(HUGE_PAGES).and_then(|size| size.parse::<Quantity>().ok());
    page.map(Quantity::value).is_some_and(|page| page > 0 && amount.value() % page == 0)
}

/// A request is at most the limit; exactly the limit, where nothing can be shared out twice.
fn fits(name: &str, request: &Amount, limit: Option<&Amount>, at: &str, errors: &mut ErrorList) {
    let Ok(asked) = request.0.parse::<Quantity>() else { return };
    let shared = may_overcommit(name);
    let Some(limit) = limit else {
        if !shared {
            errors
                .required(format_args!("{at}.limits"), "Limit must be set for non overcommitable resources");
        }
        return;
    };
    let Ok(most) = limit.0.parse::<Quantity>() else { return };
    let relation = match asked.cmp(&most) {
        std::cmp::Ordering::Equal => return,
        _ if !shared => "equal to",
        std::cmp::Ordering::Greater => "less than or equal to",
        std::cmp::Ordering::Less => return,
    };
    let why = format!("must be {relation} {name} limit of {}", limit.0);
    errors.invalid(format_args!("{at}.requests"), request.0.as_str(), why);
}

fn resource_name(name: &str, at: &str, errors: &mut ErrorList) -> bool {
    if names::qualified(name).is_err() {
        judged(names::qualified, name, at, errors);
        return false;
    }
    let standard = STANDARD.contains(&name) || is_huge_page(name) || name.starts_with("requests.hugepages-");
    if !name.contains('/') && !standard {
        errors.invalid(at, name, "must be a standard resource type or fully qualified");
        return false;
    }
    true
}

fn container_resource(name: &str, at: &str, errors: &mut ErrorList) {
    resource_name(name, at, errors);
    if !name.contains('/') {
        if !OF_CONTAINERS.contains(&name) && !is_huge_page(name) {
            errors.invalid(at, name, "must be a standard resource for containers");
        }
    } else if !is_native(name) && !is_extended(name) {
        errors.invalid(at, name, "doesn't follow extended resource name standard");
    }
}

fn pod_resource(name: &str, at: &str, errors: &mut ErrorList) {
    if resource_name(name, at, errors) && !OF_PODS.contains(&name) && !is_huge_page(name) {
        errors.not_supported(at, name, &OF_PODS);
    }
}

fn is_huge_page(name: &str) -> bool {
    name.starts_with(HUGE_PAGES)
}

fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

fn is_extended(name: &str) -> bool {
    !is_native(name)
        && !name.starts_with("requests.")
        && names::qualified(&format!("requests.{name}")).is_ok()
}

fn may_overcommit(name: &str) -> bool {
    is_native(name) && !is_huge_page(name)
}

pub(super) fn resize_policies(
    policies: &[ContainerResizePolicy],
    restart_policy: &str,
    at: &str,
    errors: &mut ErrorList,
) {
    const RESOURCES: [&str; 2] = ["cpu", "memory"];
    const POLICIES: [&str; 2] = ["NotRequired", "RestartContainer"];
    let mut seen = BTreeSet::new();
    for (index, policy) in policies.iter().enumerate() {
        let (resource, restart) = (policy.resource_name.as_str(), policy.restart_policy.as_str());
        if !seen.insert(resource) {
            errors.duplicate(format_args!("{at}[{index}]"), resource);
        }
        super::one_of(resource, &RESOURCES, at, errors);
        super::one_of(restart, &POLICIES, at, errors);
        if restart_policy == "Never" && restart != "NotRequired" {
            errors.invalid(at, restart, "must be 'NotRequired' when `restartPolicy` is 'Never'");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn of_a_pod_as_a_whole() {
        let huge = |most: &str| json!({"limits": {"cpu": "1", "hugepages-2Mi": most}});
        for (name, os, whole, want) in [
            ("enough", "linux", huge("4Mi"), ""),
            (
                "fewer pages than the containers'",
                "linux",
                huge("2Mi"),
                "limits[hugepages-2Mi]: Invalid value: \"2Mi\": must be greater than or equal to aggregate container limits of",
            ),
            ("of Windows", "windows", huge("4Mi"), "resources: Forbidden: may not be set for a windows pod"),
            ("claims", "linux", json!({"claims": [{"name": "g"}]}), "claims may not be set for Resources"),
        ] {
            let container = json!({"name": "c", "resources": huge("2Mi")});
            let spec = json!({"os": {"name": os}, "resources": whole, "containers": [container, container]});
            let mut errors = ErrorList::default();
            of_pod(&serde_json::from_value(spec).unwrap(), "spec.resources", &mut errors);
            let told: Vec<_> =
                errors.into_causes().into_iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
            let told = told.join("; ");
            assert!(if want.is_empty() { told.is_empty() } else { told.contains(want) }, "{name}: {told}");
        }
    }
}
