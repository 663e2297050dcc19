//! Finds a node for each pod.
//!
//! [`place`] is pure: a pod and what is known of the nodes in, a node or the reasons out; [`preempt`] is pure too, and says who
//! must go where there is none. What is known is a [`Snapshot`], kept current pod by pod. A pod's [`Profile`] says which plug-ins
//! look at it, and how. A queue says who is tried when, and hints whom a change may help. Around them a thin loop hears what
//! changes and decides; what was decided is written beside it. It knows nothing of what makes pods or runs them.

#![forbid(unsafe_code)]

mod allocation;
mod attached;
mod cache;
mod config;
mod context;
mod decision;
mod filters;
mod hints;
mod likeness;
mod metrics;
mod node;
mod owners;
mod place;
mod plugin;
mod pod_affinity;
mod pod_info;
mod pod_volumes;
mod preempt;
mod prepared;
mod queue;
mod resources;
mod run;
mod scheduler;
mod scores;
mod snapshot;
mod spread;
mod terms;
#[cfg(test)]
mod tests;
mod unschedulable;
mod wait_index;
mod write_tasks;
mod writes;

pub use config::{ConfigurationError, Profile, Profiles};
pub use context::Context;
pub use node::NodeSnapshot;
pub use place::{Placement, place};
pub use plugin::Plugin;
pub use pod_info::PodInfo;
pub use pod_volumes::{Attached, Attachment, Capacities, Storage};
pub use preempt::{NoPreemption, Preemption, preempt};
pub use resources::Resources;
pub use run::{role, run};
pub use snapshot::Snapshot;
pub use terms::Namespaces;
pub use unschedulable::Unschedulable;
