//! The hash by which a Deployment tells its ReplicaSets apart.

use k8s_openapi::api::core::v1::PodTemplateSpec;

pub(crate) const LABEL: &str = "pod-template-hash";
/// Upstream's safe letters: no vowels, nothing that is taken for another.
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// Stable for the same template; `collisions` makes another where a name is taken.
pub(crate) fn of(template: &PodTemplateSpec, collisions: i32) -> String {
    let json = serde_json::to_vec(template).unwrap_or_default();
    let salt = collisions.to_le_bytes();
    let seeded = json.iter().chain(salt.iter().filter(|_| collisions != 0));
    // FNV-1a, 32 bits, as upstream hashes
    let hash = seeded.fold(0x811c_9dc5u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    hash.to_string().bytes().map(|digit| LETTERS[usize::from(digit) % LETTERS.len()] as char).collect()
}
