//! How the command line talks to the daemon: one JSON line asks, JSON lines answer, on a socket that only root can open.

use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;

/// What may be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum ControlRequest {
    Status,
    /// Ends the daemon.
    Stop,
}

/// One line of an answer; the last is `Done` or `Failed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "kebab-case")]
pub enum ControlReply {
    Status(ControlStatus),
    Done,
    Failed { message: String },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlStatus {
    pub profile: String,
    pub pid: u32,
    pub version: String,
    pub kubernetes: String,
    pub node_ip: Ipv4Addr,
    pub api: String,
    pub ready: bool,
}
