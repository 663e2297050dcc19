//! A link as it is written: `db:data`. Pure.

use crate::networks::BRIDGE;
use crate::record::Record;

/// The other container, and what it is to be called.
pub(crate) fn parse(link: &str) -> (&str, &str) {
    let (name, alias) = link.split_once(':').unwrap_or((link, link));
    (name.trim_start_matches('/'), alias.rsplit('/').next().unwrap_or(alias))
}

pub(crate) fn alias(link: &str) -> &str {
    parse(link).1
}

/// Where one of a container's links leads: a name or an id.
pub(crate) fn target(linker: &Record, wanted: &str) -> Option<String> {
    let links = linker.host.links.iter().filter(|_| linker.host.network_mode == BRIDGE);
    links.map(|link| parse(link)).find(|(_, alias)| *alias == wanted).map(|(name, _)| name.to_owned())
}
