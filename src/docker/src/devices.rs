//! `--device` and `--device-cgroup-rule`.

use crate::error::{ApiError, Result};
use crate::model::{DeviceMapping, HostConfig};
use cri::{Device, DeviceRule, IoLimit, IoRate};
use serde_json::Value;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Every device that was asked for; a directory stands for those in it.
pub(crate) fn of(mappings: &[DeviceMapping]) -> Result<Vec<Device>> {
    let mut all = Vec::new();
    for mapping in mappings {
        let or =
            |text: &str, default: &str| if text.is_empty() { default.to_owned() } else { text.to_owned() };
        let inside = or(&mapping.path_in_container, &mapping.path_on_host);
        let permissions = or(&mapping.cgroup_permissions, "rwm");
        let found = all_at(Path::new(&mapping.path_on_host), Path::new(&inside)).map_err(|why| {
            ApiError::internal(format_args!(
                "error gathering device information while adding custom device \"{}\": {why}",
                mapping.path_on_host
            ))
        })?;
        all.extend(found.into_iter().map(|(host_path, container_path)| Device {
            host_path,
            container_path,
            permissions: permissions.clone(),
        }));
    }
    Ok(all)
}

fn all_at(host: &Path, inside: &Path) -> Result<Vec<(PathBuf, PathBuf)>, String> {
    let missing = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        _ => e.to_string(),
    };
    let kind = std::fs::metadata(host).map_err(missing)?.file_type();
    if kind.is_char_device() || kind.is_block_device() {
        return Ok(vec![(host.to_owned(), inside.to_owned())]);
    }
    if !kind.is_dir() {
        return Err("not a device node".to_owned());
    }
    let mut all = Vec::new();
    for entry in std::fs::read_dir(host).map_err(missing)?.flatten() {
        // what is neither a device nor a directory of some is passed over
        all.extend(all_at(&entry.path(), &inside.join(entry.file_name())).unwrap_or_default());
    }
    Ok(all)
}

/// `--device-read-bps` and its like.
pub(crate) fn io_limits(host: &HostConfig) -> Result<Vec<IoLimit>> {
    let all = [
        (IoRate::ReadBytes, &host.blkio_device_read_bps),
        (IoRate::WriteBytes, &host.blkio_device_write_bps),
        (IoRate::ReadOperations, &host.blkio_device_read_iops),
        (IoRate::WriteOperations, &host.blkio_device_write_iops),
    ];
    let each = all.into_iter().flat_map(|(what, devices)| devices.iter().map(move |device| (what, device)));
    each.map(|(what, device)| {
        let found = std::fs::metadata(&device.path).map_err(|e| {
            let why = e.to_string().to_lowercase();
            let why = why.split(" (os error").next().unwrap_or_default().to_owned();
            ApiError::bad(format_args!("stat {}: {why}", device.path))
        })?;
        let (major, minor) = (nix::sys::stat::major(found.rdev()), nix::sys::stat::minor(found.rdev()));
        Ok(IoLimit { what, major, minor, rate: device.rate })
    })
    .collect()
}

/// `--gpus`: nobody here knows any.
pub(crate) fn no_driver(request: &Value) -> ApiError {
    let words = |list: &Value| {
        let words: Vec<&str> = list.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        format!("[{}]", words.join(" "))
    };
    let all: Vec<String> = request["Capabilities"].as_array().into_iter().flatten().map(words).collect();
    ApiError::internal(format_args!(
        "could not select device driver \"{}\" with capabilities: [{}]",
        request["Driver"].as_str().unwrap_or_default(),
        all.join(" ")
    ))
}

/// `c 10:* rwm`
pub(crate) fn rule(text: &str) -> Result<DeviceRule> {
    let bad = || ApiError::bad(format_args!("invalid device cgroup rule format: '{text}'"));
    let words: Vec<&str> = text.split(' ').collect();
    let [kind @ ("a" | "b" | "c"), numbers, access] = words[..] else { return Err(bad()) };
    let (major, minor) = numbers.split_once(':').ok_or_else(bad)?;
    let number = |text: &str| match text {
        "*" => Ok(None),
        text => text.parse::<u32>().map(|n| Some(i64::from(n))).map_err(|_| bad()),
    };
    if access.is_empty() || access.len() > 3 || access.chars().any(|c| !"rwm".contains(c)) {
        return Err(bad());
    }
    let kind = kind.chars().next().unwrap_or('a');
    Ok(DeviceRule { kind, major: number(major)?, minor: number(minor)?, access: access.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules() {
        let want = DeviceRule { kind: 'c', major: Some(10), minor: None, access: "rwm".into() };
        assert_eq!(rule("c 10:* rwm").unwrap(), want);
        for bad in ["", "c", "x 1:1 r", "c 1 r", "c 1:x r", "c 1:1 q", "c -1:1 r", "c 1:1 rwmr"] {
            assert!(rule(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn graphics() {
        let request = serde_json::json!({"Driver": "", "Count": -1, "Capabilities": [["gpu"]]});
        assert_eq!(
            no_driver(&request).message,
            "could not select device driver \"\" with capabilities: [[gpu]]"
        );
    }

    #[test]
    fn devices_are_looked_for() {
        let mapping = |host: &str, inside: &str| DeviceMapping {
            path_on_host: host.into(),
            path_in_container: inside.into(),
            ..Default::default()
        };
        let found = of(&[mapping("/dev/null", "/dev/x"), mapping("/dev/zero", "")]).unwrap();
        let found: Vec<_> =
            found.iter().map(|d| (d.container_path.to_str().unwrap(), d.permissions.as_str())).collect();
        assert_eq!(found, [("/dev/x", "rwm"), ("/dev/zero", "rwm")]);
        assert_eq!(
            of(&[mapping("/dev/nosuch", "")]).unwrap_err().message,
            "error gathering device information while adding custom device \"/dev/nosuch\": no such file or directory"
        );
        assert!(of(&[mapping("/etc/passwd", "")]).is_err());
    }
}
