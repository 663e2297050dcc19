//! hostPath volumes: what lies at the path must be of the type that the pod names, and is made where the type says so.

use k8s_openapi::api::core::v1::HostPathVolumeSource;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, OpenOptionsExt};
use std::path::Path;

/// Whether what is there is of the type that was asked for; makes it where the type says so.
///
/// # Errors
/// Upstream's words.
pub fn check(source: &HostPathVolumeSource) -> Result<(), String> {
    let path = Path::new(&source.path);
    let found = fs::metadata(path).ok().map(|m| m.file_type());
    let is = |right: bool, what: &str| match right {
        true => Ok(()),
        false => Err(format!("hostPath type check failed: {} is not {what}", source.path)),
    };
    let made = |done: std::io::Result<()>| done.map_err(|e| format!("make {}: {e}", source.path));
    match source.type_.as_deref().unwrap_or_default() {
        // what is missing becomes a directory, as container runtimes have always done
        "" if found.is_none() => made(fs::create_dir_all(path)),
        "" => Ok(()),
        "DirectoryOrCreate" if found.is_none() => {
            made(fs::DirBuilder::new().recursive(true).mode(0o755).create(path))
        }
        "DirectoryOrCreate" | "Directory" => is(found.is_some_and(|t| t.is_dir()), "a directory"),
        "FileOrCreate" if found.is_none() => {
            made(fs::OpenOptions::new().create_new(true).write(true).mode(0o644).open(path).map(drop))
        }
        "FileOrCreate" | "File" => is(found.is_some_and(|t| t.is_file()), "a file"),
        "Socket" => is(found.is_some_and(|t| t.is_socket()), "a socket file"),
        "CharDevice" => is(found.is_some_and(|t| t.is_char_device()), "a character device"),
        "BlockDevice" => is(found.is_some_and(|t| t.is_block_device()), "a block device"),
        other => Err(format!("{other} is an invalid volume type")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name).display().to_string();
        fs::write(at("file"), "").unwrap();
        let cases = [
            ("file", "File", true),
            ("file", "Directory", false),
            ("file", "Socket", false),
            ("missing", "File", false),
            ("missing", "Directory", false),
            ("new-dir", "DirectoryOrCreate", true),
            ("new-dir", "Directory", true),
            ("new-file", "FileOrCreate", true),
            ("new-file", "File", true),
            ("any", "", true),
            ("file", "Nonsense", false),
        ];
        for (name, kind, good) in cases {
            let source = HostPathVolumeSource { path: at(name), type_: Some(kind.to_owned()) };
            assert_eq!(check(&source).is_ok(), good, "{name} as {kind}");
        }
    }
}
