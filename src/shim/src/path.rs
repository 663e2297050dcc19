//! Which file a command means, and why it is none, as a user of other runtimes knows it.

use nix::unistd::{AccessFlags, eaccess};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The program that `name` means for this process in its root and working directory, given a container's
/// environment (`NAME=value`).
pub(crate) fn look_up(name: &str, env: &[String]) -> Result<PathBuf, String> {
    if name.is_empty() {
        return Err("exec: no command".into());
    }
    if name.contains('/') {
        return check(Path::new(name)).map(|()| name.into()).map_err(|why| format!("exec: {name:?}: {why}"));
    }
    let path = env.iter().rev().find_map(|entry| entry.strip_prefix("PATH=")).unwrap_or(DEFAULT_PATH);
    let mut failure = "executable file not found in $PATH".to_owned();
    for directory in path.split(':').filter(|directory| !directory.is_empty()) {
        let file = Path::new(directory).join(name);
        match check(&file) {
            Ok(()) => return Ok(file),
            Err(why) if why == "permission denied" => failure = why,
            Err(_) => {}
        }
    }
    Err(format!("exec: {name:?}: {failure}"))
}

fn check(file: &Path) -> Result<(), String> {
    let metadata = file.metadata().map_err(|e| match e.kind() {
        ErrorKind::NotFound => format!("stat {}: no such file or directory", file.display()),
        ErrorKind::PermissionDenied => "permission denied".into(),
        _ => format!("stat {}: {e}", file.display()),
    })?;
    if metadata.is_dir() {
        return Err("is a directory".into());
    }
    eaccess(file, AccessFlags::X_OK).map_err(|_| "permission denied".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn commands_are_found_or_refused_in_the_words_that_users_know() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().display().to_string();
        fs::create_dir(directory.path().join("bin")).unwrap();
        for (file, mode) in [("bin/run", 0o755), ("bin/plain", 0o644)] {
            fs::write(directory.path().join(file), "").unwrap();
            fs::set_permissions(directory.path().join(file), Permissions::from_mode(mode)).unwrap();
        }
        let env = ["PATH=/nowhere".to_owned(), format!("PATH={root}/none::{root}/bin")];
        for (name, want) in [
            ("run".to_owned(), Ok(format!("{root}/bin/run"))),
            (format!("{root}/bin/run"), Ok(format!("{root}/bin/run"))),
            ("foo".into(), Err("exec: \"foo\": executable file not found in $PATH".to_owned())),
            ("plain".into(), Err("exec: \"plain\": permission denied".into())),
            ("/no/foo".into(), Err("exec: \"/no/foo\": stat /no/foo: no such file or directory".into())),
            (format!("{root}/bin"), Err(format!("exec: \"{root}/bin\": is a directory"))),
            (String::new(), Err("exec: no command".into())),
        ] {
            assert_eq!(look_up(&name, &env), want.map(PathBuf::from), "{name}");
        }
    }
}
