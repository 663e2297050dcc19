//! fsutil's protocol as its receiver: the client tells what it has, file by file; what is wanted of it is asked for; then
//! its pieces come, of several files at once. Pure: packets in, packets and a tar out.
//!
//! The tar is in the order in which the files were told, so little is kept: small files are asked for a few ahead and put
//! together here; a large one is asked for when its turn has come, and passes through.

use super::packing::{self, Kind};
use crate::proto::session::{Packet, PacketType, Stat};
use bytes::Bytes;
use std::collections::VecDeque;

/// A file of this size or less is put together before its turn.
const SMALL: u64 = 256 << 10;
/// Files asked for whose pieces may lie here, and bytes of them.
const AHEAD: (usize, u64) = (64, 4 << 20);
/// Files told while one of them is on its way: more than any directory has, and less than would fill the memory.
const MAX_WAITING: usize = 2 << 20;
/// What a name may have: Linux's own limit.
const MAX_PATH: usize = 4096;

#[derive(Debug, Default, PartialEq)]
pub(crate) struct Out {
    pub(crate) packets: Vec<Packet>,
    pub(crate) tar: Vec<Bytes>,
    /// Everything is here, and the client was told so.
    pub(crate) is_whole: bool,
}

#[derive(Default)]
pub(crate) struct Transfer {
    /// Told, and not yet in the tar.
    waiting: VecDeque<Entry>,
    /// The id of the next one that is told.
    next: u32,
    /// How many of `waiting` were looked at for being asked for.
    looked_at: usize,
    all_told: bool,
    is_whole: bool,
}

struct Entry {
    id: u32,
    stat: Stat,
    content: Content,
}

enum Content {
    /// No file, or an empty one.
    None,
    Wanted,
    /// Asked for: its pieces so far.
    Coming(Vec<u8>),
    Here(Vec<u8>),
    /// Its head is in the tar; so many bytes are still to come.
    Passing {
        left: u64,
    },
}

impl Transfer {
    pub(crate) fn take(&mut self, packet: Packet) -> Result<Out, String> {
        let mut out = Out::default();
        match PacketType::try_from(packet.r#type) {
            Ok(PacketType::Stat) => match packet.stat {
                Some(stat) => self.told(stat)?,
                None => self.all_told = true,
            },
            Ok(PacketType::Data) => self.piece(packet.id, packet.data, &mut out)?,
            Ok(PacketType::Err) => {
                return Err(format!("error from sender: {}", String::from_utf8_lossy(&packet.data)));
            }
            Ok(PacketType::Fin) if self.is_whole => out.is_whole = true,
            Ok(PacketType::Fin | PacketType::Req) | Err(_) => {
                return Err("unexpected packet from sender".into());
            }
        }
        self.advance(&mut out)?;
        Ok(out)
    }

    fn told(&mut self, stat: Stat) -> Result<(), String> {
        check(&stat.path)?;
        if self.waiting.len() >= MAX_WAITING {
            return Err("too many files in the build context".into());
        }
        let content = match packing::kind(&stat) {
            Kind::File if stat.size > 0 => Content::Wanted,
            _ => Content::None,
        };
        self.waiting.push_back(Entry { id: self.next, stat, content });
        self.next = self.next.checked_add(1).ok_or("too many files")?;
        Ok(())
    }

    fn piece(&mut self, id: u32, data: Bytes, out: &mut Out) -> Result<(), String> {
        let first = self.waiting.front().map_or(0, |entry| entry.id);
        let at = id.checked_sub(first).and_then(|at| usize::try_from(at).ok());
        let entry = at.and_then(|at| self.waiting.get_mut(at));
        let entry = entry.ok_or_else(|| format!("invalid file request {id}"))?;
        match &mut entry.content {
            Content::Coming(pieces) if data.is_empty() => {
                entry.content = Content::Here(std::mem::take(pieces))
            }
            Content::Coming(pieces) => {
                // a file that grows meanwhile ends where it was said to end
                let room = size(&entry.stat).min(SMALL) as usize - pieces.len();
                pieces.extend_from_slice(&data[..data.len().min(room)]);
            }
            Content::Passing { left } if data.is_empty() => {
                out.tar.extend(packing::zeros(*left));
                out.tar.extend(packing::padding(size(&entry.stat)));
                self.next_turn();
            }
            Content::Passing { left } => {
                let fits = usize::try_from(*left).map_or(data.len(), |left| data.len().min(left));
                *left -= fits as u64;
                out.tar.push(data.slice(..fits));
            }
            _ => return Err(format!("invalid file request {id}")),
        }
        Ok(())
    }

    fn next_turn(&mut self) {
        self.waiting.pop_front();
        self.looked_at = self.looked_at.saturating_sub(1);
    }

    fn advance(&mut self, out: &mut Out) -> Result<(), String> {
        loop {
            self.ask(out);
            let Some(entry) = self.waiting.front_mut() else { break };
            match &mut entry.content {
                Content::None => out.tar.push(packing::whole(&entry.stat, &[])?),
                Content::Here(data) => out.tar.push(packing::whole(&entry.stat, data)?),
                Content::Wanted => {
                    let left = size(&entry.stat);
                    out.tar.push(packing::head(&entry.stat, left)?);
                    out.packets.push(Packet { id: entry.id, ..Packet::new(PacketType::Req) });
                    entry.content = Content::Passing { left };
                    break;
                }
                Content::Coming(_) | Content::Passing { .. } => break,
            }
            self.next_turn();
        }
        if self.all_told && self.waiting.is_empty() && !self.is_whole {
            self.is_whole = true;
            out.packets.push(Packet::new(PacketType::Fin));
            out.tar.push(packing::end());
        }
        Ok(())
    }

    /// Asks for the next small files; large ones wait for their turn.
    fn ask(&mut self, out: &mut Out) {
        let coming = |entry: &&Entry| matches!(entry.content, Content::Coming(_) | Content::Here(_));
        let held = self.waiting.iter().take(self.looked_at).filter(coming);
        let (mut count, mut bytes) = held.fold((0, 0), |(n, sum), entry| (n + 1, sum + size(&entry.stat)));
        while let Some(entry) = self.waiting.get_mut(self.looked_at) {
            let size = size(&entry.stat);
            if matches!(entry.content, Content::Wanted) && size <= SMALL {
                if count >= AHEAD.0 || bytes + size > AHEAD.1 {
                    return;
                }
                (count, bytes) = (count + 1, bytes + size);
                out.packets.push(Packet { id: entry.id, ..Packet::new(PacketType::Req) });
                entry.content = Content::Coming(Vec::new());
            } else if self.looked_at >= AHEAD.0 {
                return;
            }
            self.looked_at += 1;
        }
    }
}

fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.size).unwrap_or(0)
}

/// Only names that lie below the directory and say so plainly.
fn check(path: &str) -> Result<(), String> {
    let is_plain = |name: &str| !matches!(name, "" | "." | "..") && !name.contains('\0');
    match path.len() <= MAX_PATH && path.split('/').all(is_plain) {
        true => Ok(()),
        false => Err(format!("invalid path in the build context: {path:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn stat(path: &str, size: i64) -> Packet {
        let stat = Stat { path: path.into(), mode: 0o644, size, ..Stat::default() };
        Packet { stat: Some(stat), ..Packet::new(PacketType::Stat) }
    }

    fn data(id: u32, text: &[u8]) -> Packet {
        Packet { id, data: Bytes::copy_from_slice(text), ..Packet::new(PacketType::Data) }
    }

    fn asked(out: &Out) -> Vec<u32> {
        let asked = out.packets.iter().filter(|p| p.r#type == PacketType::Req as i32);
        asked.map(|packet| packet.id).collect()
    }

    fn files(tar: &[Bytes]) -> Vec<(String, Vec<u8>)> {
        let tar = tar.concat();
        let mut archive = tar::Archive::new(&tar[..]);
        let files = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            (entry.path().unwrap().display().to_string(), content)
        });
        files.collect()
    }

    /// Feeds all packets; gives the tar and what was asked for.
    fn run(packets: Vec<Packet>) -> Result<(Vec<(String, Vec<u8>)>, Vec<u32>, bool), String> {
        let (mut transfer, mut tar, mut ids, mut fin) = (Transfer::default(), Vec::new(), Vec::new(), false);
        for packet in packets {
            let out = transfer.take(packet)?;
            ids.extend(asked(&out));
            fin |= out.packets.iter().any(|p| p.r#type == PacketType::Fin as i32);
            tar.extend(out.tar);
        }
        Ok((files(&tar), ids, fin))
    }

    #[test]
    fn pieces_of_several_files_come_in_any_order() {
        let large = vec![7; SMALL as usize + 5];
        let told = Packet::new(PacketType::Stat);
        let (files, asked, fin) = run(vec![
            stat("a", 3),
            stat("b", large.len() as i64),
            stat("c", 2),
            stat("d", 0),
            told,
            data(2, b"cc"),
            data(0, b"a"),
            data(2, b""),
            data(0, b"aa"),
            data(0, b""),
            data(1, &large[..9]),
            data(1, &large[9..]),
            data(1, b""),
        ])
        .unwrap();
        let want = [("a", b"aaa".to_vec()), ("b", large), ("c", b"cc".to_vec()), ("d", Vec::new())];
        assert_eq!(files, want.map(|(name, content)| (name.to_owned(), content)));
        assert_eq!((asked, fin), (vec![0, 2, 1], true));
    }

    #[test]
    fn a_file_that_changes_keeps_the_size_that_was_told() {
        let large = SMALL as usize + 1;
        let end = || Packet::new(PacketType::Stat);
        for (name, size, given, want) in [
            ("small grows", 2, 5, 2),
            ("small shrinks", 5, 2, 2),
            ("large grows", large, large + 9, large),
            ("large shrinks", large, large - 9, large),
        ] {
            let packets = vec![stat("f", size as i64), end(), data(0, &vec![1; given]), data(0, b"")];
            let (files, _, fin) = run(packets).unwrap();
            assert_eq!((files[0].1.len(), fin), (want, true), "{name}");
        }
    }

    #[test]
    fn hostile_packets_are_refused() {
        for (name, packets) in [
            ("up", vec![stat("../x", 1)]),
            ("up inside", vec![stat("a/../../x", 1)]),
            ("absolute", vec![stat("/etc/passwd", 1)]),
            ("empty", vec![stat("", 1)]),
            ("dot", vec![stat("./a", 1)]),
            ("nul", vec![stat("a\0b", 1)]),
            ("long", vec![stat(&"x/".repeat(3000), 1)]),
            ("data of nothing", vec![data(3, b"x")]),
            ("data not asked for", vec![stat("d", 0), stat("e", 1), data(7, b"x")]),
            ("twice", vec![stat("a", 1), stat("b", 300 << 10), data(0, b"x"), data(0, b""), data(0, b"y")]),
            ("fin before the end", vec![Packet::new(PacketType::Fin)]),
            ("error", vec![Packet { data: Bytes::from_static(b"boom"), ..Packet::new(PacketType::Err) }]),
        ] {
            assert!(run(packets).is_err(), "{name}");
        }
    }

    #[test]
    fn little_is_asked_for_at_once() {
        let mut transfer = Transfer::default();
        let mut first = Vec::new();
        for number in 0..500 {
            first.extend(asked(&transfer.take(stat(&format!("f{number:03}"), 1)).unwrap()));
        }
        assert_eq!(first.len(), AHEAD.0);
        let mut total = first.len();
        let mut id = 0;
        while id < 500 {
            transfer.take(data(id, b"x")).map(|out| total += asked(&out).len()).unwrap();
            transfer.take(data(id, b"")).map(|out| total += asked(&out).len()).unwrap();
            id += 1;
        }
        assert_eq!(total, 500);
    }
}
