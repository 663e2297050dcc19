//! Gnostic's messages, read back.

use super::*;

/// Of both formats of version 2, as a client that knows gnostic's messages reads them.
#[test]
fn protobuf_has_what_json_has() {
    let json = json_of(BUILT_IN.version_2());
    let protobuf = inflate(BUILT_IN.version_2_protobuf().packed());
    let names = |of: &Value| of.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
    let (paths, definitions) = (only(&protobuf, 8), only(&protobuf, 9));
    assert_eq!(pair_names(paths, 2), names(&json["paths"]));
    assert_eq!(pair_names(definitions, 1), names(&json["definitions"]));
    for (pair, (name, want)) in messages(definitions, 1).zip(json["definitions"].as_object().unwrap()) {
        let schema = only(pair, 2);
        let properties = messages(schema, 25).next().map(|all| pair_names(all, 1)).unwrap_or_default();
        assert_eq!(properties, names(&want["properties"]), "{name}");
        let description = messages(schema, 4).next().map(|text| String::from_utf8(text.to_vec()).unwrap());
        assert_eq!(description.as_deref(), want["description"].as_str(), "{name}");
    }
}

/// Each field of that number, of a message or a text.
fn messages(message: &[u8], field: u64) -> impl Iterator<Item = &[u8]> {
    let mut rest = message;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let key = varint(&mut rest);
            let value = match key & 7 {
                0 => {
                    varint(&mut rest);
                    &[]
                }
                2 => {
                    let length = varint(&mut rest) as usize;
                    let (value, after) = rest.split_at(length);
                    rest = after;
                    value
                }
                other => panic!("wire type {other}"),
            };
            if key >> 3 == field {
                return Some(value);
            }
        }
        None
    })
}

fn varint(rest: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let (first, after) = rest.split_first().expect("a message is whole");
        *rest = after;
        value |= u64::from(first & 0x7f) << shift;
        if *first < 0x80 {
            break;
        }
    }
    value
}

pub(super) fn only(message: &[u8], field: u64) -> &[u8] {
    messages(message, field).next().unwrap_or_else(|| panic!("no field {field}"))
}

pub(super) fn pair_names(message: &[u8], field: u64) -> BTreeSet<String> {
    messages(message, field).map(|pair| String::from_utf8(only(pair, 1).to_vec()).unwrap()).collect()
}
