//! Finds a node for each pod.
//!
//! [`place`] is pure: a pod and what is known of the nodes in, a node or the reasons out; [`preempt`] is pure too, and says
//! who must go where there is none. Around them a thin loop takes unbound pods from an informer and binds them. It knows nothing of what makes pods or runs them.

#![forbid(unsafe_code)]

mod filters;
mod node;
mod place;
mod pod_affinity;
mod pod_volumes;
mod preempt;
mod run;
mod scores;
mod spread;

pub use node::NodeSnapshot;
pub use place::{Unschedulable, place};
pub use pod_affinity::Namespaces;
pub use pod_volumes::Storage;
pub use preempt::{NoPreemption, Preemption, preempt};
pub use run::{role, run};
