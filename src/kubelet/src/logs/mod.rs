//! Container logs: files of CRI's format, one line each `<RFC 3339> stdout F <text>`. Parsing (`line`), where to begin (`tail`),
//! reading and following (`reader`), keeping them small (`rotate`, `keeper`).

pub mod keeper;
pub mod line;
pub mod reader;
pub mod rotate;
pub mod tail;
