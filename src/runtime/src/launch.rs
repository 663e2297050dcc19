//! Starting a shim.

use crate::process::ProcessId;
use crate::program::Program;
use cri::CriError;
use cri::wire::{ShimConfig, ShimReady};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

/// A shim is ready in milliseconds; one that is not by now never will be.
const PATIENCE: Duration = Duration::from_secs(20);
const MOST_WORDS: u64 = 64 << 10;

/// Runs `<program> shim` until it says that it serves. It then is nobody's child.
///
/// # Errors
/// What the shim said, or what it left on its standard error.
pub async fn shim(program: &Program, config: &ShimConfig) -> Result<ProcessId, CriError> {
    let failed = |why: String| CriError::failed(format_args!("start shim of sandbox {}", config.id), why);
    let started = tokio::time::timeout(PATIENCE, run(program, config)).await;
    match started {
        Ok(Ok(ShimReady::Serving { pid, start_time })) => Ok(ProcessId { pid, start_time }),
        Ok(Ok(ShimReady::Failed(why))) => Err(failed(why)),
        Ok(Err(why)) => Err(failed(why.to_string())),
        Err(_) => Err(failed(format!("it was not ready after {} seconds", PATIENCE.as_secs()))),
    }
}

/// Says nothing of a directory (the shim goes to `/` by itself): with one it would be fork(2), which copies the daemon's page
/// tables and makes it fault at its next writes, instead of posix_spawn(3).
async fn run(program: &Program, config: &ShimConfig) -> std::io::Result<ShimReady> {
    let mut child = Command::new(program.executable())
        .arg0(program.name())
        .arg("shim")
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0) // a Ctrl-C is not for it
        .kill_on_drop(true)
        .spawn()?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    if let Some(mut stdin) = stdin {
        // one that does not read it will say why, or end
        let _ = stdin.write_all(&serde_json::to_vec(config)?).await;
    }
    let mut said = String::new();
    if let Some(stdout) = stdout {
        read_line(stdout, &mut said).await?;
    }
    // what we started has forked the shim off, and ends
    tokio::spawn(async move { child.wait().await });
    match serde_json::from_str(said.trim()) {
        Ok(ready) => Ok(ready),
        Err(_) => {
            let mut words = String::new();
            if let Some(stderr) = stderr {
                let _ = stderr.take(MOST_WORDS).read_to_string(&mut words).await;
            }
            let words = words.trim();
            Err(std::io::Error::other(if words.is_empty() { "it ended without a word" } else { words }))
        }
    }
}

/// To the first line's end: the pipe's own may come late, if at all.
async fn read_line(mut from: impl AsyncReadExt + Unpin, line: &mut String) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    while !bytes.contains(&b'\n') && (bytes.len() as u64) < MOST_WORDS {
        if from.read_buf(&mut bytes).await? == 0 {
            break;
        }
    }
    line.push_str(&String::from_utf8_lossy(&bytes));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use cri::SandboxId;
    use std::os::unix::fs::PermissionsExt;

    async fn start(script: &str) -> Result<ProcessId, String> {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("program");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let config = ShimConfig::new(SandboxId("s".into()), dir.path().into());
        shim(&Program::as_it_is(&program), &config).await.map_err(|e| e.to_string())
    }

    #[tokio::test]
    async fn what_a_shim_says_is_heard() {
        let ready = r#"cat >/dev/null; echo '{"Serving":{"pid":5,"start_time":6}}'"#;
        assert_eq!(start(ready).await, Ok(ProcessId { pid: 5, start_time: 6 }));
        let cases = [
            ("it refuses", r#"cat >/dev/null; echo '{"Failed":"unshare: no"}'; exit 1"#, "unshare: no"),
            ("it dies loudly", "cat >/dev/null; echo panic >&2; exit 2", "panic"),
            ("it dies silently", "cat >/dev/null; exit 2", "it ended without a word"),
        ];
        for (name, script, want) in cases {
            assert_eq!(start(script).await, Err(format!("start shim of sandbox s: {want}")), "{name}");
        }
    }
}
