//! The Docker Engine API (1.24 to 1.51) on a unix socket, for the stock `docker` program, the SDKs and compose.
//!
//! It owns the records of Docker's containers, networks and volumes in its directory, and what Docker says in which words.
//! A container is one sandbox with one container, made anew at every start over the same writable directory; what carries
//! our [`LABEL`] is ours, the kubelet's pods are shown only to who asks for them. It knows `cri`, the image store and BuildKit's
//! protocol, and nothing of Kubernetes; of the kernel only what a look into a container's files takes (`root.rs`), and the mounts of
//! volumes (`local_mount.rs`). It keeps no image: those of the store are Kubernetes' as well.
//!
//! Read `routes.rs` first, the list of all that can be asked, then `record.rs` and `lifecycle.rs`.

#![forbid(unsafe_code)]
#![recursion_limit = "256"] // `docker info` is one long JSON object

mod api_version;
mod archive;
mod attach;
mod attach_websocket;
mod build;
mod buildkit;
mod capabilities;
mod changes;
mod config;
mod create;
mod detach;
mod devices;
mod endpoint_settings;
mod endpoints;
mod engine;
mod error;
mod events;
mod execs;
mod files;
mod filters;
mod frames;
mod health;
mod hosts;
mod inspect;
mod inspect_network;
mod ipam;
mod label_budget;
mod lifecycle;
mod link;
mod links;
mod local_mount;
mod log_details;
mod log_files;
mod logging;
mod logs;
mod machine;
mod model;
mod mount_spec;
mod mounts;
mod name_server;
mod names;
mod namespaces;
mod network_mode;
mod networks;
mod owner;
mod plan;
mod progress;
mod publish;
mod record;
mod record_file;
mod recover;
mod removable;
mod request;
mod request_line;
mod root;
mod routes;
mod seccomp;
mod server;
mod signals;
mod socket;
mod stats;
mod step_containers;
mod supervise;
mod timefilter;
mod top;
mod upload;
mod verify;
mod versions;
mod volume_mounts;
mod volume_users;
mod volumes;

pub use build::Runner;
pub use config::DockerConfig;
pub use ipam::AddressPool;
pub use record::LABEL;
pub use server::{ServeError, serve, serve_on};
pub use socket::{Socket, SocketError, sweep};
