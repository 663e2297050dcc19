//! The record of the state: written by each transaction, so that it always says what the objects beside it are.

use crate::log::seal::Seal;

const TITLE: &str = "monopod: the state of a profile";
const FORMAT: u64 = 1;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct State {
    pub(super) seal: Seal,
    /// The last run ended in order.
    pub(super) clean: bool,
    /// The profile that writes here, told apart from those of the same name on other machines.
    pub(super) owner: String,
    pub(super) host: String,
    /// Of the transaction that wrote it: its session, and a number within it.
    pub(super) ticket: String,
    /// A batch that counts already, and is not applied to the objects yet.
    pub(super) journal: Option<Journal>,
    /// Objects are being copied here: it is no state yet.
    pub(super) copying: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Journal {
    pub(super) ticket: String,
    pub(super) parts: usize,
}

/// Why a record is no state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoState {
    Damaged,
    Newer(u64),
}

impl State {
    pub(super) fn encode(&self) -> Vec<u8> {
        let text = self.text();
        let check = crc32fast::hash(text.as_bytes());
        format!("{text}check {check}\n").into_bytes()
    }

    fn text(&self) -> String {
        let Seal { revision, reserved, objects, sum } = self.seal;
        let State { clean, owner, host, ticket, copying, .. } = self;
        let journal = self.journal.as_ref();
        let journal = journal.map(|Journal { ticket, parts }| format!("journal {ticket} {parts}\n"));
        let journal = journal.unwrap_or_default();
        let (clean, copying) = (u8::from(*clean), u8::from(*copying));
        format!(
            "{TITLE}\nformat {FORMAT}\nrevision {revision}\nreserved {reserved}\nobjects {objects}\nsum {sum}\nclean {clean}\n\
             copying {copying}\nowner {owner}\nhost {host}\nticket {ticket}\n{journal}"
        )
    }

    pub(super) fn decode(value: &[u8]) -> Result<State, NoState> {
        let text = std::str::from_utf8(value).map_err(|_| NoState::Damaged)?;
        let field = |name: &str| {
            text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).ok_or(NoState::Damaged)
        };
        let number = |name: &str| field(name)?.parse::<u64>().map_err(|_| NoState::Damaged);
        match number("format")? {
            FORMAT => {}
            newer @ 2.. => return Err(NoState::Newer(newer)),
            _ => return Err(NoState::Damaged),
        }
        let journal = |line: &str| {
            let (ticket, parts) = line.split_once(' ')?;
            Some(Journal { ticket: ticket.to_owned(), parts: parts.parse().ok()? })
        };
        let state = State {
            seal: Seal {
                revision: number("revision")?,
                reserved: number("reserved")?,
                objects: number("objects")?,
                sum: number("sum")?,
            },
            clean: number("clean")? != 0,
            copying: number("copying")? != 0,
            owner: field("owner")?.to_owned(),
            host: field("host")?.to_owned(),
            ticket: field("ticket")?.to_owned(),
            journal: field("journal").ok().and_then(journal),
        };
        match state.encode() == value {
            true => Ok(state),
            false => Err(NoState::Damaged),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_was_written_and_any_damage_is_seen() {
        let seal = Seal { revision: 7, reserved: 10_007, objects: 3, sum: u64::MAX };
        let plain = State {
            seal,
            clean: true,
            owner: "a-b".to_owned(),
            host: "host".to_owned(),
            ticket: "s.1".to_owned(),
            ..State::default()
        };
        let journal = Some(Journal { ticket: "s.2".to_owned(), parts: 12 });
        for state in [plain.clone(), State { journal, copying: true, clean: false, ..plain }] {
            let whole = state.encode();
            assert_eq!(State::decode(&whole), Ok(state.clone()));
            for at in 0..whole.len() {
                let mut damaged = whole.clone();
                damaged[at] ^= 1;
                assert!(State::decode(&damaged).is_err(), "byte {at}");
            }
            let newer = String::from_utf8(whole).unwrap().replace("format 1", "format 9");
            assert_eq!(State::decode(newer.as_bytes()), Err(NoState::Newer(9)));
        }
    }
}
