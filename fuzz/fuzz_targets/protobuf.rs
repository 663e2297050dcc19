//! A client's protobuf: refused in words, or an object that can be sent back and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // without its first bytes nothing gets far
    let mut body = b"k8s\0".to_vec();
    body.extend_from_slice(bytes);
    if let Ok(object) = protobuf::decode(&body, 10_000)
        && let Ok(again) = protobuf::encode(&object)
    {
        protobuf::decode(&again, usize::MAX).expect("what was written can be read");
    }
});
