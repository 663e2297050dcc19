//! Which capabilities a container has. Pure.

use cri::CriError;
use cri::confinement::{CAPABILITIES, DEFAULT_CAPABILITIES};
use oci_spec::OciSpecError;
use oci_spec::runtime::{Capabilities, Capability, LinuxCapabilities, LinuxCapabilitiesBuilder};

/// Bit n is capability n, as in /proc/<pid>/status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CapabilitySet(pub u64);

impl CapabilitySet {
    pub const ALL: CapabilitySet = CapabilitySet((1 << CAPABILITIES.len()) - 1);

    /// The defaults with `add` and `drop` applied as containerd does: each `ALL` before any single name, drops last.
    ///
    /// # Errors
    /// A name that no kernel has.
    pub fn of_container(add: &[String], drop: &[String]) -> Result<Self, CriError> {
        let is_all = |name: &String| name.eq_ignore_ascii_case("ALL");
        let mut set = DEFAULT_CAPABILITIES.iter().filter_map(|n| bit(n)).fold(0, |set, bit| set | bit);
        if add.iter().any(is_all) {
            set = Self::ALL.0;
        }
        if drop.iter().any(is_all) {
            set = 0;
        }
        for name in add.iter().filter(|n| !is_all(n)) {
            set |= known(name)?;
        }
        for name in drop.iter().filter(|n| !is_all(n)) {
            set &= !known(name)?;
        }
        Ok(CapabilitySet(set))
    }

    /// A capability that we do not have ourselves can not be given: the kernel would refuse the whole container.
    pub fn within(self, bounding: CapabilitySet) -> Self {
        CapabilitySet(self.0 & bounding.0)
    }

    pub fn has(self, name: &str) -> bool {
        bit(name).is_some_and(|bit| self.0 & bit != 0)
    }

    fn names(self) -> impl Iterator<Item = &'static str> {
        CAPABILITIES.iter().enumerate().filter(move |(n, _)| self.0 & (1 << n) != 0).map(|(_, name)| *name)
    }

    /// The inheritable and ambient sets stay empty (CVE-2022-24769).
    pub fn to_oci(self) -> Result<LinuxCapabilities, OciSpecError> {
        let set: Capabilities = self.names().filter_map(|n| n.parse::<Capability>().ok()).collect();
        LinuxCapabilitiesBuilder::default()
            .bounding(set.clone())
            .effective(set.clone())
            .permitted(set)
            .inheritable(Capabilities::new())
            .ambient(Capabilities::new())
            .build()
    }
}

fn bit(name: &str) -> Option<u64> {
    CAPABILITIES.iter().position(|n| n.eq_ignore_ascii_case(name)).map(|n| 1 << n)
}

fn known(name: &str) -> Result<u64, CriError> {
    let plain = if name.to_ascii_uppercase().starts_with("CAP_") { &name[4..] } else { name };
    bit(plain).ok_or_else(|| {
        CriError::Invalid(format!("unknown capability \"CAP_{}\"", plain.to_ascii_uppercase()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(add: &[&str], drop: &[&str]) -> Result<Vec<&'static str>, String> {
        let owned = |list: &[&str]| list.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        CapabilitySet::of_container(&owned(add), &owned(drop))
            .map(|set| set.names().collect())
            .map_err(|e| e.to_string())
    }

    #[test]
    fn adding_and_dropping() {
        assert_eq!(of(&[], &[]).unwrap().len(), DEFAULT_CAPABILITIES.len());
        assert_eq!(of(&["ALL"], &[]).unwrap().len(), CAPABILITIES.len());
        assert_eq!(of(&["NET_BIND_SERVICE"], &["ALL"]).unwrap(), ["NET_BIND_SERVICE"]);
        assert_eq!(of(&["cap_sys_time"], &["all"]).unwrap(), ["SYS_TIME"]);
        assert!(!of(&["ALL"], &["SYS_ADMIN"]).unwrap().contains(&"SYS_ADMIN"));
        assert_eq!(of(&["ALL"], &["ALL"]).unwrap(), [""; 0]);
        assert!(!of(&[], &["CAP_KILL"]).unwrap().contains(&"KILL"));
        assert_eq!(of(&["FLY"], &[]).unwrap_err(), "unknown capability \"CAP_FLY\"");
        assert_eq!(of(&[], &["é"]).unwrap_err(), "unknown capability \"CAP_é\"");
    }

    #[test]
    fn every_name_is_one_that_the_spec_knows() {
        for name in CAPABILITIES {
            assert!(name.parse::<Capability>().is_ok(), "{name}");
        }
        let given = CapabilitySet::ALL.within(CapabilitySet(0x1_ffff_feff_ffff)).names().count();
        assert_eq!(given, CAPABILITIES.len() - 1, "without SYS_RESOURCE, which is number 24");
    }
}
