//! A client of storage drivers: the Container Storage Interface's node service, and the registration by which a driver makes
//! itself known to a kubelet, both gRPC over unix sockets on this machine.
//!
//! It owns the messages, written by hand and only as far as they are sent, and what an answer means. It knows no Kubernetes:
//! which volume is mounted where and when is the kubelet's. Each call has a connection of its own, as upstream's: a driver may
//! be another process by the next. Read [`Driver`] first.

#![forbid(unsafe_code)]

mod client;
mod proto;
#[cfg(any(test, feature = "server"))]
pub mod server;
mod socket;

pub use client::{Driver, Error, Registrar, TIMEOUT};
pub use prost::Message;
pub use proto::{
    AccessMode, CapacityRange, Mode, NodeCapabilities, NodeExpandRequest, NodeInfo, NodePublishRequest,
    NodeStageRequest, NodeUnpublishRequest, NodeUnstageRequest, PluginInfo, RegistrationStatus, Rpc,
    Topology, Unit, VolumeCapability, VolumeStats, VolumeStatsRequest, VolumeUsage,
};
