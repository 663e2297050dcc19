//! The Docker half alone, to be driven by hand: `unshare -n -m engine DIR`, then `docker -H unix://DIR/docker.sock …`.

use docker::DockerConfig;
use image::{ImageStore, Registries};
use net::{NetConfig, Network};
use runtime::{RuntimeConfig, ShimRuntime};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("shim") => shim::main(),
        Some(dir) => {
            let tokio = tokio::runtime::Runtime::new().expect("start tokio");
            tokio.block_on(serve(PathBuf::from(dir)));
            ExitCode::SUCCESS
        }
        None => {
            eprintln!("usage: engine DIR");
            ExitCode::FAILURE
        }
    }
}

async fn serve(dir: PathBuf) {
    let name = format!("engine{}", std::process::id() % 10_000);
    let pod_cidr = "10.201.0.0/19".parse().expect("a network");
    let images = ImageStore::open(&dir.join("images"), Registries::default()).expect("open the image store");
    let network = Network::start(NetConfig {
        profile: "docker-by-hand".to_owned(),
        node_ip: "127.0.0.1".parse().expect("an address"),
        pod_cidr,
        service_cidr: "10.202.0.0/16".parse().expect("a network"),
        load_balancer_cidr: "10.203.0.0/24".parse().expect("a network"),
    })
    .await
    .expect("set up the network");
    let gateway = network.gateway();
    let config = RuntimeConfig {
        state_dir: dir.join("runtime"),
        run_dir: dir.join("run"),
        cgroup: "monopod-docker-by-hand".to_owned(),
        program: std::env::current_exe().expect("find the program"),
    };
    let networks = Arc::new(network);
    let runtime =
        ShimRuntime::start(config, images.clone(), networks.clone()).await.expect("start the runtime");
    let config = DockerConfig {
        state_dir: dir.join("docker"),
        socket: dir.join("docker.sock"),
        name,
        cgroup_parent: "docker".to_owned(),
        gateway,
        pod_cidr,
        pools: vec![docker::AddressPool { base: "10.204.0.0/16".parse().expect("a network"), size: 24 }],
        dns: gateway.into(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        unread: runtime::unread,
    };
    let stop = CancellationToken::new();
    let signal = stop.clone();
    tokio::spawn(async move {
        let _ = tokio::signal::ctrl_c().await;
        signal.cancel();
    });
    docker::serve(config, runtime, networks, images, stop).await.expect("serve");
}
