//! What a strategic merge patch asks of a schema.

use crate::{Merge, Schema};
use api::patch::Schema as MergeKeys;

impl MergeKeys for Schema {
    fn merge_key(&self, path: &[&str]) -> Option<Option<&'static str>> {
        match self.at(path)?.merge.as_ref()? {
            Merge::Values => Some(None),
            Merge::By(key) => Some(Some(key)),
        }
    }
}
