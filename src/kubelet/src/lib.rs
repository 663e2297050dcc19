//! What a pod that is bound to this node needs next, and what is to be said of it: pure functions over the pod and what the
//! runtime shows, and the pods' volumes on disk.
//!
//! It knows the cluster and the container seam (`cri`), and no room beside it. The worker that carries a plan out (and with it
//! the node's registration, probes, hooks and logs) is not written yet, so nothing starts this crate. Read `plan` first, then
//! `status`, which says what came of it.

#![forbid(unsafe_code)]

pub mod backoff;
pub mod clock;
pub mod conditions;
pub mod config;
pub mod container_config;
pub mod credentials;
pub mod env;
pub mod expand;
pub mod field_ref;
pub mod labels;
pub mod machine;
pub mod plan;
pub mod pod;
pub mod quantity;
pub mod resolv;
pub mod resources;
pub mod sources;
pub mod status;
pub mod view;
pub mod volumes;

pub use config::{ImageGcThresholds, KubeletConfig};
pub use machine::{HugePages, Machine};
