//! The process that holds one pod: `monopod shim`.
//!
//! It owns the pod's namespaces (they live as long as it does), is the parent of the containers' processes, mounts
//! their root file systems, writes their logs and remembers their exit codes. The daemon talks to it over a unix
//! socket ([`cri::wire`]) and may come, go and crash as it likes. It is the only crate that links libcontainer.
//!
//! It knows no images, no network, no Kubernetes, and decides nothing: the runtime writes the OCI spec, chooses
//! cgroups and users, and tells it what to do. It deliberately has one thread and one `poll(2)`, waits for nothing
//! else, and never calls libcontainer in itself: that changes the caller's oom score and dumpability, so each
//! container is created, and each exec begun, by a short-lived fork ([`helper`]).
//!
//! Should it be killed, the first process of each container is killed with it (PR_SET_PDEATHSIG); a process that
//! escaped that (a set-uid program as first process) is the runtime's to find in the container's cgroup.
//!
//! Read [`shim::Shim`] first, then [`sandbox`] for the beginning and [`create`] and [`exec`] for the two forks.

mod attach;
mod cgroup;
mod cgroup_view;
mod client;
mod container;
mod create;
mod daemon;
mod exec;
mod fault;
mod guard;
mod helper;
mod init;
mod interests;
mod keyring;
mod late;
mod logs;
mod machine_proc;
mod mounts;
mod oom;
mod path;
mod pipes;
mod privileges;
mod report;
mod report_log;
mod requests;
mod sandbox;
mod shim;
mod sys;
mod terminal;

pub use daemon::main;
pub use init::{INIT, init};
