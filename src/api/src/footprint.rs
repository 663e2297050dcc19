//! About how much memory an object takes that is decoded into its type, counted in its JSON without decoding it.
//!
//! A type of Kubernetes is as large as all that it may say: an element `{"name":"v0"}` of a pod's `volumes` has 13 bytes of JSON and
//! three thousand of memory, so that JSON's length says nothing of it. What is large are elements of lists, each for itself; they
//! are counted by the name of their list. The rest, a text or an entry of a map, has about the size of its allocations.

use std::ops::Range;

/// A value: its place in a list or a map, and the allocation behind it.
const VALUE: usize = 64;
/// A label is kept twice, with what everybody asks of an object and in the object, in maps of two texts each.
const LABEL: usize = 256;
/// An element of any other list. Most are smaller, and few are larger.
const ELEMENT: usize = 240;
/// Elements that are larger: those of lists, and of maps from names to schemas. The sizes are those of the types; a test of the
/// crate `kinds`, which knows them, holds the table against them.
const ELEMENTS: [(&[u8], usize); 19] = [
    (b"allOf", 904),
    (b"anyOf", 904),
    (b"containerStatuses", 752),
    (b"containers", 2336),
    (b"currentMetrics", 688),
    (b"endpoints", 352),
    (b"env", 360),
    (b"ephemeralContainerStatuses", 752),
    (b"ephemeralContainers", 2360),
    (b"initContainerStatuses", 752),
    (b"initContainers", 2336),
    (b"metrics", 808),
    (b"oneOf", 904),
    (b"properties", 928),
    (b"sources", 544),
    (b"versions", 1112),
    (b"volumeClaimTemplates", 1056),
    (b"volumes", 3280),
    (b"webhooks", 440),
];

/// What one look at an object's JSON tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Survey {
    /// See [`footprint`].
    pub(crate) footprint: usize,
    /// Where the list `metadata.managedFields` stands, with its brackets; empty where there is none.
    pub(crate) managed_fields: Range<u32>,
}

impl Survey {
    /// Of the same JSON where so many bytes were put in, or taken out, at a place that is in no list.
    pub(crate) fn shifted(mut self, at: usize, by: isize) -> Survey {
        let Range { start, end } = &mut self.managed_fields;
        if (*start as usize) > at {
            *start = (*start as isize + by) as u32;
            *end = (*end as isize + by) as u32;
        }
        self
    }
}

/// In bytes. `json` is well-formed; of what is not, some number comes back.
///
/// What `metadata.managedFields` has is not counted: whoever keeps decoded objects leaves it out.
pub fn footprint(json: &[u8]) -> usize {
    survey(json).footprint
}

pub(crate) fn survey(json: &[u8]) -> Survey {
    let (mut sum, mut managed_fields) = (0, 0..0);
    let mut open: Vec<Open> = Vec::new();
    let (mut name, mut is_named, mut in_metadata) = (&b""[..], false, false);
    let mut at = 0;
    while let Some(byte) = json.get(at) {
        match byte {
            b'"' => {
                let length = length_of_string(&json[at + 1..]);
                name = &json[at + 1..][..length];
                at += length + 1;
            }
            b':' => is_named = true,
            b'{' | b'[' => {
                let name = if is_named { name } else { &b""[..] };
                if *byte == b'[' && open.len() == 2 && in_metadata && name == b"managedFields" {
                    let end = at + length_of_list(&json[at..]);
                    // what is larger than any object that is stored is looked at whole
                    managed_fields = u32::try_from(end).map_or(0..0, |end| at as u32..end);
                    at = end;
                    continue;
                }
                if open.len() == 1 {
                    in_metadata = name == b"metadata";
                }
                let in_parent = open.last().map_or(0, |parent| parent.object);
                sum += VALUE + if *byte == b'{' { in_parent } else { 0 };
                open.push(Open::new(name, *byte == b'['));
                is_named = false;
            }
            b'}' | b']' => {
                open.pop();
            }
            b',' => {
                sum += open.last().map_or(VALUE, |parent| parent.value);
                is_named = false;
            }
            _ => {}
        }
        at += 1;
    }
    Survey { footprint: sum, managed_fields }
}

/// A list or an object that is not closed yet: what an object directly in it takes, and what any value does.
struct Open {
    object: usize,
    value: usize,
}

impl Open {
    fn new(name: &[u8], is_list: bool) -> Self {
        let value = if name == b"labels" && !is_list { LABEL } else { VALUE };
        Open { object: of_objects_in(name, is_list), value }
    }
}

fn of_objects_in(name: &[u8], is_list: bool) -> usize {
    if !is_list && name != b"properties" {
        return 0;
    }
    ELEMENTS.iter().find(|(element, _)| *element == name).map_or(ELEMENT, |(_, size)| *size)
}

/// Up to its closing quotation mark, which `text` has not passed yet.
fn length_of_string(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(found) =
        text.get(at..).and_then(|rest| rest.iter().position(|b| matches!(b, b'"' | b'\\')))
    {
        if text[at + found] == b'"' {
            return at + found;
        }
        at += found + 2;
    }
    text.len()
}

/// From its opening bracket to behind its closing one.
fn length_of_list(json: &[u8]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(byte) = json.get(at) {
        match byte {
            b'"' => at += length_of_string(&json[at + 1..]) + 1,
            b'[' | b'{' => depth += 1,
            b']' | b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
    json.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_count_by_their_list_and_values_by_their_number() {
        let cases = [
            ("{}", VALUE),
            (r#"{"a":"b","c":1}"#, 2 * VALUE),
            (r#"{"spec":{"volumes":[{"name":"a"},{"name":"b"}]}}"#, 6 * VALUE + 2 * 3280),
            (r#"{"other":[{},{},{}]}"#, 7 * VALUE + 3 * ELEMENT),
            (r#"{"texts":["{[","a\"b","\\"]}"#, 4 * VALUE),
            // an object in an object is a part of it
            (r#"{"a":{"b":{"c":{}}}}"#, 4 * VALUE),
            (r#"{"properties":{"a":{},"b":{}}}"#, 5 * VALUE + 2 * 928),
            (r#"{"volumes":{"a":{}}}"#, 3 * VALUE),
            (r#"{ "volumes" : [ { } ] }"#, 3 * VALUE + 3280),
            // the first stands for the map
            (r#"{"metadata":{"labels":{"a":"b","c":"d"},"name":"x"}}"#, 4 * VALUE + LABEL),
            // a text that looks like a name
            (r#"{"a":["volumes",[{}]]}"#, 5 * VALUE + ELEMENT),
            (r#"{"metadata":{"managedFields":[{"f:a":{"f:b":{}}},{}],"name":"x"}}"#, 3 * VALUE),
            (r#"{"spec":{"managedFields":[{}]}}"#, 4 * VALUE + ELEMENT),
            (r#"{"metadata":{"managedFields":["]\"]"]}}"#, 2 * VALUE),
        ];
        for (json, want) in cases {
            assert_eq!(footprint(json.as_bytes()), want, "{json}");
        }
    }

    #[test]
    fn where_managed_fields_stand() {
        let cases = [
            (r#"{"metadata":{"name":"x"}}"#, ""),
            (r#"{"metadata":{"managedFields":[{"a":["]"]}],"name":"x"}}"#, r#"[{"a":["]"]}]"#),
            (r#"{"spec":{"managedFields":[{}]}}"#, ""),
            (r#"{"metadata":{"labels":{"managedFields":"[]"}}}"#, ""),
        ];
        for (json, want) in cases {
            let Range { start, end } = survey(json.as_bytes()).managed_fields;
            assert_eq!(&json[start as usize..end as usize], want, "{json}");
        }
    }

    #[test]
    fn what_is_no_json_has_some_size_and_ends() {
        for json in ["\"", "\"\\", "[[[", "]]]", "{\"metadata\":{\"managedFields\":[\"", "", "\u{1}"] {
            assert!(footprint(json.as_bytes()) <= 16 * VALUE, "{json}");
        }
    }
}
