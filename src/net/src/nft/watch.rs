//! Hears what becomes of netfilter's tables, whoever does it.

use super::batch::{DELETE_CHAIN, DELETE_ELEMENTS, DELETE_RULE, DELETE_SET};
use super::{DELETE_TABLE, NFTABLES, OwnPorts, attr, message};
use crate::Result;
use crate::error::Doing;
use rtnetlink::sys::protocols::NETLINK_NETFILTER;
use rtnetlink::sys::{AsyncSocket, AsyncSocketExt, SocketAddr, TokioSocket};

const GROUP: u32 = 7; // NFNLGRP_NFTABLES
const DELETIONS: [u16; 5] = [DELETE_TABLE, DELETE_CHAIN, DELETE_RULE, DELETE_SET, DELETE_ELEMENTS];

pub(crate) struct Watch(TokioSocket);

impl Watch {
    /// Must run inside a tokio runtime.
    pub(crate) fn open() -> Result<Self> {
        let opening = || "watch netfilter's tables";
        let mut socket = TokioSocket::new(NETLINK_NETFILTER).doing(opening)?;
        socket.socket_mut().bind(&SocketAddr::new(0, 0)).doing(opening)?;
        socket.socket_mut().add_membership(GROUP).doing(opening)?;
        Ok(Watch(socket))
    }

    /// Returns when somebody else deleted the table or something in it, or may have done so: more has happened than the
    /// kernel kept for us.
    pub(crate) async fn deleted(&self, table: &str, own: &OwnPorts) -> Result<()> {
        loop {
            match self.0.recv_from_full().await {
                Ok((bytes, _)) if !deletes(&bytes, table, |port| own.contains(port)) => {}
                Err(error) if error.raw_os_error() != Some(libc::ENOBUFS) => {
                    return Err(error).doing(|| "watch netfilter's tables");
                }
                Ok(_) | Err(_) => return Ok(()),
            }
        }
    }
}

/// All of these messages have the table's name as their first attribute.
pub(super) fn deletes(bytes: &[u8], table: &str, is_own: impl Fn(u32) -> bool) -> bool {
    let name = [table.as_bytes(), &[0]].concat();
    message::notices(bytes).any(|notice| {
        let deletes = DELETIONS.iter().any(|kind| notice.kind == NFTABLES << 8 | kind);
        deletes && !is_own(notice.port) && attr::find(notice.attributes, &[1]) == Some(&name[..])
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Batch, Data, Element, Set};
    use super::*;

    #[test]
    fn what_goes_is_seen_among_other_changes() {
        let element = Element { set: Set::Hairpin, key: vec![10, 0, 0, 1, 10, 0, 0, 1], data: Data::None };
        let acts: [(&str, &dyn Fn(&mut Batch), bool); 7] = [
            ("table", &|batch: &mut Batch| batch.delete_table(), true),
            ("chain", &|batch: &mut Batch| batch.delete_chain("a"), true),
            ("rules", &|batch: &mut Batch| batch.flush_chain("a"), true),
            ("set", &|batch: &mut Batch| batch.delete_set("a"), true),
            ("elements", &|batch: &mut Batch| batch.delete([&element]), true),
            ("new elements", &|batch: &mut Batch| batch.add([&element]), false),
            ("nothing", &|_: &mut Batch| {}, false),
        ];
        for (name, act, want) in acts {
            let said = |table: &str| {
                let mut batch = Batch::new(table);
                batch.add_chain("a");
                act(&mut batch);
                batch.finish().0
            };
            assert_eq!(deletes(&said("ours"), "ours", |_| false), want, "{name}");
            assert!(!deletes(&said("ours-too"), "ours", |_| false), "{name} of another table");
            assert!(!deletes(&said("ours"), "ours", |port| port == 0), "{name}, by ourselves");
        }
        assert!(!deletes(&[], "ours", |_| false));
    }
}
