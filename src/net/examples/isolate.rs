//! Measures changes of who may reach whom, in a network namespace of its own:
//!
//!     unshare --net cargo run --example isolate -p net

mod common;

use common::ms;
use net::{AddressRange, Allow, Class, Isolation, Network, PortRange, Ports, Protocol};
use std::net::Ipv4Addr;
use std::time::Instant;

const ROUNDS: u32 = 20;
const RULES: u32 = 1000;

/// Each rule a range of addresses of its own, with an exception, at a port of its own.
fn policy(shift: u16, rules: u32) -> Isolation {
    let allow = |rule: u32| {
        let base = 0x0b00_0000 + rule * 256;
        let range = |first: u32, last: u32| AddressRange {
            first: Ipv4Addr::from_bits(base + first),
            last: Ipv4Addr::from_bits(base + last),
        };
        let port = 1024 + rule as u16 + shift;
        let ports = [PortRange { protocol: Protocol::Tcp, first: port, last: port }];
        Allow { peers: [range(0, 15), range(32, 255)].into(), ports: Ports::Of(ports.into()) }
    };
    let members = (2..52).map(|n| Ipv4Addr::from_bits(0x0af4_0000 + n)).collect();
    let class = Class { members, allows: (0..rules).map(allow).collect(), ..Class::default() };
    Isolation { ingress: [("policy".to_owned(), class)].into(), ..Isolation::default() }
}

#[tokio::main]
async fn main() -> Result<(), net::NetError> {
    let Some(config) = common::config() else { return Ok(()) };
    let network = Network::start(config).await?;
    for (name, one, other) in [
        ("made and removed", policy(0, RULES), Isolation::default()),
        ("every rule", policy(0, RULES), policy(1, RULES)),
        ("one rule", policy(0, RULES), policy(0, RULES - 1)),
    ] {
        let mut each = Vec::new();
        for round in 0..ROUNDS {
            let wanted = if round % 2 == 0 { one.clone() } else { other.clone() };
            let start = Instant::now();
            network.set_isolation(wanted).await?;
            each.push(start.elapsed());
        }
        each.sort_unstable();
        let (middle, last) = (each[ROUNDS as usize / 2], each[ROUNDS as usize - 1]);
        println!("a policy of {RULES} rules, {name}: p50 {} most {}", ms(middle), ms(last));
    }
    Ok(())
}
