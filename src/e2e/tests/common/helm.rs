//! helm, 3 or 4: what `scripts/test` brings beside a kubectl of its time.

use super::{Answer, Appliance};
use std::path::{Path, PathBuf};

/// `None`, loudly, where there is no helm.
pub fn helm() -> Option<PathBuf> {
    let helm = std::env::var_os("MONOPOD_HELM").map(PathBuf::from);
    if helm.is_none() {
        eprintln!("SKIPPED: MONOPOD_HELM says where helm is; `scripts/test` sets it");
    }
    helm
}

/// As the user of the cluster.
pub fn run(at: &Appliance, helm: &Path, line: &str) -> Answer {
    at.shell(&format!("{} {line}", helm.display()))
}
