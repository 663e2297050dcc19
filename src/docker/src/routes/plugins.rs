//! Plugins are not offered: there are none, and none can be had.

use crate::call::{Answer, Call, json};
use crate::refusal::Refusal;

pub(super) async fn list(_: Call) -> Answer {
    json(&[(); 0])
}

pub(super) async fn unknown(call: Call) -> Answer {
    Err(Refusal::not_found(format_args!("plugin {:?} not found", call.name())))
}

pub(super) async fn not_offered(_: Call) -> Answer {
    Err(Refusal::not_implemented("plugins are not offered here"))
}
