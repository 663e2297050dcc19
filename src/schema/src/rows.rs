//! The lines of `types.tsv`, read: also by what makes OpenAPI's definitions of them while the program is built.

/// One field of a type; what the columns are says the head of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row<'t> {
    pub of: &'t str,
    /// `-` for the type itself, `~` for a message whose fields are the type's own.
    pub field: &'t str,
    /// `None` where the field does not travel as protobuf.
    pub number: Option<u32>,
    /// `[]core.v1.Container`, `map[string]quantity`, `int32`
    pub kind: &'t str,
    facts: &'t str,
}

impl<'t> Row<'t> {
    fn parse(line: &'t str) -> Option<Self> {
        let mut columns = line.split('\t');
        let (of, field, number, kind) = (columns.next()?, columns.next()?, columns.next()?, columns.next()?);
        let facts = columns.next().unwrap_or_default();
        Some(Row { of, field, number: number.parse().ok(), kind, facts })
    }

    pub fn is(&self, fact: &str) -> bool {
        self.facts.split(' ').any(|known| known == fact)
    }

    /// What stands behind `fact=`.
    pub fn get(&self, fact: &str) -> Option<&'t str> {
        self.facts.split(' ').find_map(|known| known.strip_prefix(fact)?.strip_prefix('='))
    }

    /// The type of the items of a list.
    pub fn items(&self) -> Option<&'t str> {
        self.kind.strip_prefix("[]")
    }

    /// The type of the values of a map.
    pub fn values(&self) -> Option<&'t str> {
        self.kind.strip_prefix("map[string]")
    }
}

pub fn rows(text: &str) -> impl Iterator<Item = Row<'_>> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(Row::parse)
}
