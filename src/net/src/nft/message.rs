//! One nfnetlink message: netlink's header, netfilter's header, attributes.

use super::attr::Writer;

pub(crate) const HEADER: usize = 16;
const NETFILTER_HEADER: usize = 4;
const IPV4: u8 = 2; // NFPROTO_IPV4

pub(crate) const REQUEST: u16 = 1;
pub(crate) const ACK: u16 = 4;
pub(crate) const CREATE: u16 = 0x400;
pub(crate) const APPEND: u16 = 0x800;
pub(crate) const DUMP: u16 = 0x300;

/// Set in the messages of a dump during which something changed: it may be incomplete.
const INTERRUPTED: u16 = 0x10;

const ERROR: u16 = 2;
const DONE: u16 = 3;

/// `resource` is the subsystem in the messages around a batch, else 0.
pub(crate) fn encode(kind: u16, flags: u16, sequence: u32, resource: u16, body: &Writer) -> Vec<u8> {
    let length = (HEADER + NETFILTER_HEADER + body.0.len()) as u32;
    let mut message = Vec::with_capacity(length as usize);
    message.extend_from_slice(&length.to_ne_bytes());
    message.extend_from_slice(&kind.to_ne_bytes());
    message.extend_from_slice(&(flags | REQUEST).to_ne_bytes());
    message.extend_from_slice(&sequence.to_ne_bytes());
    message.extend_from_slice(&0_u32.to_ne_bytes());
    message.extend_from_slice(&[IPV4, 0]);
    message.extend_from_slice(&resource.to_be_bytes());
    message.extend_from_slice(&body.0);
    message
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer<'a> {
    /// The attributes.
    Data(&'a [u8]),
    Done,
    Interrupted,
    /// 0 is an acknowledgement.
    Error {
        sequence: u32,
        errno: i32,
    },
}

/// The messages in what one receive gave.
pub(crate) fn decode(mut bytes: &[u8]) -> impl Iterator<Item = Answer<'_>> {
    std::iter::from_fn(move || {
        let length = word(bytes, 0)? as usize;
        let message = bytes.get(..length).filter(|message| message.len() >= HEADER)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        let kind = u16::from_ne_bytes(message[4..6].try_into().ok()?);
        let flags = u16::from_ne_bytes(message[6..8].try_into().ok()?);
        let sequence = word(message, 8)?;
        Some(match kind {
            _ if kind != ERROR && flags & INTERRUPTED != 0 => Answer::Interrupted,
            ERROR => Answer::Error {
                sequence,
                errno: word(message, HEADER).map_or(0, |n| (n as i32).wrapping_neg()),
            },
            DONE => Answer::Done,
            _ => Answer::Data(message.get(HEADER + NETFILTER_HEADER..).unwrap_or_default()),
        })
    })
}

/// What the kernel tells of a change: which one, made by which socket, and the attributes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Notice<'a> {
    pub(crate) kind: u16,
    pub(crate) port: u32,
    pub(crate) attributes: &'a [u8],
}

/// The messages in what one receive of a group gave.
pub(crate) fn notices(mut bytes: &[u8]) -> impl Iterator<Item = Notice<'_>> {
    std::iter::from_fn(move || {
        let length = word(bytes, 0)? as usize;
        let message = bytes.get(..length).filter(|message| message.len() >= HEADER)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Notice {
            kind: u16::from_ne_bytes(message[4..6].try_into().ok()?),
            port: word(message, 12)?,
            attributes: message.get(HEADER + NETFILTER_HEADER..).unwrap_or_default(),
        })
    })
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        let mut body = Writer::default();
        body.number(1, 7);
        let mut bytes = encode(0x0a0c, 0, 3, 0, &body);
        bytes.extend(encode(DONE, 0, 3, 0, &Writer::default()));
        let mut refusal = encode(ERROR, 0, 5, 0, &Writer::default());
        refusal[HEADER..].copy_from_slice(&(-libc::ENOENT).to_ne_bytes());
        bytes.extend(&refusal);
        bytes.extend(encode(0x0a0c, INTERRUPTED, 3, 0, &body));
        let answers: Vec<Answer> = decode(&bytes).collect();
        assert_eq!(
            answers,
            [
                Answer::Data(&body.0),
                Answer::Done,
                Answer::Error { sequence: 5, errno: libc::ENOENT },
                Answer::Interrupted
            ]
        );
        assert_eq!(decode(&bytes[..10]).count(), 0);
        assert_eq!(decode(&[0; 32]).count(), 0);
    }
}
