//! How many pods the node takes: upstream's flag `--max-pods` of the kubelet.

use crate::subnets::SLOT_PREFIX;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Each pod has an address of the profile's range, of which the network's own, the gateway and the broadcast address are
/// nobody's.
const MOST: u32 = (1 << (32 - SLOT_PREFIX)) - 3;

/// From one to what the range of addresses has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct MaxPods(u32);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "give a number from 1 to {MOST}: each pod has an address of its own, and a profile has a range of {} (a /{SLOT_PREFIX}) for them",
    MOST + 3
)]
pub struct MaxPodsError;

impl Default for MaxPods {
    /// Upstream's.
    fn default() -> Self {
        MaxPods(110)
    }
}

impl MaxPods {
    pub fn get(self) -> u32 {
        self.0
    }

    pub(crate) fn is_default(&self) -> bool {
        *self == MaxPods::default()
    }
}

impl TryFrom<u32> for MaxPods {
    type Error = MaxPodsError;

    fn try_from(count: u32) -> Result<Self, MaxPodsError> {
        match (1..=MOST).contains(&count) {
            true => Ok(MaxPods(count)),
            false => Err(MaxPodsError),
        }
    }
}

impl From<MaxPods> for u32 {
    fn from(most: MaxPods) -> u32 {
        most.0
    }
}

impl FromStr for MaxPods {
    type Err = MaxPodsError;

    fn from_str(text: &str) -> Result<Self, MaxPodsError> {
        text.parse::<u32>().map_err(|_| MaxPodsError)?.try_into()
    }
}

impl fmt::Display for MaxPods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;

    #[test]
    fn as_many_as_there_are_addresses_for() {
        // all hosts of the range but the gateway
        let range = Settings::beside("monopod", &[]).pod_cidr;
        assert_eq!(range.hosts().count() - 1, usize::try_from(MOST).unwrap());
        for (text, want) in [
            ("1", Ok(MaxPods(1))),
            ("200", Ok(MaxPods(200))),
            ("8189", Ok(MaxPods(8189))),
            ("8190", Err(MaxPodsError)),
            ("0", Err(MaxPodsError)),
            ("-1", Err(MaxPodsError)),
            ("many", Err(MaxPodsError)),
            ("99999999999", Err(MaxPodsError)),
        ] {
            assert_eq!(text.parse::<MaxPods>(), want, "{text}");
        }
        let said = MaxPodsError.to_string();
        assert!(said.contains("from 1 to 8189") && said.contains("a range of 8192 (a /19)"), "{said}");
    }

    #[test]
    fn what_is_kept_is_checked_as_what_is_typed() {
        let text = serde_json::to_string(&MaxPods(300)).unwrap();
        assert_eq!(text, "300");
        assert_eq!(serde_json::from_str::<MaxPods>(&text).unwrap(), MaxPods(300));
        assert!(serde_json::from_str::<MaxPods>("0").is_err());
    }
}
