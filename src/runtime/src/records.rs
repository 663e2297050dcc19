//! What is remembered of a sandbox and a container over a restart of the daemon: JSON files, each written whole.

use crate::process::ProcessId;
use cri::{Attachment, ContainerConfig, ContainerId, SandboxConfig, SandboxId, wire};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{self, Write};
use std::path::Path;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SandboxRecord {
    pub id: SandboxId,
    pub config: SandboxConfig,
    pub created_at: jiff::Timestamp,
    /// `None` while it is being made: whatever such a record's name stands for is removed at the next start.
    pub made: Option<Made>,
    /// Its shim was ended on purpose.
    #[serde(default)]
    pub stopped: bool,
}

/// What there is of a sandbox in the kernel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Made {
    pub shim: ProcessId,
    /// `None` with the host's network.
    pub attachment: Option<Attachment>,
    /// The shim knows [`CgroupView`](cri::wire::CgroupView); those of older versions do not.
    #[serde(default)]
    pub shows_cgroups: bool,
}

/// Written when all of the container is there but the container itself: a directory without it is half made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContainerRecord {
    pub id: ContainerId,
    pub sandbox: SandboxId,
    pub config: ContainerConfig,
    pub image_id: String,
    pub created_at: jiff::Timestamp,
    /// Absolute.
    pub log_path: std::path::PathBuf,
    pub stop_signal: i32,
    /// What a further process in it begins with. Its `container`, `exec` and streams are of no meaning here.
    pub process: wire::ExecRequest,
    /// Of its user: HOME, unless the environment says another.
    pub home: String,
    /// Below the mount points of every hierarchy.
    pub cgroup: String,
}

/// Writes `value` to `path` whole or not at all, mode 0600. There is no fsync: after a loss of power no sandbox lives,
/// and a file that can not be read is removed with what it stands for.
pub fn write<T: Serialize>(path: &Path, value: &T) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let next = path.with_extension("json.new");
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&next)?;
    file.write_all(&serde_json::to_vec(value)?)?;
    std::fs::rename(&next, path)
}

/// `None` where there is no such file.
pub fn read<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(io::Error::from),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// 64 lower-case hex digits, as the seam wants its ids.
pub fn new_id() -> String {
    use std::fmt::Write;
    rand::random::<[u8; 32]>().iter().fold(String::with_capacity(64), |mut id, byte| {
        // writing to a String does not fail
        let _ = write!(id, "{byte:02x}");
        id
    })
}

/// Whether a directory's name can be one of our ids.
pub fn is_id(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_ids_and_differ() {
        let (one, other) = (new_id(), new_id());
        assert!(is_id(&one) && is_id(&other) && one != other, "{one} {other}");
        for bad in ["", "abc", &"A".repeat(64), &"../".repeat(22)[..64]] {
            assert!(!is_id(bad), "{bad}");
        }
    }

    #[test]
    fn a_record_comes_back_and_a_torn_one_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sandbox.json");
        assert!(read::<SandboxRecord>(&path).unwrap().is_none());
        let record = SandboxRecord {
            id: SandboxId(new_id()),
            config: SandboxConfig { name: "web".into(), ..Default::default() },
            created_at: jiff::Timestamp::now(),
            made: Some(Made {
                shim: ProcessId { pid: 7, start_time: 9 },
                attachment: None,
                shows_cgroups: true,
            }),
            stopped: false,
        };
        write(&path, &record).unwrap();
        assert_eq!(read(&path).unwrap(), Some(record));
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        assert!(read::<SandboxRecord>(&path).is_err());
    }
}
