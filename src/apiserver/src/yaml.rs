//! JSON as YAML in blocks, for people and for those who read nothing else. Read back by YAML 1.1 as by 1.2 it is the same value: Go's
//! reader and Python's take `yes`, `on` and `12:30` without quotes for something else than texts.

use serde_json::Value;
use std::fmt::Write as _;

pub(crate) const MEDIA_TYPE: &str = "application/yaml";

/// Without quotes these are booleans and nothing, in any case of their letters.
const WORDS: [&str; 9] = ["false", "n", "no", "null", "off", "on", "true", "y", "yes"];
/// A longer key has a line of its own: no reader looks further than 1024 characters for the colon.
const LONGEST_KEY: usize = 1000; // bytes

pub(crate) fn text(value: &Value) -> String {
    let mut out = String::new();
    put(&mut out, value, 0);
    out
}

/// From where the line is by now, which is `indent` from its start, to the end of a line.
fn put(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (index, (key, value)) in fields.iter().enumerate() {
                if index > 0 {
                    pad(out, indent);
                }
                put_key(out, key, indent);
                match value {
                    Value::Object(below) if !below.is_empty() => {
                        out.push('\n');
                        pad(out, indent + 2);
                        put(out, value, indent + 2);
                    }
                    Value::Array(below) if !below.is_empty() => {
                        out.push('\n');
                        pad(out, indent);
                        put(out, value, indent);
                    }
                    _ => {
                        out.push(' ');
                        put(out, value, indent);
                    }
                }
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    pad(out, indent);
                }
                out.push_str("- ");
                put(out, item, indent + 2);
            }
        }
        Value::String(text) => {
            put_text(out, text);
            out.push('\n');
        }
        // as JSON has them: `{}`, `[]`, numbers, `true`, `null`
        other => {
            out.push_str(&other.to_string());
            out.push('\n');
        }
    }
}

fn pad(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

fn put_key(out: &mut String, key: &str, indent: usize) {
    if key.len() > LONGEST_KEY {
        out.push_str("? ");
        put_text(out, key);
        out.push('\n');
        pad(out, indent);
    } else {
        put_text(out, key);
    }
    out.push(':');
}

/// Quoted as in JSON, where it is more than plain words.
fn put_text(out: &mut String, text: &str) {
    if is_plain(text) {
        out.push_str(text);
        return;
    }
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            // what YAML takes for no character, or for the end of a line
            c if c.is_control()
                || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}') =>
            {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Nothing that begins with a letter is a number or a time.
fn is_plain(text: &str) -> bool {
    let may_stand = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b' ' | b'-' | b'.' | b'/' | b'_');
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && !text.ends_with(' ')
        && text.bytes().all(may_stand)
        && !WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn blocks_stand_as_people_write_them() {
        let value = json!({
            "apiVersion": "v1",
            "items": [{"metadata": {"name": "a"}, "args": ["-c", "exit 0"]}, [["x"], {}], []],
            "on": {"a": null, "b": true, "c": 1.5},
        });
        let want = "apiVersion: v1\n\
            items:\n\
            - args:\n  - \"-c\"\n  - exit 0\n  metadata:\n    name: a\n\
            - - - x\n  - {}\n\
            - []\n\
            \"on\":\n  a: null\n  b: true\n  c: 1.5\n";
        assert_eq!(text(&value), want);
    }

    #[test]
    fn texts_that_are_something_else_without_quotes_have_them() {
        for (given, want) in [
            ("ConfigMap", "ConfigMap\n"),
            ("app.kubernetes.io/name", "app.kubernetes.io/name\n"),
            ("yes", "\"yes\"\n"),
            ("Off", "\"Off\"\n"),
            ("12:30:45", "\"12:30:45\"\n"),
            ("2026-11-29T20:00:00Z", "\"2026-11-29T20:00:00Z\"\n"),
            ("1e3", "\"1e3\"\n"),
            ("~", "\"~\"\n"),
            ("", "\"\"\n"),
            ("a: b", "\"a: b\"\n"),
            ("a ", "\"a \"\n"),
            ("two\nlines\t\u{7f}", "\"two\\nlines\\t\\u007f\"\n"),
        ] {
            assert_eq!(text(&json!(given)), want, "{given:?}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let long = "k".repeat(2000);
        let value = json!({
            "data": {"a": "\u{0}\u{85}\u{2028}\u{feff}ü😀", "b": "#!/bin/sh\n\n  x: y\n", "": "'", "f:a": {}, "- b": [], long.as_str(): {"x": [1]}},
            "list": [[1, [2, {"a": []}]], {"b": [{"c": {"d": -1}}]}, "null", null, "0x1f", ".5", "=", "<<", "!x", "&x", "*x", "%x", "@x", "`x"],
        });
        let written = text(&value);
        assert_eq!(serde_norway::from_str::<Value>(&written).unwrap(), value, "{written}");
    }
}
