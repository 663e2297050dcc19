//! Forgetting translated flows. A UDP client that keeps its port would else be led to where the service once was for as
//! long as it goes on sending.

use super::attr::{self, NESTED, Writer};
use super::{Netfilter, message};
use crate::{NetError, Result};
use std::net::Ipv4Addr;

const CONNTRACK: u16 = 1; // NFNL_SUBSYS_CTNETLINK
const GET: u16 = 1;
const DELETE: u16 = 2;
const ORIGINAL: u16 = 1; // CTA_TUPLE_ORIG
const REPLY: u16 = 2;
const ZONE: u16 = 18;
const ID: u16 = 12;

/// What the kernel remembers of one conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flow {
    pub(crate) protocol: u8,
    /// Where the first packet wanted to go.
    pub(crate) to: (Ipv4Addr, u16),
    /// Where it was led, that is, from where answers come.
    pub(crate) led_to: (Ipv4Addr, u16),
}

impl Flow {
    pub(crate) fn is_translated(&self) -> bool {
        self.to != self.led_to
    }
}

impl Netfilter {
    /// Deletes every flow for which `stale` says so.
    pub(crate) fn delete_flows(&self, stale: impl Fn(&Flow) -> bool) -> Result<()> {
        let request = message::encode(CONNTRACK << 8 | GET, message::DUMP, 1, 0, &Writer::default());
        let mut requests = Vec::new();
        self.dump(&request, "list the tracked connections", |entry| {
            if read(entry).is_some_and(|flow| stale(&flow)) {
                requests.push(deletion(entry));
            }
        })?;
        let what = "delete a tracked connection";
        for request in &requests {
            match self.request(request, what)? {
                // it ended by itself
                0 | libc::ENOENT => {}
                errno => return Err(NetError::Refused { doing: what.into(), errno }),
            }
        }
        Ok(())
    }
}

/// By its first direction, zone and number: not a newer flow between the same two.
pub(super) fn deletion(entry: &[u8]) -> Vec<u8> {
    let mut body = Writer::default();
    for (kind, value) in attr::read(entry) {
        match kind {
            ORIGINAL => body.bytes(kind | NESTED, value),
            ZONE | ID => body.bytes(kind, value),
            _ => &mut body,
        };
    }
    message::encode(CONNTRACK << 8 | DELETE, message::ACK, 1, 0, &body)
}

pub(super) fn read(entry: &[u8]) -> Option<Flow> {
    let [protocol] = *attr::find(entry, &[ORIGINAL, 2, 1])? else { return None };
    let address = |path: &[u16]| Some(Ipv4Addr::from(<[u8; 4]>::try_from(attr::find(entry, path)?).ok()?));
    let port = |path: &[u16]| Some(u16::from_be_bytes(attr::find(entry, path)?.try_into().ok()?));
    Some(Flow {
        protocol,
        to: (address(&[ORIGINAL, 1, 2])?, port(&[ORIGINAL, 2, 3])?),
        led_to: (address(&[REPLY, 1, 1])?, port(&[REPLY, 2, 2])?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tuple(body: &mut Writer, kind: u16, ends: [([u8; 4], u16); 2]) {
        body.nested(kind, |tuple| {
            tuple.nested(1, |addresses| {
                addresses.bytes(1, &ends[0].0).bytes(2, &ends[1].0);
            });
            tuple.nested(2, |protocol| {
                protocol
                    .bytes(1, &[17])
                    .bytes(2, &ends[0].1.to_be_bytes())
                    .bytes(3, &ends[1].1.to_be_bytes());
            });
        });
    }

    #[test]
    fn a_flow_is_read_and_deleted_by_what_names_it() {
        let (client, service, pod) = (([10, 0, 0, 9], 4000), ([10, 96, 0, 10], 53), ([10, 244, 0, 5], 5353));
        let mut entry = Writer::default();
        tuple(&mut entry, ORIGINAL, [client, service]);
        tuple(&mut entry, REPLY, [pod, client]);
        entry.number(7, 30).number(ID, 77);
        let want = Flow { protocol: 17, to: (service.0.into(), 53), led_to: (pod.0.into(), 5353) };
        assert_eq!(read(&entry.0), Some(want));

        let mut kept = Writer::default();
        tuple(&mut kept, ORIGINAL, [client, service]);
        kept.number(ID, 77);
        assert_eq!(deletion(&entry.0)[message::HEADER + 4..], kept.0);
    }

    #[test]
    fn a_flow_without_ports_is_none_of_ours() {
        assert_eq!(read(&[]), None);
    }
}
