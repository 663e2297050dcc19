//! `messages.tsv`, read when the first client asks for protobuf.

use std::collections::HashMap;
use std::sync::LazyLock;

const MESSAGES: &str = include_str!("../messages.tsv");

pub(crate) mod field {
    use crate::special::Special;

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

        /// `4:immutable:bool!`
        pub(crate) fn parse(text: &'static str) -> Option<Self> {
            let mut parts = text.splitn(3, ':');
            let (number, json, of) = (parts.next()?.parse().ok()?, parts.next()?, parts.next()?);
            let (of, keeps_zero) = of.strip_suffix('!').map_or((of, false), |of| (of, true));
            let (many, of) = match (of.strip_prefix('*'), of.strip_prefix('%')) {
                (Some(of), _) => (Many::Repeated, of),
                (_, Some(of)) => (Many::Map, of),
                _ => (Many::One, of),
            };
            let of = match of {
                "string" => Type::String,
                "bytes" => Type::Bytes,
                "int32" | "int64" => Type::Integer,
                "bool" => Type::Bool,
                "double" => Type::Double,
                name => Special::named(name).map_or(Type::Message(name), Type::Special),
            };
            Some(Field { number, json, many, of, keeps_zero })
        }
    }
}

pub(crate) type Message = Vec<field::Field>;

pub(crate) struct Table(HashMap<&'static str, Message>);

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let lines = MESSAGES.lines().filter(|line| !line.starts_with('#'));
    let messages = lines
        .filter_map(|line| line.split_once('\t'))
        .map(|(name, fields)| (name, fields.split_whitespace().filter_map(field::Field::parse).collect()));
    Table(messages.collect())
});

impl Table {
    pub(crate) fn get() -> &'static Table {
        &TABLE
    }

    pub(crate) fn message(&self, name: &str) -> Option<&Message> {
        self.0.get(name)
    }

    /// Options and statuses are of every group.
    pub(crate) fn of_kind(&self, api_version: &str, kind: &str) -> Option<&Message> {
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("core", api_version));
        let group = group.split('.').next().unwrap_or_default();
        self.message(&format!("{group}.{version}.{kind}"))
            .or_else(|| self.message(&format!("meta.v1.{kind}")))
    }

    #[cfg(test)]
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, &Message)> {
        self.0.iter().map(|(name, message)| (*name, message))
    }
}
