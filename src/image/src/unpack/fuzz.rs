//! Layers that chance made: whatever comes, the unpacker ends, says why, and stays inside; what it takes comes back as it
//! was. The seeds are fixed, so that a failure can be had again.

use super::tests::rebuilt;
use crate::Digest;
use crate::testing::{Tar, unpack};
use tar::EntryType;

const ROUNDS: u64 = 600;

/// xorshift64*
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }

    fn of<'t, T: ?Sized>(&mut self, all: &[&'t T]) -> &'t T {
        all[self.below(all.len())]
    }
}

/// Entries that are each possible, in an order that nobody planned.
fn layer(chance: &mut Chance, outside: &str) -> Vec<u8> {
    let climbing = format!("../../../../../../../..{outside}");
    let names = [
        "a",
        "a/b",
        "a/b/c",
        "/a",
        "./d",
        "l",
        "l/x",
        "l/x/y",
        "..",
        "a/../b",
        ".wh.a",
        "a/.wh..wh..opq",
        "d/",
        "",
    ];
    let targets = ["a", "/a", "..", "l", "a/b", outside, &climbing, ""];
    let kinds = [
        EntryType::Regular,
        EntryType::Regular,
        EntryType::Directory,
        EntryType::Symlink,
        EntryType::Link,
        EntryType::Fifo,
        EntryType::GNUSparse,
        EntryType::XGlobalHeader,
        EntryType::new(b'?'),
    ];
    let mut tar = Tar::new();
    for _ in 0..chance.below(12) {
        let (name, target) = (chance.of(&names), chance.of(&targets));
        let kind = kinds[chance.below(kinds.len())];
        if chance.below(6) == 0 {
            let keys = [
                "path",
                "size",
                "linkpath",
                "uid",
                "mtime",
                "GNU.sparse.map",
                "GNU.sparse.size",
                "SCHILY.xattr.user.a",
            ];
            let value = chance.of(&[name, target, "7", "-1", "9,9", "99999999999999999999"]).to_owned();
            tar = tar.pax(&[(chance.of(&keys), value.as_bytes())]);
        }
        let content = vec![b'c'; if kind == EntryType::Regular { chance.below(1500) } else { 0 }];
        tar = tar.with(kind, name, target.get(..99).unwrap_or(target), &content, |_| {});
    }
    tar.bytes()
}

/// Some bytes are not what they were; half of the headers still have a checksum that is right.
fn spoil(chance: &mut Chance, tar: &mut Vec<u8>) {
    for _ in 0..chance.below(4) {
        let header = chance.below(tar.len() / 512) * 512;
        let at = header + chance.below(512);
        tar[at] = chance.below(256) as u8;
        if chance.below(2) == 0 {
            tar[header + 148..header + 156].fill(b' ');
            let sum: u32 = tar[header..header + 512].iter().map(|byte| u32::from(*byte)).sum();
            tar[header + 148..header + 156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
    if chance.below(8) == 0 {
        tar.truncate(chance.below(tar.len()));
    }
}

#[test]
fn chance_finds_no_way_out() {
    let outside = tempfile::TempDir::new().unwrap();
    let shown = outside.path().display().to_string();
    let mut taken = 0;
    for seed in 1..=ROUNDS {
        let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut tar = layer(&mut chance, &shown);
        spoil(&mut chance, &mut tar);
        match unpack(&tar) {
            Ok(unpacked) => {
                taken += 1;
                assert_eq!(unpacked.diff_id, Digest::of(&tar), "seed {seed}");
                assert!(rebuilt(&unpacked) == tar, "seed {seed}: it does not come back");
            }
            Err(why) => assert!(!why.to_string().is_empty(), "seed {seed}"),
        }
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0, "seed {seed} got out");
    }
    assert!(taken > ROUNDS / 20, "most were refused for nothing: {taken}");
}
