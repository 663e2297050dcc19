//! The types of `schema`'s table as messages, made when the first client asks for protobuf.

use crate::field::Field;
use std::collections::HashMap;
use std::sync::LazyLock;

pub(crate) type Message = Vec<Field>;

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
