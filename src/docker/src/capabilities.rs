//! Linux's capabilities by their names, and those that a container of Docker's has.

/// linux/capability.h, in the order of their numbers.
const ALL: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// Docker's own list.
const USUAL: [&str; 14] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// `net_admin` → `CAP_NET_ADMIN`; `ALL` stays.
pub(crate) fn full(name: &str) -> String {
    let upper = name.to_ascii_uppercase();
    if upper == "ALL" || upper.starts_with("CAP_") { upper } else { format!("CAP_{upper}") }
}

pub(crate) fn is_known(full: &str) -> bool {
    full == "ALL" || full.strip_prefix("CAP_").is_some_and(|name| ALL.contains(&name))
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
            || (USUAL.contains(name) && !has(drop, &full) && !has(drop, "ALL"))
    };
    ALL.iter().filter(wanted).map(|name| full(name)).collect()
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
        assert_eq!(granted(false, &[], &[]).len(), USUAL.len());
        assert_eq!(granted(true, &[], &[]).len(), ALL.len());
        assert_eq!(granted(false, &words(&["net_raw"]), &words(&["ALL"])), ["CAP_NET_RAW"]);
        assert_eq!(granted(false, &words(&["ALL"]), &words(&["mknod"])).len(), ALL.len() - 1);
    }
}
