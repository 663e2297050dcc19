//! For `fuzz/fuzz_targets/nft.rs`.

use crate::{nft, program, stale};

/// What the kernel answers over netlink, and what `nft` prints.
pub fn replies(bytes: &[u8]) {
    for element in nft::fuzzing::messages(bytes) {
        stale::forgets_client(&element, &Default::default());
    }
    if let Ok(listed) = std::str::from_utf8(bytes)
        && let Ok(chains) = program::parse(listed)
    {
        program::notes(&chains, "monopod");
    }
}
