//! Where the walk stands, and what it has found: places as a client reads them, and types as Go names them.

use super::{Checked, WrongType};
use crate::Schema;

/// So many unknown and doubled fields are told; upstream's decoder gathers as many.
pub(super) const MOST_FAULTS: usize = 100;
/// In bytes, of all of them but the last: each has the whole path, and of that a client makes up the keys of maps.
pub(super) const MOST_TOLD: usize = 64 << 10;

/// Whether a further one is told.
pub(crate) fn has_room(faults: &[String]) -> bool {
    faults.len() < MOST_FAULTS && faults.iter().map(String::len).sum::<usize>() < MOST_TOLD
}

/// One step from the root to where the walk stands.
pub(super) enum Step<'s> {
    Field(&'s str),
    Key(String),
    Index(usize),
}

pub(super) struct Walk<'s> {
    pub(super) path: Vec<Step<'s>>,
    pub(super) checked: Checked,
    pub(super) wrong: Option<WrongType>,
}

impl Walk<'_> {
    /// `spec.containers[0].image`
    fn place(&self, last: &str) -> String {
        let mut place = String::new();
        for step in &self.path {
            match step {
                Step::Index(index) => place.push_str(&format!("[{index}]")),
                Step::Field(name) => append(&mut place, name),
                Step::Key(key) => append(&mut place, key),
            }
        }
        append(&mut place, last);
        place
    }

    pub(super) fn fault(&mut self, what: &str, field: &str) {
        if has_room(&self.checked.faults) {
            let place = self.place(field);
            self.checked.faults.push(format!("{what} field \"{place}\""));
        }
    }

    /// Go names the innermost struct and the fields on the way, without indexes and keys of maps.
    pub(super) fn mistyped(&mut self, outer: &str, found: &str, schema: &Schema) {
        let mut place = String::new();
        for step in &self.path {
            if let Step::Field(name) = step {
                append(&mut place, name);
            }
        }
        let of = go_type(schema);
        let into = match place.as_str() {
            "" => "Go value".to_owned(),
            place => format!("Go struct field {}.{place}", outer.rsplit('.').next().unwrap_or(outer)),
        };
        self.wrong = Some(WrongType(format!("json: cannot unmarshal {found} into {into} of type {of}")));
    }
}

fn append(place: &mut String, step: &str) {
    if !place.is_empty() {
        place.push('.');
    }
    place.push_str(step);
}

/// `v1.Container`, `[]string`, `int32`, as the field is declared in Go.
fn go_type(schema: &Schema) -> String {
    fn named(name: &str) -> String {
        if let Some(items) = name.strip_prefix("[]") {
            return format!("[]{}", named(items));
        }
        if let Some(values) = name.strip_prefix("map[string]") {
            return format!("map[string]{}", named(values));
        }
        match name {
            "bytes" => "[]uint8".to_owned(),
            "double" => "float64".to_owned(),
            "quantity" => "resource.Quantity".to_owned(),
            // their decoders read the text first
            "time" | "microtime" | "duration" => "string".to_owned(),
            "intorstring" => "int32".to_owned(),
            "any" | "raw" => "interface {}".to_owned(),
            name => name.split_once('.').map_or(name, |(_, name)| name).to_owned(),
        }
    }
    named(schema.name)
}
