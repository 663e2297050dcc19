//! Hears what becomes of netfilter's tables, whoever does it.

use super::{DELETE_TABLE, NFTABLES, attr, message};
use crate::Result;
use crate::error::Doing;
use rtnetlink::sys::protocols::NETLINK_NETFILTER;
use rtnetlink::sys::{AsyncSocket, AsyncSocketExt, SocketAddr, TokioSocket};

const GROUP: u32 = 7; // NFNLGRP_NFTABLES

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

    /// Returns when the table was deleted, or may have been: more has happened than the kernel kept for us.
    pub(crate) async fn deleted(&self, table: &str) -> Result<()> {
        loop {
            match self.0.recv_from_full().await {
                Ok((bytes, _)) if !deletes(&bytes, table) => {}
                Err(error) if error.raw_os_error() != Some(libc::ENOBUFS) => {
                    return Err(error).doing(|| "watch netfilter's tables");
                }
                Ok(_) | Err(_) => return Ok(()),
            }
        }
    }
}

pub(super) fn deletes(bytes: &[u8], table: &str) -> bool {
    let mut deleted = message::bodies(bytes, NFTABLES << 8 | DELETE_TABLE);
    deleted.any(|attributes| attr::find(attributes, &[1]) == Some(&[table.as_bytes(), &[0]].concat()))
}

#[cfg(test)]
mod tests {
    use super::super::Batch;
    use super::*;

    #[test]
    fn a_table_that_goes_is_seen_among_other_changes() {
        let said = |deleted: &str| {
            let mut batch = Batch::new(deleted);
            batch.add_chain("a");
            batch.delete_table();
            batch.finish().0
        };
        assert!(deletes(&said("ours"), "ours"));
        assert!(!deletes(&said("ours-too"), "ours"));
        assert!(!deletes(&[], "ours"));
    }
}
