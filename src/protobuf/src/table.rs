//! The types of `schema`'s table as messages, made when the first client asks for protobuf.

use field::Field;
use std::collections::HashMap;
use std::sync::LazyLock;

pub(crate) mod field {
    use crate::special::Special;
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
}

pub(crate) type Message = Vec<field::Field>;

pub(crate) struct Table(HashMap<&'static str, Message>);

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let messages = schema::table::names().filter_map(|name| {
        let fields: Message = schema::table::fields(name)?.iter().filter_map(Field::of).collect();
        Some((name, fields))
    });
    Table(messages.collect())
});

impl Table {
    pub(crate) fn get() -> &'static Table {
        &TABLE
    }

    pub(crate) fn message(&self, name: &str) -> Option<&Message> {
        self.0.get(name)
    }

    /// Options and statuses are of every group. Definitions do not travel: of a message without fields nothing would arrive.
    pub(crate) fn of_kind(&self, api_version: &str, kind: &str) -> Option<&Message> {
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        let named = schema::table::type_of(group, version, kind).and_then(|name| self.message(name));
        named.or_else(|| self.message(&format!("meta.v1.{kind}"))).filter(|fields| !fields.is_empty())
    }

    #[cfg(test)]
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, &Message)> {
        self.0.iter().map(|(name, message)| (*name, message))
    }
}
