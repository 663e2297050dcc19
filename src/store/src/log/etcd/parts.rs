//! What etcd takes at once, and how what is larger is cut.

use ::etcd::Op;
use std::collections::BTreeMap;

/// etcd's own limit is 128 (`--max-txn-ops`), with those that are not about objects.
pub(super) const MOST_OPS: usize = 120;
/// etcd's own limit for a request is 1.5 MiB (`--max-request-bytes`).
const MOST_BYTES: usize = 1 << 20;
/// A single object may fill a request, beside its key, the two comparisons and the record of the state.
pub(super) const LARGEST_OBJECT: usize = (3 << 19) - (16 << 10);

/// What keys are to become: their values, or gone.
pub(super) type Batch = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

pub(super) fn op((key, value): (Vec<u8>, Option<Vec<u8>>)) -> Op {
    match value {
        Some(value) => Op::put(key, value),
        None => Op::delete(key),
    }
}

/// In one transaction.
pub(super) fn fits(ops: &[Op]) -> bool {
    ops.len() <= 1 || (ops.len() <= MOST_OPS && ops.iter().map(Op::weight).sum::<usize>() <= MOST_BYTES)
}

/// Each as large as one transaction takes it.
pub(super) fn in_parts(ops: impl IntoIterator<Item = Op>) -> Vec<Vec<Op>> {
    let mut parts: Vec<Vec<Op>> = Vec::new();
    let mut weight = 0;
    for op in ops {
        weight += op.weight();
        match parts.last_mut() {
            Some(part) if part.len() < MOST_OPS && weight <= MOST_BYTES => part.push(op),
            _ => {
                weight = op.weight();
                parts.push(vec![op]);
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_as_large_as_a_transaction_takes_them_and_together_all() {
        let of = |count: usize, bytes: usize| -> Vec<Op> {
            (0..count).map(|number| Op::put(format!("{number}").into_bytes(), vec![b'x'; bytes])).collect()
        };
        for (name, ops, want) in [
            ("nothing", of(0, 0), 0),
            ("one that is larger than a part", of(1, LARGEST_OBJECT), 1),
            ("many small ones", of(1000, 10), 9),
            ("few large ones", of(5, MOST_BYTES - 100), 5),
            ("some of half the size", of(6, MOST_BYTES / 2 - 100), 3),
        ] {
            assert_eq!(fits(&ops), want <= 1, "{name}");
            let parts = in_parts(ops.clone());
            assert_eq!(parts.len(), want, "{name}");
            assert!(parts.iter().all(|part| fits(part)), "{name}");
            assert_eq!(parts.concat(), ops, "{name}");
        }
    }
}
