//! How large a value of a schema may be: as its bounds say, or else as many as fit into one request (upstream's
//! `apiserver/pkg/cel/common/schemas.go` and `apiserver/pkg/cel/limits.go`).
//!
//! A bound counts where it stands at the node itself. One within its `allOf` holds as well, but upstream's declared types
//! (`SchemaDeclType`) do not look there, and a definition is to be taken or refused here as it is there.

use crate::types::{Place, Typing};
use schema::{Schema, Type};
use std::cell::RefCell;
use std::collections::HashMap;

/// The largest request that upstream takes.
const REQUEST: u64 = 3 * 1024 * 1024;
/// Without the brackets or the quotation marks around it.
const WITHIN_REQUEST: u64 = REQUEST - 2;
/// A character may have so many bytes.
const WIDEST_CHARACTER: u64 = 4;
/// The longest RFC 3339 has, with quotation marks.
const LONGEST_TIME: u64 = 32;
const DATE: u64 = 12;

/// Answers from the bounds of schemas. It remembers how small objects may be, as many ask for the same.
#[derive(Debug, Default)]
pub(crate) struct Sizes {
    least: RefCell<HashMap<*const Schema, u64>>,
}

impl Sizes {
    /// The most characters, bytes, items or entries that a value there has; 0 of what has none.
    pub(crate) fn most(&self, place: Place<'_>) -> u64 {
        let schema = match place {
            Place::Schema(schema) | Place::Resource(schema) => schema,
            Place::Text => return WITHIN_REQUEST,
            // upstream's type of a key has no bound, and so none is counted
            Place::Metadata | Place::Key => return 0,
        };
        let bounds = schema.bounds();
        let characters = || bounds.max_length.map(|most| most.saturating_mul(WIDEST_CHARACTER));
        match schema.kind {
            Type::IntOrString => characters().unwrap_or(WITHIN_REQUEST),
            Type::Array => bounds.max_items.unwrap_or_else(|| {
                let item = schema.items.as_deref().map_or(0, |item| self.least(Place::of(item)));
                WITHIN_REQUEST / (item + 1)
            }),
            Type::Object => match schema.additional.as_deref() {
                // a key, its quotation marks, a colon, a comma
                Some(value) => bounds
                    .max_properties
                    .unwrap_or_else(|| WITHIN_REQUEST / (self.least(Place::of(value)) + 6)),
                None => 0,
            },
            Type::String => match schema.format() {
                Some("byte") => bounds.max_length.unwrap_or(WITHIN_REQUEST),
                Some("date") => DATE,
                Some("date-time" | "duration") => LONGEST_TIME,
                _ => characters().unwrap_or_else(|| {
                    let longest = bounds.values.iter().filter_map(|value| value.as_str()).map(str::len).max();
                    match bounds.values.is_empty() {
                        true => WITHIN_REQUEST,
                        false => longest.unwrap_or(0) as u64,
                    }
                }),
            },
            _ => 0,
        }
    }

    /// The fewest bytes that a value there takes in JSON.
    pub(crate) fn least(&self, place: Place<'_>) -> u64 {
        let schema = match place {
            Place::Schema(schema) | Place::Resource(schema) => schema,
            Place::Metadata | Place::Text | Place::Key => return 2,
        };
        match schema.kind {
            Type::IntOrString | Type::Integer | Type::Number => 1,
            Type::Boolean => 4,
            Type::String => match schema.format() {
                Some("duration") => 3,
                Some("date") => DATE,
                Some("date-time") => 21,
                _ => 2,
            },
            Type::Object if schema.additional.is_none() => self.least_object(place, schema),
            _ => 2,
        }
    }

    /// What is required and not filled in by the server stands there, with its name, quotation marks, colon and comma.
    fn least_object(&self, place: Place<'_>, schema: &Schema) -> u64 {
        if let Some(known) = self.least.borrow().get(&std::ptr::from_ref(schema)) {
            return *known;
        }
        let required = |name: &String| {
            let below = match (place, name.as_str()) {
                // which no schema describes
                (Place::Resource(_), "apiVersion" | "kind" | "metadata") => {
                    place.field(name, Typing::Rules)?
                }
                _ => Place::of(schema.properties.get(name).filter(|below| below.default.is_none())?),
            };
            below.ty(Typing::Rules)?;
            Some(name.len() as u64 + self.least(below) + 4)
        };
        let least = 2 + schema.bounds().required.iter().filter_map(required).sum::<u64>();
        self.least.borrow_mut().insert(schema, least);
        least
    }

    /// How often what is there fits into one request, where nothing bounds how often it is there.
    pub(crate) fn cardinality(&self, place: Place<'_>) -> u64 {
        REQUEST / (self.least(place) + 1)
    }
}
