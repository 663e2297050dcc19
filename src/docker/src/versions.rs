//! How clients of older versions of the API meant what they send when they make a container. Pure.

use crate::api_version::Version;
use crate::error::{ApiError, Result};
use crate::model::{Create, MountSpec};

/// Takes out what their version did not have, and puts in what was usual then.
///
/// # Errors
/// What only later versions can do.
pub(crate) fn fit(asked: &mut Create, version: Version) -> Result<()> {
    let host = &mut asked.host_config;
    if version < (1, 25) {
        // the client removes the container itself
        host.auto_remove = false;
    }
    if version < (1, 40) {
        host.mounts
            .iter_mut()
            .filter_map(|m| m.bind_options.as_mut())
            .for_each(|bind| bind.non_recursive = false);
        if host.ipc_mode.is_empty() {
            host.ipc_mode = "shareable".to_owned();
        }
    }
    if version < (1, 41) && host.cgroupns_mode.is_empty() {
        host.cgroupns_mode = "host".to_owned();
    }
    if version >= (1, 42) {
        // no longer part of the API
        (host.kernel_memory, host.kernel_memory_tcp) = (0, 0);
    } else {
        host.console_size = None;
    }
    if version < (1, 43) {
        host.annotations.clear();
    }
    if version < (1, 44) {
        let bind_mounts = host.mounts.iter_mut().filter(|mount| mount.kind == "bind");
        bind_mounts.for_each(|mount| {
            mount.bind_options.get_or_insert_default().read_only_non_recursive = mount.read_only
        });
        if let Some(check) = &mut asked.config.healthcheck {
            check.start_interval = 0;
        }
        if asked.networking_config.endpoints_config.len() > 1 {
            return Err(ApiError::bad("Container cannot be created with multiple network endpoints"));
        }
    }
    let of_part = |mount: &MountSpec| mount.volume_options.as_ref().is_some_and(|of| !of.subpath.is_empty());
    if version < (1, 45) && host.mounts.iter().any(of_part) {
        return Err(ApiError::bad("VolumeOptions.Subpath needs API v1.45 or newer"));
    }
    if version < (1, 48) && host.mounts.iter().any(|mount| mount.kind == "image") {
        return Err(ApiError::bad("Mount type \"Image\" needs API v1.48 or newer"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_older_clients_mean() {
        let said = json!({
            "Image": "x", "HostConfig": {
                "AutoRemove": true, "Annotations": {"a": "b"}, "KernelMemory": 1, "ConsoleSize": [24, 80],
                "Mounts": [{"Type": "bind", "Source": "/s", "Target": "/t", "ReadOnly": true, "BindOptions": {"NonRecursive": true}}],
            },
        });
        for (version, want) in [
            ((1, 51), (true, "", "", 0, true, 1, true, false)),
            ((1, 43), (true, "", "", 0, true, 1, true, true)),
            ((1, 41), (true, "", "", 1, false, 0, true, true)),
            ((1, 39), (true, "shareable", "host", 1, false, 0, false, true)),
            ((1, 24), (false, "shareable", "host", 1, false, 0, false, true)),
        ] {
            let mut asked: Create = serde_json::from_value(said.clone()).unwrap();
            fit(&mut asked, version).unwrap();
            let host = &asked.host_config;
            let bind = host.mounts[0].bind_options.clone().unwrap();
            let got = (
                host.auto_remove,
                host.ipc_mode.as_str(),
                host.cgroupns_mode.as_str(),
                host.kernel_memory,
                host.console_size.is_some(),
                host.annotations.len(),
                bind.non_recursive,
                bind.read_only_non_recursive,
            );
            assert_eq!(got, want, "{version:?}");
        }
        let checked = json!({"Image": "x", "Healthcheck": {"Test": ["NONE"], "StartInterval": 1_000_000}});
        let part =
            json!({"Type": "volume", "Source": "v", "Target": "/t", "VolumeOptions": {"Subpath": "a"}});
        let part = json!({"Image": "x", "HostConfig": {"Mounts": [part]}});
        for (version, interval, why) in [
            ((1, 43), 0, Some("VolumeOptions.Subpath needs API v1.45 or newer")),
            ((1, 44), 1_000_000, Some("VolumeOptions.Subpath needs API v1.45 or newer")),
            ((1, 45), 1_000_000, None),
        ] {
            let mut asked: Create = serde_json::from_value(checked.clone()).unwrap();
            fit(&mut asked, version).unwrap();
            assert_eq!(asked.config.healthcheck.unwrap().start_interval, interval, "{version:?}");
            let mut asked: Create = serde_json::from_value(part.clone()).unwrap();
            assert_eq!(fit(&mut asked, version).err().map(|e| e.message).as_deref(), why, "{version:?}");
        }
        let image = json!({"HostConfig": {"Mounts": [{"Type": "image", "Source": "i", "Target": "/t"}]}});
        let mut image: Create = serde_json::from_value(image).unwrap();
        assert!(fit(&mut image, (1, 48)).is_ok());
        let why = fit(&mut image, (1, 47)).unwrap_err().message;
        assert_eq!(why, "Mount type \"Image\" needs API v1.48 or newer");
        let two = json!({"Image": "x", "NetworkingConfig": {"EndpointsConfig": {"a": {}, "b": {}}}});
        let mut two: Create = serde_json::from_value(two).unwrap();
        assert!(fit(&mut two, (1, 44)).is_ok());
        let why = fit(&mut two, (1, 43)).unwrap_err().message;
        assert_eq!(why, "Container cannot be created with multiple network endpoints");
    }
}
