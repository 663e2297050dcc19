//! Labels come with images, whose authors give them as many as they like. Where much tells of them at once, as a list of all images
//! does, there is an end: further labels are left out.

/// What a label takes in memory beside its text, in a map or as JSON.
const ENTRY: usize = 150;

/// Bytes that one takes.
pub(crate) fn size(name: &str, value: &str) -> usize {
    ENTRY + name.len() + value.len()
}

/// Bytes that are left for labels.
pub(crate) struct LabelBudget(usize);

impl LabelBudget {
    pub(crate) const fn of(bytes: usize) -> Self {
        LabelBudget(bytes)
    }

    /// Whether there is room for it; then it is taken.
    pub(crate) fn takes(&mut self, name: &str, value: &str) -> bool {
        match self.0.checked_sub(size(name, value)) {
            Some(left) => {
                self.0 = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_have_the_room_that_there_is() {
        for (name, room, labels, want) in [
            ("enough", 1000, &[("a", "b"), ("c", "d")][..], &["a", "c"][..]),
            ("just enough", ENTRY + 2, &[("a", "b")], &["a"]),
            ("for all but a long one", 2 * (ENTRY + 2), &[("a", "b"), ("c", "dd"), ("e", "f")], &["a", "e"]),
            ("for none", ENTRY, &[("a", "b")], &[]),
        ] {
            let mut budget = LabelBudget::of(room);
            let taken = labels.iter().filter(|(name, value)| budget.takes(name, value));
            let taken: Vec<&str> = taken.map(|(name, _)| *name).collect();
            assert_eq!(taken, want, "{name}");
        }
    }
}
