//! A build's result as an LLB definition: the client's library carries it to another build without looking into it. It is
//! one source, of a kind that only this builder knows.

use crate::proto::ops::{Definition, Input, Op, OpMetadata, SourceOp};
use image::Digest;
use prost::Message;
use std::collections::HashMap;

const SCHEME: &str = "monopod-image://";

pub(crate) fn definition(image: &str) -> Definition {
    let source = SourceOp { identifier: format!("{SCHEME}{image}"), attrs: HashMap::new() };
    let source = Op { source: Some(source), ..Op::default() }.encode_to_vec();
    let digest = Digest::of(&source).to_string();
    let input = Input { digest: digest.clone(), index: 0 };
    let last = Op { inputs: vec![input], ..Op::default() }.encode_to_vec();
    let metadata = [(digest, OpMetadata::default()), (Digest::of(&last).to_string(), OpMetadata::default())];
    Definition { def: vec![source, last], metadata: metadata.into() }
}

/// The image that a definition of ours means.
pub(crate) fn image_of(definition: &Definition) -> Option<String> {
    let sources = definition.def.iter().filter_map(|bytes| Op::decode(&bytes[..]).ok()?.source);
    let mut images = sources.filter_map(|source| Some(source.identifier.strip_prefix(SCHEME)?.to_owned()));
    images.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let given = definition("sha256:abc");
        assert_eq!(image_of(&given).as_deref(), Some("sha256:abc"));
        // the client looks up each operation's metadata by the digest of its bytes, and the last one's input among them
        let last = Op::decode(&given.def[1][..]).unwrap();
        assert!(given.metadata.contains_key(&last.inputs[0].digest));
        assert_eq!(last.inputs[0].digest, Digest::of(&given.def[0]).to_string());
        assert_eq!(image_of(&Definition::default()), None);
    }
}
