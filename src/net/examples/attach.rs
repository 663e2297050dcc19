//! How long it takes to connect and to disconnect a pod, one after the other. Needs root, nft and iproute2:
//!
//!     unshare --net cargo run --example attach -p net

use net::{NetConfig, Network};
use nix::sched::{CloneFlags, unshare};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;
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
    let routes = std::fs::read_to_string("/proc/net/route").unwrap_or_default();
    let up = Command::new("ip").args(["link", "set", "lo", "up"]).status();
    if routes.lines().count() > 1 || !up.is_ok_and(|status| status.success()) {
        eprintln!("run this in a network namespace of its own: unshare --net …");
        return Ok(());
    }
    let range = |text: &str| text.parse().expect("a network");
    let config = NetConfig {
        profile: "bench".into(),
        node_ip: Ipv4Addr::LOCALHOST,
        pod_cidr: range("10.244.0.0/19"),
        service_cidr: range("10.96.0.0/16"),
        load_balancer_cidr: range("10.98.0.0/24"),
    };
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

fn ms(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}
