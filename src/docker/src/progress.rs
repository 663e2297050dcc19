//! What a pull, a push and a build tell, line by line, as the CLI draws it.

use crate::error::ApiError;
use crate::request::line;
use bytes::Bytes;
use image::{
    BuildOutput, Channel, LayerStatus, Progress, PullEvent, PushEvent, PushProgress, PushStatus, printable,
};
use serde_json::{Value, json};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use tokio::sync::mpsc;

/// Bytes of a build's output that wait for their reader. A command writes faster than a terminal shows it, and need not end.
const MOST_UNREAD: usize = 8 << 20;

/// Whoever reads at the other end may go away at any time.
#[derive(Clone)]
pub(crate) struct Lines {
    tell: mpsc::UnboundedSender<io::Result<Bytes>>,
    unread: Arc<Unread>,
}

#[derive(Default)]
struct Unread {
    bytes: AtomicUsize,
    is_clipped: AtomicBool,
}

/// What is told, for one reader.
pub(crate) struct Told {
    told: mpsc::UnboundedReceiver<io::Result<Bytes>>,
    unread: Arc<Unread>,
}

pub(crate) fn lines() -> (Lines, Told) {
    let (tell, told) = mpsc::unbounded_channel();
    let unread = Arc::<Unread>::default();
    (Lines { tell, unread: unread.clone() }, Told { told, unread })
}

impl Told {
    pub(crate) async fn recv(&mut self) -> Option<io::Result<Bytes>> {
        let line = self.told.recv().await?;
        if let Ok(line) = &line {
            self.unread.bytes.fetch_sub(line.len(), Relaxed);
        }
        Some(line)
    }
}

impl Lines {
    pub(crate) fn say(&self, value: &Value) {
        let line = line(value);
        if let Ok(line) = &line {
            self.unread.bytes.fetch_add(line.len(), Relaxed);
        }
        let _ = self.tell.send(line);
    }

    /// Whether there is room for what a command writes. Where there is none its reader is told so, once.
    fn has_room(&self) -> bool {
        if self.unread.bytes.load(Relaxed) < MOST_UNREAD {
            self.unread.is_clipped.store(false, Relaxed);
            return true;
        }
        if !self.unread.is_clipped.swap(true, Relaxed) {
            self.say(&json!({"stream": "\n[output clipped, it comes faster than it is read]\n"}));
        }
        false
    }

    pub(crate) fn fail(&self, refusal: &ApiError) {
        self.say(&failure(refusal));
    }

    /// The client ends with the code.
    pub(crate) fn fail_with(&self, code: i32, message: &str) {
        let message = printable(message);
        self.say(&json!({"errorDetail": {"code": code, "message": message}, "error": message}));
    }

    pub(crate) async fn closed(&self) {
        self.tell.closed().await;
    }
}

/// The last line of what did not come to its end.
pub(crate) fn failure(refusal: &ApiError) -> Value {
    let message = printable(&refusal.message);
    json!({"errorDetail": {"message": message}, "error": message})
}

/// Twelve digits of a digest.
fn short(digest: &image::Digest) -> String {
    let text = digest.to_string();
    let hex = text.split_once(':').map_or(text.as_str(), |(_, hex)| hex);
    hex.chars().take(12).collect()
}

fn step(id: String, status: &str, detail: Option<(u64, u64)>) -> Value {
    let detail = detail.map_or(json!({}), |(current, total)| json!({"current": current, "total": total}));
    json!({"status": status, "progressDetail": detail, "id": id})
}

fn pull(event: PullEvent) -> Value {
    match event {
        PullEvent::Pulling { version, repository } => {
            json!({"status": format!("Pulling from {repository}"), "id": version})
        }
        PullEvent::Layer { digest, status } => {
            let (text, detail) = match status {
                LayerStatus::PullingFsLayer => ("Pulling fs layer".to_owned(), None),
                LayerStatus::Waiting => ("Waiting".to_owned(), None),
                LayerStatus::Downloading { current, total } => {
                    ("Downloading".to_owned(), Some((current, total)))
                }
                LayerStatus::Retrying { after } => {
                    (format!("Retrying in {} seconds", after.as_secs().max(1)), None)
                }
                LayerStatus::VerifyingChecksum => ("Verifying Checksum".to_owned(), None),
                LayerStatus::DownloadComplete => ("Download complete".to_owned(), None),
                LayerStatus::Extracting { current, total } => {
                    ("Extracting".to_owned(), Some((current, total)))
                }
                LayerStatus::PullComplete => ("Pull complete".to_owned(), None),
                LayerStatus::AlreadyExists => ("Already exists".to_owned(), None),
            };
            step(short(&digest), &text, detail)
        }
        PullEvent::Warning(text) => json!({"status": format!("WARNING: {text}")}),
        PullEvent::Resolved { digest } => json!({"status": format!("Digest: {digest}")}),
        PullEvent::Done { name, newer: true } => {
            json!({"status": format!("Status: Downloaded newer image for {name}")})
        }
        PullEvent::Done { name, newer: false } => {
            json!({"status": format!("Status: Image is up to date for {name}")})
        }
    }
}

fn push(event: PushEvent) -> Value {
    match event {
        PushEvent::Repository(name) => json!({"status": format!("The push refers to repository [{name}]")}),
        PushEvent::Layer { diff_id, status } => {
            let (text, detail) = match status {
                PushStatus::Preparing => ("Preparing".to_owned(), None),
                PushStatus::Waiting => ("Waiting".to_owned(), None),
                PushStatus::Pushing { current, total } => ("Pushing".to_owned(), Some((current, total))),
                PushStatus::Retrying { after } => {
                    (format!("Retrying in {} seconds", after.as_secs().max(1)), None)
                }
                PushStatus::AlreadyExists => ("Layer already exists".to_owned(), None),
                PushStatus::Mounted { from } => (format!("Mounted from {from}"), None),
                PushStatus::Pushed => ("Pushed".to_owned(), None),
            };
            step(short(&diff_id), &text, detail)
        }
        PushEvent::Done { tag, digest, size } => {
            json!({"status": format!("{tag}: digest: {digest} size: {size}")})
        }
    }
}

impl Progress for Lines {
    fn event(&self, event: PullEvent) {
        self.say(&pull(event));
    }
}

impl PushProgress for Lines {
    /// Programs read the last line of a push, people the one before.
    fn event(&self, event: PushEvent) {
        let aux = match &event {
            PushEvent::Done { tag, digest, size } => {
                Some(json!({"Tag": tag, "Digest": digest, "Size": size}))
            }
            _ => None,
        };
        self.say(&push(event));
        if let Some(aux) = aux {
            self.say(&json!({"progressDetail": {}, "aux": aux}));
        }
    }
}

impl BuildOutput for Lines {
    /// In red what went to stderr, as Docker has it.
    fn write(&self, channel: Channel, bytes: &[u8]) {
        if channel != Channel::Builder && !self.has_room() {
            return;
        }
        let text = String::from_utf8_lossy(bytes);
        match channel {
            Channel::Stderr => self.say(&json!({"stream": format!("\x1b[91m{text}\x1b[0m")})),
            _ => self.say(&json!({"stream": text})),
        }
    }

    fn pull(&self, event: &PullEvent) {
        self.say(&pull(event.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_leads_no_terminal() {
        let said = failure(&ApiError::bad("unable to find user x\u{1b}[2J"));
        assert_eq!(said["error"], "unable to find user x[2J");
        assert_eq!(said["errorDetail"]["message"], said["error"]);
    }

    /// The attack: a RUN that writes for ever, and a client that does not read.
    #[tokio::test]
    async fn what_a_command_writes_does_not_wait_for_its_reader_without_end() {
        let (lines, mut told) = lines();
        let piece = vec![b'x'; 64 << 10];
        for _ in 0..1000 {
            lines.write(Channel::Stdout, &piece);
        }
        lines.write(Channel::Builder, b"Step 2");
        let mut said = String::new();
        while lines.unread.bytes.load(Relaxed) > 0 {
            said.push_str(std::str::from_utf8(&told.recv().await.unwrap().unwrap()).unwrap());
        }
        assert!(said.len() < MOST_UNREAD + (1 << 20), "{}", said.len());
        assert_eq!(said.matches("output clipped").count(), 1);
        assert!(said.ends_with("{\"stream\":\"Step 2\"}\n"), "the builder's own words are always told");
        lines.write(Channel::Stderr, b"later");
        assert!(told.recv().await.unwrap().unwrap().windows(5).any(|word| word == b"later"));
    }

    #[test]
    fn what_a_pull_tells() {
        let digest = image::Digest::parse(&format!("sha256:{}", "ab".repeat(32))).unwrap();
        for (event, want) in [
            (
                PullEvent::Pulling { version: "1.36".into(), repository: "library/busybox".into() },
                json!({"status": "Pulling from library/busybox", "id": "1.36"}),
            ),
            (
                PullEvent::Layer {
                    digest: digest.clone(),
                    status: LayerStatus::Downloading { current: 1, total: 2 },
                },
                json!({"status": "Downloading", "progressDetail": {"current": 1, "total": 2}, "id": "abababababab"}),
            ),
            (
                PullEvent::Done { name: "busybox:1.36".into(), newer: true },
                json!({"status": "Status: Downloaded newer image for busybox:1.36"}),
            ),
        ] {
            assert_eq!(pull(event), want);
        }
        let done = PushEvent::Done { tag: "latest".into(), digest: digest.clone(), size: 5 };
        assert_eq!(push(done), json!({"status": format!("latest: digest: {digest} size: 5")}));
    }
}
