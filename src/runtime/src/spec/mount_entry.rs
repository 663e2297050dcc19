//! Single entries of the spec's list of mounts.

use oci_spec::OciSpecError;
use oci_spec::runtime::{Mount, MountBuilder};
use std::path::Path;

pub(super) const BIND: &str = "bind";

pub(super) fn bind(source: &Path, target: &Path, read_only: bool) -> Result<Mount, OciSpecError> {
    let options = ["rbind", if read_only { "ro" } else { "rw" }];
    MountBuilder::default()
        .typ(BIND)
        .source(source)
        .destination(target)
        .options(options.map(str::to_owned).to_vec())
        .build()
}

pub(super) fn mount(typ: &str, source: &str, target: &str, options: &[&str]) -> Result<Mount, OciSpecError> {
    MountBuilder::default()
        .typ(typ)
        .source(source)
        .destination(target)
        .options(options.iter().map(|o| (*o).to_owned()).collect::<Vec<_>>())
        .build()
}
