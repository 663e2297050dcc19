//! One file for each kind. To add one: its file, one `mod` line, one line in [`handlers`].

pub mod names;

mod config_map;

use crate::{Handler, handler_of};
use k8s_openapi::api::core::v1 as core;
use std::sync::Arc;

/// Every built-in kind's handler.
pub(crate) fn handlers() -> Vec<Arc<dyn Handler>> {
    vec![handler_of::<core::ConfigMap>()]
}
