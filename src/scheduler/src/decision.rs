//! What becomes of a pod that was tried.

use crate::pod_volumes::Promise;
use crate::{Preemption, Unschedulable};

pub(crate) enum Decision {
    Bind { node: String },
    Promise { node: String, promises: Vec<Promise> },
    Preempt { why: Unschedulable, preemption: Preemption },
    Refuse { why: String, nominated: Option<String> },
}
