//! How much one transaction takes.

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
