//! What the shim waits for.

use crate::container::Container;
use nix::poll::{PollFd, PollFlags};
use std::os::fd::AsFd;

/// What a descriptor in the poll set is for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Token {
    Signals,
    Listener,
    Client(u64),
    Helper(u64),
    Birth(u64),
    Output(u64, usize),
    Stdin(u64),
    AttachedInput(u64, u64),
    AttachedOutput(u64, u64, usize),
    Memory(u64),
}

pub(crate) fn of_container(key: u64, container: &Container) -> Vec<(PollFd<'_>, Token)> {
    let Some(run) = &container.run else { return Vec::new() };
    let mut all = Vec::new();
    for (which, output) in run.outputs.iter().enumerate() {
        if let Some(output) = output {
            all.push((PollFd::new(output.end.as_fd(), PollFlags::POLLIN), Token::Output(key, which)));
        }
    }
    let behind = run.stdin.as_ref().filter(|stdin| !stdin.pending.is_empty());
    if let Some(stdin) = behind {
        all.push((PollFd::new(stdin.end.as_fd(), PollFlags::POLLOUT), Token::Stdin(key)));
    }
    for (client, attachment) in &run.attachments {
        if let (Some(end), None) = (&attachment.stdin, behind) {
            all.push((PollFd::new(end.as_fd(), PollFlags::POLLIN), Token::AttachedInput(key, *client)));
        }
        for (which, end) in attachment.outputs.iter().enumerate() {
            if let Some(end) = end {
                let token = Token::AttachedOutput(key, *client, which);
                all.push((PollFd::new(end.as_fd(), PollFlags::empty()), token));
            }
        }
    }
    if let Some(oom) = &run.oom {
        all.push((PollFd::new(oom.as_fd(), PollFlags::POLLIN), Token::Memory(key)));
    }
    all
}
