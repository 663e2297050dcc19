//! How long it takes to connect and to disconnect a pod, one after the other. Needs root, nft and iproute2:
//!
//!     unshare --net cargo run --example attach -p net

mod common;

use common::ms;
use net::Network;
use nix::sched::{CloneFlags, unshare};
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::{Duration, Instant};

const PODS: usize = 100;

/// A network namespace that lives as long as the thread that made it, which waits for the sender's end.
fn namespace() -> (PathBuf, mpsc::Sender<()>) {
    let (made, path) = mpsc::channel();
    let (keep, end) = mpsc::channel::<()>();
    std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).expect("root may make a network namespace");
        let path = PathBuf::from(format!("/proc/self/task/{}/ns/net", nix::unistd::gettid()));
        made.send(path).expect("the caller waits");
        let _ = end.recv();
    });
    (path.recv().expect("the thread has made it"), keep)
}

#[tokio::main]
async fn main() -> Result<(), net::NetError> {
    let Some(config) = common::config() else { return Ok(()) };
    let start = Instant::now();
    let network = Network::start(config).await?;
    println!("start {}", ms(start.elapsed()));
    let pods: Vec<_> = (0..PODS).map(|_| namespace()).collect();
    let (mut attach, mut detach) = (Vec::new(), Vec::new());
    for (number, (path, _keep)) in pods.iter().enumerate() {
        let start = Instant::now();
        network.attach(&format!("pod-{number}"), "", path, &[]).await?;
        attach.push(start.elapsed());
    }
    for number in 0..PODS {
        let start = Instant::now();
        network.detach(&format!("pod-{number}")).await?;
        detach.push(start.elapsed());
    }
    println!("attach {}", spread(attach));
    println!("detach {}", spread(detach));
    Ok(())
}

fn spread(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |share: usize| ms(times[times.len() * share / 100]);
    format!("p50 {} p99 {}", at(50), at(99))
}
