//! For `fuzz/fuzz_targets/nft.rs`.

use crate::{conntrack, nft, nft_cli};

/// What the kernel answers over netlink, and what `nft` prints.
pub fn replies(bytes: &[u8]) {
    for element in nft::fuzzing::messages(bytes) {
        conntrack::forgets_client(&element, &Default::default());
    }
    if let Ok(listed) = std::str::from_utf8(bytes)
        && let Ok(chains) = nft_cli::parse(listed)
    {
        nft_cli::notes(&chains, "monopod");
    }
}
