//! One container: its streams, its log, and how far it came.

use crate::attach::Attachment;
use crate::fault::{Because, Result};
use crate::logs::{Lines, Log, now};
use crate::oom::OomWatch;
use crate::pipes::{self, Input, give, take};
use cri::ContainerId;
use cri::wire::{CgroupFiles, ContainerRecord, ExitRecord};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

/// At a container's end its pipes are read until they are empty, but not for ever: a process that outlived it, in a
/// shared PID namespace, may write on. No pipe holds as much as this.
const DRAIN_LIMIT: usize = 8 << 20;

pub(crate) struct Container {
    pub(crate) id: ContainerId,
    pub(crate) mounts: Vec<PathBuf>,
    pub(crate) being_created: bool,
    /// It was removed while it was being created: it ends as soon as it is there, and goes with its end.
    pub(crate) unwanted: bool,
    pub(crate) run: Option<Run>,
}

/// What a container has once it is created.
pub(crate) struct Run {
    pub(crate) bundle: PathBuf,
    pub(crate) cgroup: CgroupFiles,
    pub(crate) stop_signal: i32,
    pub(crate) tty: bool,
    pub(crate) record: ContainerRecord,
    pub(crate) log: Log,
    /// stdout and stderr; of a terminal only the first.
    pub(crate) outputs: [Option<Output>; 2],
    pub(crate) stdin: Option<Stdin>,
    pub(crate) stdin_once: bool,
    pub(crate) attachments: BTreeMap<u64, Attachment>,
    pub(crate) oom: Option<OomWatch>,
    /// What is open for it until it has ended.
    pub(crate) held: Vec<File>,
}

pub(crate) struct Output {
    pub(crate) end: OwnedFd,
    lines: Lines,
}

impl Output {
    pub(crate) fn new(end: OwnedFd, stream: &'static str) -> Output {
        Output { end, lines: Lines::new(stream) }
    }
}

pub(crate) struct Stdin {
    pub(crate) end: OwnedFd,
    /// What the container did not take yet; while there is something, no client is read.
    pub(crate) pending: Vec<u8>,
    close_when_empty: bool,
}

impl Stdin {
    pub(crate) fn new(end: OwnedFd) -> Stdin {
        Stdin { end, pending: Vec::new(), close_when_empty: false }
    }
}

impl Run {
    /// The terminal that the container made; it blocks nobody.
    pub(crate) fn set_terminal(&mut self, master: OwnedFd, stdin: bool) -> Result<()> {
        pipes::set_nonblocking(&master).because("terminal")?;
        if stdin {
            self.stdin = Some(Stdin::new(master.try_clone().because("terminal")?));
        }
        self.outputs[0] = Some(Output::new(master, "stdout"));
        Ok(())
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.record.exit.is_none()
    }

    /// One read of what the container wrote, into the log and to the clients. How much; `None` when there is no more
    /// for now.
    pub(crate) fn read_output(&mut self, which: usize, buffer: &mut [u8]) -> Option<usize> {
        let output = self.outputs[which].as_mut()?;
        let mut lines = Vec::new();
        let length = match take(&output.end, buffer) {
            Input::Nothing => None,
            Input::Bytes(data) => {
                output.lines.push(data, &now(), &mut lines);
                self.attachments.values_mut().for_each(|one| one.show(which, data));
                Some(data.len())
            }
            Input::End => {
                output.lines.finish(&now(), &mut lines);
                self.outputs[which] = None;
                self.attachments.values_mut().for_each(|one| one.outputs[which] = None);
                None
            }
        };
        if !lines.is_empty() {
            self.log.append(&lines);
        }
        self.forget_attachments_that_are_over();
        length
    }

    /// One read of a client's input.
    pub(crate) fn read_client(&mut self, attachment: u64, buffer: &mut [u8]) {
        let Some(client) = self.attachments.get_mut(&attachment) else { return };
        let Some(end) = &client.stdin else { return };
        match take(end, buffer) {
            Input::Nothing => {}
            Input::Bytes(data) => match &mut self.stdin {
                Some(stdin) => match give(&stdin.end, data) {
                    Ok(done) => stdin.pending.extend_from_slice(&data[done..]),
                    Err(_) => self.close_stdin(),
                },
                None => client.stdin = None,
            },
            Input::End => {
                client.stdin = None;
                if self.stdin_once && !self.tty {
                    self.close_stdin_when_empty();
                }
            }
        }
        self.forget_attachments_that_are_over();
    }

    pub(crate) fn flush_stdin(&mut self) {
        let Some(stdin) = &mut self.stdin else { return };
        match give(&stdin.end, &stdin.pending) {
            Err(_) => self.close_stdin(),
            Ok(done) => {
                stdin.pending.drain(..done);
                if stdin.pending.is_empty() {
                    stdin.pending = Vec::new();
                    if stdin.close_when_empty {
                        self.close_stdin();
                    }
                }
            }
        }
    }

    fn close_stdin_when_empty(&mut self) {
        match &mut self.stdin {
            Some(stdin) if !stdin.pending.is_empty() => stdin.close_when_empty = true,
            _ => self.close_stdin(),
        }
    }

    /// Also for the clients: one that writes on learns that nobody reads.
    fn close_stdin(&mut self) {
        self.stdin = None;
        self.attachments.values_mut().for_each(|one| one.stdin = None);
        self.forget_attachments_that_are_over();
    }

    pub(crate) fn forget_attachments_that_are_over(&mut self) {
        self.attachments.retain(|_, one| !one.is_over());
    }

    pub(crate) fn resize(&self, width: u16, height: u16) -> Result<()> {
        match &self.outputs[0] {
            Some(output) if self.tty => {
                crate::sys::set_window_size(output.end.as_fd(), width, height).because("resize")
            }
            _ => crate::fault::fault("the container has no terminal"),
        }
    }

    /// After the first process was reaped: every byte that it wrote is logged, then the end is written down.
    pub(crate) fn end(&mut self, exit_code: i32, buffer: &mut [u8]) -> ExitRecord {
        for which in 0..self.outputs.len() {
            let mut drained = 0;
            while drained < DRAIN_LIMIT
                && let Some(length) = self.read_output(which, buffer)
            {
                drained += length;
            }
            self.finish_line(which);
        }
        self.attachments.clear();
        self.stdin = None;
        self.held.clear();
        let killed = self.oom.as_ref().is_some_and(|oom| oom.count() > 0);
        let exit = ExitRecord {
            exit_code,
            oom_killed: killed && exit_code != 0,
            finished_at: jiff::Timestamp::now(),
            message: String::new(),
        };
        self.record.exit = Some(exit.clone());
        exit
    }

    /// Where somebody still holds the other end (a helper that made the container and has not ended yet), no end of the stream
    /// comes before the container's is told; what was written is in the log by then.
    fn finish_line(&mut self, which: usize) {
        let Some(output) = &mut self.outputs[which] else { return };
        let mut line = Vec::new();
        output.lines.finish(&now(), &mut line);
        self.log.append(&line);
    }

    /// `status.json`, whole or not at all. It lies in the run directory, which a crash of the machine empties, so it
    /// is not synced.
    pub(crate) fn save(&self) -> Result<()> {
        let (file, new) = (self.bundle.join("status.json"), self.bundle.join("status.json.new"));
        let text = serde_json::to_vec(&self.record).because("encode the status")?;
        fs::write(&new, text).because(format_args!("write {}", new.display()))?;
        fs::rename(&new, &file).because(format_args!("write {}", file.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cri::Logging;

    #[test]
    fn a_last_line_is_logged_before_the_end_is_told_whoever_holds_the_pipe() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let (end, held) = pipes::from_them().unwrap();
        let mut run = Run {
            bundle: directory.path().into(),
            cgroup: CgroupFiles::default(),
            stop_signal: 15,
            tty: false,
            record: ContainerRecord::default(),
            log: Log::open(&path, &Logging::Kept).unwrap(),
            outputs: [Some(Output::new(end, "stdout")), None],
            stdin: None,
            stdin_once: false,
            attachments: BTreeMap::new(),
            oom: None,
            held: Vec::new(),
        };
        give(&held, b"one\ntwo").unwrap();
        run.end(0, &mut [0; 64]);
        let logged = fs::read_to_string(&path).unwrap();
        let texts: Vec<&str> =
            logged.lines().filter_map(|line| line.split_once(" stdout ")).map(|(_, text)| text).collect();
        assert_eq!(texts, ["F one", "P two"]);
    }
}
