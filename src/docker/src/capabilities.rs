//! Linux's capabilities by their names, and those that a container of Docker's has.

use cri::confinement::{CAPABILITIES, DEFAULT_CAPABILITIES};

/// `net_admin` → `CAP_NET_ADMIN`; `ALL` stays.
pub(crate) fn full(name: &str) -> String {
    let upper = name.to_ascii_uppercase();
    if upper == "ALL" || upper.starts_with("CAP_") { upper } else { format!("CAP_{upper}") }
}

pub(crate) fn is_known(full: &str) -> bool {
    full == "ALL" || full.strip_prefix("CAP_").is_some_and(|name| CAPABILITIES.contains(&name))
}

/// What a container has in the end, as `CAP_…`.
pub(crate) fn granted(privileged: bool, add: &[String], drop: &[String]) -> Vec<String> {
    let has = |list: &[String], name: &str| list.iter().map(|one| full(one)).any(|one| one == name);
    let wanted = |name: &&&str| {
        let full = full(name);
        let added = has(add, &full);
        privileged
            || added
            || (has(add, "ALL") && !has(drop, &full))
            || (DEFAULT_CAPABILITIES.contains(name) && !has(drop, &full) && !has(drop, "ALL"))
    };
    CAPABILITIES.iter().filter(wanted).map(|name| full(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, want) in [("net_admin", true), ("CAP_CHOWN", true), ("all", true), ("bogus", false)] {
            assert_eq!(is_known(&full(name)), want, "{name}");
        }
        let words = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
        assert_eq!(granted(false, &[], &[]).len(), DEFAULT_CAPABILITIES.len());
        assert_eq!(granted(true, &[], &[]).len(), CAPABILITIES.len());
        assert_eq!(granted(false, &words(&["net_raw"]), &words(&["ALL"])), ["CAP_NET_RAW"]);
        assert_eq!(granted(false, &words(&["ALL"]), &words(&["mknod"])).len(), CAPABILITIES.len() - 1);
    }
}
