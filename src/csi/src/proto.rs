//! `csi.v1` and `pluginregistration`, as far as a kubelet speaks them: csi.proto of release 1.12 of the specification, and
//! api.proto of the kubelet's plugin registration, version 1.

use std::collections::HashMap;

/// Which version of a specification of what a driver is, and where it listens.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PluginInfo {
    /// `CSIPlugin`, `DevicePlugin`, `DRAPlugin`.
    #[prost(string, tag = "1")]
    pub kind: String,
    #[prost(string, tag = "2")]
    pub name: String,
    /// A path as the driver sees it; empty where it is the registration's own socket.
    #[prost(string, tag = "3")]
    pub endpoint: String,
    #[prost(string, repeated, tag = "4")]
    pub supported_versions: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct RegistrationStatus {
    #[prost(bool, tag = "1")]
    pub plugin_registered: bool,
    #[prost(string, tag = "2")]
    pub error: String,
}

/// A request or an answer that says nothing.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Nothing {}

#[derive(Clone, PartialEq, prost::Message)]
pub struct NodeInfo {
    #[prost(string, tag = "1")]
    pub node_id: String,
    /// Zero: as many as the driver likes.
    #[prost(int64, tag = "2")]
    pub max_volumes_per_node: i64,
    #[prost(message, optional, tag = "3")]
    pub accessible_topology: Option<Topology>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Topology {
    #[prost(map = "string, string", tag = "1")]
    pub segments: HashMap<String, String>,
}

/// What a driver's node service can do.
#[derive(Clone, PartialEq, prost::Message)]
pub struct NodeCapabilities {
    #[prost(message, repeated, tag = "1")]
    capabilities: Vec<NodeCapability>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct NodeCapability {
    #[prost(message, optional, tag = "1")]
    rpc: Option<RpcCapability>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RpcCapability {
    #[prost(enumeration = "Rpc", tag = "1")]
    kind: i32,
}

/// `NodeServiceCapability.RPC.Type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Rpc {
    Unknown = 0,
    StageUnstageVolume = 1,
    GetVolumeStats = 2,
    ExpandVolume = 3,
    VolumeCondition = 4,
    SingleNodeMultiWriter = 5,
    VolumeMountGroup = 6,
}

impl NodeCapabilities {
    pub fn new(all: &[Rpc]) -> Self {
        let capability = |rpc: &Rpc| NodeCapability { rpc: Some(RpcCapability { kind: *rpc as i32 }) };
        NodeCapabilities { capabilities: all.iter().map(capability).collect() }
    }

    pub fn has(&self, rpc: Rpc) -> bool {
        self.capabilities.iter().filter_map(|c| c.rpc.as_ref()).any(|known| known.kind == rpc as i32)
    }
}

/// How a volume is to be used.
#[derive(Clone, PartialEq, prost::Message)]
pub struct VolumeCapability {
    #[prost(message, optional, tag = "1")]
    block: Option<BlockVolume>,
    #[prost(message, optional, tag = "2")]
    mount: Option<MountVolume>,
    #[prost(message, optional, tag = "3")]
    access_mode: Option<AccessMode>,
}

/// Says nothing of itself.
#[derive(Clone, PartialEq, prost::Message)]
struct BlockVolume {}

#[derive(Clone, PartialEq, prost::Message)]
struct MountVolume {
    #[prost(string, tag = "1")]
    fs_type: String,
    #[prost(string, repeated, tag = "2")]
    mount_flags: Vec<String>,
    #[prost(string, tag = "3")]
    volume_mount_group: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct AccessMode {
    #[prost(enumeration = "Mode", tag = "1")]
    mode: i32,
}

/// `VolumeCapability.AccessMode.Mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Mode {
    Unknown = 0,
    SingleNodeWriter = 1,
    SingleNodeReaderOnly = 2,
    MultiNodeReaderOnly = 3,
    MultiNodeSingleWriter = 4,
    MultiNodeMultiWriter = 5,
    SingleNodeSingleWriter = 6,
    SingleNodeMultiWriter = 7,
}

impl VolumeCapability {
    /// A file system. `group`: whose the driver is to make it, where the driver does that.
    pub fn mounted(fs_type: &str, flags: &[String], group: Option<u32>, mode: Mode) -> Self {
        let mount = MountVolume {
            fs_type: fs_type.to_owned(),
            mount_flags: flags.to_vec(),
            volume_mount_group: group.map(|group| group.to_string()).unwrap_or_default(),
        };
        let access_mode = Some(AccessMode { mode: mode as i32 });
        VolumeCapability { block: None, mount: Some(mount), access_mode }
    }

    /// A device.
    pub fn device(mode: Mode) -> Self {
        let access_mode = Some(AccessMode { mode: mode as i32 });
        VolumeCapability { block: Some(BlockVolume {}), mount: None, access_mode }
    }

    pub fn is_device(&self) -> bool {
        self.block.is_some()
    }

    pub fn mode(&self) -> Mode {
        self.access_mode.as_ref().map_or(Mode::Unknown, AccessMode::mode)
    }

    pub fn fs_type(&self) -> &str {
        self.mount.as_ref().map(|mount| mount.fs_type.as_str()).unwrap_or_default()
    }
}

/// Paths here and below are as the driver sees them.
#[derive(Clone, PartialEq, prost::Message)]
pub struct NodeStageRequest {
    #[prost(string, tag = "1")]
    pub volume_id: String,
    /// What attaching it came to.
    #[prost(map = "string, string", tag = "2")]
    pub publish_context: HashMap<String, String>,
    #[prost(string, tag = "3")]
    pub staging_target_path: String,
    #[prost(message, optional, tag = "4")]
    pub volume_capability: Option<VolumeCapability>,
    #[prost(map = "string, string", tag = "5")]
    pub secrets: HashMap<String, String>,
    #[prost(map = "string, string", tag = "6")]
    pub volume_context: HashMap<String, String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct NodeUnstageRequest {
    #[prost(string, tag = "1")]
    pub volume_id: String,
    #[prost(string, tag = "2")]
    pub staging_target_path: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct NodePublishRequest {
    #[prost(string, tag = "1")]
    pub volume_id: String,
    #[prost(map = "string, string", tag = "2")]
    pub publish_context: HashMap<String, String>,
    /// Empty where the driver stages nothing.
    #[prost(string, tag = "3")]
    pub staging_target_path: String,
    #[prost(string, tag = "4")]
    pub target_path: String,
    #[prost(message, optional, tag = "5")]
    pub volume_capability: Option<VolumeCapability>,
    #[prost(bool, tag = "6")]
    pub readonly: bool,
    #[prost(map = "string, string", tag = "7")]
    pub secrets: HashMap<String, String>,
    #[prost(map = "string, string", tag = "8")]
    pub volume_context: HashMap<String, String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct NodeUnpublishRequest {
    #[prost(string, tag = "1")]
    pub volume_id: String,
    #[prost(string, tag = "2")]
    pub target_path: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct NodeExpandRequest {
    #[prost(string, tag = "1")]
    pub volume_id: String,
    /// Where it is published.
    #[prost(string, tag = "2")]
    pub volume_path: String,
    #[prost(message, optional, tag = "3")]
    pub capacity_range: Option<CapacityRange>,
    #[prost(string, tag = "4")]
    pub staging_target_path: String,
    #[prost(message, optional, tag = "5")]
    pub volume_capability: Option<VolumeCapability>,
    #[prost(map = "string, string", tag = "6")]
    pub secrets: HashMap<String, String>,
}

/// Bytes.
#[derive(Clone, PartialEq, prost::Message)]
pub struct CapacityRange {
    #[prost(int64, tag = "1")]
    pub required_bytes: i64,
    #[prost(int64, tag = "2")]
    pub limit_bytes: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct VolumeStatsRequest {
    #[prost(string, tag = "1")]
    pub volume_id: String,
    /// Where it is published.
    #[prost(string, tag = "2")]
    pub volume_path: String,
    #[prost(string, tag = "3")]
    pub staging_target_path: String,
}

/// Its condition is not read.
#[derive(Clone, PartialEq, prost::Message)]
pub struct VolumeStats {
    #[prost(message, repeated, tag = "1")]
    pub usage: Vec<VolumeUsage>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct VolumeUsage {
    #[prost(int64, tag = "1")]
    pub available: i64,
    #[prost(int64, tag = "2")]
    pub total: i64,
    #[prost(int64, tag = "3")]
    pub used: i64,
    #[prost(enumeration = "Unit", tag = "4")]
    pub unit: i32,
}

/// `VolumeUsage.Unit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Unit {
    Unknown = 0,
    Bytes = 1,
    Inodes = 2,
}
