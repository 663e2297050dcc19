//! A field of a message, as a row of `schema`'s table has it.

use schema::rows::Row;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Many {
    One,
    Repeated,
    /// Of strings to this type.
    Map,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    String,
    Bytes,
    /// Both widths travel as 64 bits with a sign.
    Integer,
    Bool,
    Double,
    Special(Special),
    Message(&'static str),
}

/// Types whose JSON is not that of their fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Special {
    /// RFC 3339, in whole seconds.
    Time,
    /// RFC 3339, in microseconds.
    MicroTime,
    Quantity,
    IntOrString,
    /// JSON in bytes: a raw extension, a managed field's set.
    Json,
    /// A list of strings that could be absent.
    Strings,
}

impl Special {
    pub(crate) fn named(of: &str) -> Option<Self> {
        Some(match of {
            "time" => Special::Time,
            "microtime" => Special::MicroTime,
            "quantity" => Special::Quantity,
            "intorstring" => Special::IntOrString,
            "raw" | "any" => Special::Json,
            "[]string" => Special::Strings,
            _ => return None,
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) number: u32,
    pub(crate) json: &'static str,
    pub(crate) many: Many,
    pub(crate) of: Type,
    /// Go writes zero where nothing was set, unless it is a pointer there.
    pub(crate) keeps_zero: bool,
}

impl Field {
    /// The message's fields are the object's own.
    pub(crate) fn is_inline(&self) -> bool {
        self.json == "~"
    }

    /// `None` for what does not travel.
    pub(crate) fn of(row: &Row<'static>) -> Option<Self> {
        let number = row.number?;
        let json = row.field;
        // lists of strings that Go gives a type of their own
        if (row.of, json) == ("meta.v1.APIResource", "verbs") {
            let of = Type::Special(Special::Strings);
            return Some(Field { number, json, many: Many::One, of, keeps_zero: true });
        }
        let (many, of) = match (row.items(), row.values()) {
            (Some(items), _) => (Many::Repeated, items),
            (_, Some(values)) => (Many::Map, values),
            _ => (Many::One, row.kind),
        };
        let of = match of {
            "string" => Type::String,
            "bytes" => Type::Bytes,
            "int32" | "int64" => Type::Integer,
            "bool" => Type::Bool,
            "double" => Type::Double,
            name => Special::named(name).map_or(Type::Message(name), Type::Special),
        };
        Some(Field { number, json, many, of, keeps_zero: row.is("zero") })
    }
}
