//! The kubelet: carries out, for each pod that is bound to this node, what the pod asks for, and says what came of it.
//!
//! The pure half says what is to be done and to be said (`plan`, `status`, and what they are made of); the working half
//! (`worker`) has one task for each pod that does it through the container seam (`cri`). It registers the node, answers the API
//! server's logs, exec, attach and port-forward, measures what pods use, and rotates logs. It knows the cluster and `cri`, and no
//! component beside it; it makes no namespace, mount of an image, network or cgroup itself. Read `plan` first, then `worker`.

#![forbid(unsafe_code)]

mod access;
mod admission;
pub mod backoff;
pub mod clock;
pub mod conditions;
pub mod config;
pub mod container_config;
pub mod credentials;
mod csi;
pub mod env;
mod env_file;
mod eviction;
pub mod expand;
pub mod field_ref;
mod grpc;
mod handlers;
mod heartbeat;
mod http_get;
mod image_gc;
mod image_manager;
mod kill;
pub mod labels;
mod logs;
pub mod machine;
mod mailbox;
mod manager;
mod measure;
mod meter;
pub mod node;
pub mod node_events;
mod pages;
mod pause;
mod pauser;
mod pem;
pub mod plan;
pub mod pod;
mod pod_certificates;
mod probe;
mod probe_counts;
mod probes;
mod pull;
mod pull_access;
pub mod quantity;
mod requests;
mod resize;
pub mod resolv;
pub mod resources;
mod restarts;
mod role;
mod shared;
pub mod sources;
mod start;
pub mod status;
pub mod usage;
pub mod view;
pub mod volumes;
mod work_counts;
mod worker;

#[cfg(test)]
mod tests;

pub use config::{ImageGcThresholds, KubeletConfig, OwnPort};
pub use machine::{HugePages, Machine};
pub use pause::Paused;
pub use pauser::Pauser;
pub use role::role;
pub use start::{Kubelet, StartError, start};
