//! A sum that is divided among many by max-min fairness. Pure.

/// What is left, and among how many. Whoever wants less than others comes first: what he leaves is shared among those who
/// come after him. Nobody has less than `total` divided by their number, in whatever order they come.
#[derive(Debug, Clone, Copy)]
pub struct Shares {
    left: usize,
    takers: usize,
}

impl Shares {
    pub fn new(total: usize, takers: usize) -> Self {
        Shares { left: total, takers }
    }

    /// What the next one may take.
    pub fn share(&self) -> usize {
        self.left / self.takers.max(1)
    }

    /// He takes so much, and the others share the rest.
    pub fn take(&mut self, taken: usize) {
        self.left = self.left.saturating_sub(taken);
        self.takers = self.takers.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_has_less_than_his_share() {
        for (name, wanted, want) in [
            ("all have room", &[10, 20, 30][..], &[10, 20, 30][..]),
            ("one wants all", &[10, 20, 1000], &[10, 20, 70]),
            ("all want all", &[1000, 1000, 1000], &[33, 33, 34]),
            ("the largest came first", &[1000, 10, 20], &[33, 10, 20]),
        ] {
            let mut shares = Shares::new(100, wanted.len());
            let mut given = Vec::new();
            for one in wanted {
                let taken = shares.share().min(*one);
                shares.take(taken);
                given.push(taken);
            }
            assert_eq!(given, want, "{name}");
        }
        assert_eq!(Shares::new(100, 0).share(), 100, "nobody shares it");
    }
}
