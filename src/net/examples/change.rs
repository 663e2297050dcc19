//! How long one change of a service takes to be in the kernel, with 1 and with 10,000 services. Needs root, nft and
//! iproute2:
//!
//!     unshare --net cargo run --example change -p net

mod common;

use common::ms;
use net::{Action, Frontend, Network, Protocol};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Instant;

const ROUNDS: u32 = 200;

fn frontend(number: u32) -> Frontend {
    Frontend { address: Some(Ipv4Addr::from(0x0a60_0000 + 10 + number)), protocol: Protocol::Tcp, port: 80 }
}

fn action(number: u32) -> Action {
    let pod = |n: u32| SocketAddrV4::new(Ipv4Addr::from(0x0af4_0000 + 2 + (number + n) % 8000), 8080);
    Action::Forward { backends: [pod(0), pod(1)].into(), affinity: None, masquerade: false }
}

#[tokio::main]
async fn main() -> Result<(), net::NetError> {
    let Some(config) = common::config() else { return Ok(()) };
    let network = Network::start(config).await?;
    for count in [1, 10_000] {
        let frontends: BTreeMap<Frontend, Action> =
            (0..count).map(|number| (frontend(number), action(number))).collect();
        let start = Instant::now();
        network.set_frontends(frontends).await?;
        let all = start.elapsed();
        let mut each = Vec::new();
        for round in 0..ROUNDS {
            let wanted = if round % 2 == 0 { action(round + 4000) } else { action(0) };
            let start = Instant::now();
            network.change_frontends(vec![(frontend(0), Some(wanted))]).await?;
            each.push(start.elapsed());
        }
        each.sort_unstable();
        let at = |share: u32| each[(ROUNDS * share / 100) as usize];
        println!("{count:>6} services: all {}, one change p50 {} p99 {}", ms(all), ms(at(50)), ms(at(99)));
    }
    Ok(())
}
