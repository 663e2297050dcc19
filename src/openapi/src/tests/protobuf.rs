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

/// Of each document of version 3 in both formats.
#[test]
fn protobuf_of_version_3_has_what_json_has() {
    let names = |of: &Value| -> BTreeSet<String> {
        of.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
    };
    for (path, json) in all_of_version_3() {
        let protobuf = inflate(BUILT_IN.version_3_protobuf(&path).unwrap().packed());
        assert_eq!(only(&protobuf, 1), b"3.0.0");
        assert_eq!(only(only(&protobuf, 2), 6), json["info"]["version"].as_str().unwrap().as_bytes());
        let (paths, schemas) = (only(&protobuf, 4), only(only(&protobuf, 5), 1));
        assert_eq!(pair_names(paths, 1), names(&json["paths"]), "{path}");
        for pair in messages(paths, 1) {
            let (name, item) = (std::str::from_utf8(only(pair, 1)).unwrap(), only(pair, 2));
            let want = &json["paths"][name];
            let methods = ["get", "put", "post", "delete", "options", "head", "patch"].into_iter().zip(4..);
            for (method, field) in methods {
                let operation = messages(item, field).next();
                assert_eq!(operation.is_some(), want[method].is_object(), "{method} {name}");
                let Some(operation) = operation else { continue };
                let want = &want[method];
                assert_eq!(
                    messages(operation, 6).count(),
                    want["parameters"].as_array().unwrap().len(),
                    "{name}"
                );
                assert_eq!(pair_names(only(operation, 8), 2), names(&want["responses"]), "{name}");
                let body = messages(operation, 7).next().map(|body| pair_names(only(only(body, 1), 2), 1));
                assert_eq!(
                    body.unwrap_or_default(),
                    names(&want["requestBody"]["content"]),
                    "{method} {name}"
                );
            }
        }
        assert_eq!(pair_names(schemas, 1), names(&json["components"]["schemas"]), "{path}");
        let wanted = json["components"]["schemas"].as_object().unwrap();
        for (pair, (name, want)) in messages(schemas, 1).zip(wanted) {
            let schema = only(only(pair, 2), 1);
            let properties = messages(schema, 31).next().map(|all| pair_names(all, 1)).unwrap_or_default();
            assert_eq!(properties, names(&want["properties"]), "{name}");
            let description =
                messages(schema, 34).next().map(|text| String::from_utf8(text.to_vec()).unwrap());
            assert_eq!(description.as_deref(), want["description"].as_str(), "{name}");
        }
    }
}

/// Each field of that number, of a message or a text.
pub(super) fn messages(message: &[u8], field: u64) -> impl Iterator<Item = &[u8]> {
    let mut rest = message;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let key = varint(&mut rest);
            let value = match key & 7 {
                0 => {
                    varint(&mut rest);
                    &[]
                }
                kind @ (1 | 2) => {
                    let length = if kind == 1 { 8 } else { varint(&mut rest) as usize };
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
