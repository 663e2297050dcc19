//! How a pod's worker is woken.

use crate::probe::Verdict;
use k8s_openapi::api::core::v1::Pod;
use std::sync::Arc;
use tokio::sync::mpsc;

pub(crate) type Mailbox = mpsc::UnboundedSender<Message>;

/// What wakes a worker.
#[derive(Debug)]
pub(crate) enum Message {
    /// The pod or its sandbox changed.
    Look,
    /// Its object is no more; this is how it was last.
    Gone(Arc<Pod>),
    /// A ConfigMap or Secret that the pod refers to changed.
    SourcesChanged,
    /// Another sandbox has given its host ports back.
    PortsFreed,
    /// What waits for a time of day waits for another time now.
    ClockSet,
    /// A storage driver has come.
    DriverRegistered,
    Probed(Verdict),
    /// The pod has more on the disk than it may; in upstream's words.
    StorageExceeded(String),
}
