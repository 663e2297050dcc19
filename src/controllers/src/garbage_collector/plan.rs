//! What becomes of an object whose owners come and go: pure. Upstream's `attemptToDeleteItem`.

use super::graph::{Deletion, FOREGROUND, ORPHAN};
use api::Meta;
use cluster::Propagation;

/// What one owner reference leads to, by a look at the store: names are used again, so that only the uid tells whether
/// the owner is the one that is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OwnerState {
    /// It is there, and what it owns is meant to be.
    Solid,
    /// There is no such object, or another one with its name.
    Dangling,
    /// Its own deletion waits until its dependents are gone.
    WaitingForDependents,
    /// Nobody can say: its kind is not served (it may be served later), or the reference is none that can be followed
    /// (from an object of the whole cluster to one in a namespace).
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Keep,
    /// It has an owner that lives: only the references to these others go.
    DropOwners(Vec<String>),
    Delete(Propagation),
    /// Its dependents lose it as an owner; then its finalizer goes.
    Orphan,
    /// Its finalizer goes when its blocking dependents are gone.
    DeleteDependents,
}

/// `owners` has one state for each owner reference of `meta`.
pub(super) fn plan(meta: &Meta, owners: &[OwnerState], has_dependents: bool) -> Verdict {
    match Deletion::of(meta) {
        Deletion::Orphaning => return Verdict::Orphan,
        Deletion::DeletingDependents => return Verdict::DeleteDependents,
        // a deletion is one-way: it ends by itself
        Deletion::Plain => return Verdict::Keep,
        Deletion::NotAsked => {}
    }
    let is = |state: OwnerState| owners.contains(&state);
    if owners.is_empty() || is(OwnerState::Unknown) {
        return Verdict::Keep;
    }
    if is(OwnerState::Solid) {
        let gone = meta.owner_references.iter().zip(owners);
        let gone = gone.filter(|(_, state)| **state != OwnerState::Solid);
        let gone: Vec<String> = gone.map(|(owner, _)| owner.uid.clone()).collect();
        return if gone.is_empty() { Verdict::Keep } else { Verdict::DropOwners(gone) };
    }
    // what it owns goes before it, as it goes before its owner
    if is(OwnerState::WaitingForDependents) && has_dependents {
        return Verdict::Delete(Propagation::Foreground);
    }
    // a finalizer that is there already says what its user wanted
    let has = |finalizer: &str| meta.finalizers.iter().any(|f| f == finalizer);
    Verdict::Delete(match (has(ORPHAN), has(FOREGROUND)) {
        (true, _) => Propagation::Orphan,
        (_, true) => Propagation::Foreground,
        _ => Propagation::Background,
    })
}

#[cfg(test)]
mod tests {
    use super::OwnerState::{Dangling, Solid, Unknown, WaitingForDependents as Waiting};
    use super::*;
    use api::OwnerRef;

    fn owned(owners: usize, finalizers: &[&str], deleting: bool) -> Meta {
        let owner = |n| OwnerRef { uid: format!("{n}"), ..OwnerRef::default() };
        Meta {
            owner_references: (0..owners).map(owner).collect(),
            finalizers: finalizers.iter().map(|f| (*f).to_owned()).collect(),
            deletion_timestamp: deleting.then(|| "now".to_owned()),
            ..Meta::default()
        }
    }

    #[test]
    fn an_object_goes_when_no_owner_lives() {
        let delete = Verdict::Delete;
        let drop = |owners: &[&str]| Verdict::DropOwners(owners.iter().map(|o| (*o).to_owned()).collect());
        use Propagation::{Background, Foreground, Orphan};
        // (name, owners, dependents, finalizers, verdict)
        let cases = [
            ("no owner", vec![], false, vec![], Verdict::Keep),
            ("its owner lives", vec![Solid], true, vec![], Verdict::Keep),
            ("its owner is gone", vec![Dangling], true, vec![], delete(Background)),
            ("both are gone", vec![Dangling, Dangling], false, vec![], delete(Background)),
            ("one is gone", vec![Dangling, Solid], false, vec![], drop(&["0"])),
            ("one waits, another lives", vec![Waiting, Solid], false, vec![], drop(&["0"])),
            ("the same with dependents", vec![Solid, Waiting], true, vec![], drop(&["1"])),
            (
                "one waits, one is gone, one lives",
                vec![Waiting, Dangling, Solid],
                true,
                vec![],
                drop(&["0", "1"]),
            ),
            ("its owner waits", vec![Waiting], false, vec![], delete(Background)),
            ("its owner waits, and it owns", vec![Waiting], true, vec![], delete(Foreground)),
            (
                "one waits, one is gone, and it owns",
                vec![Dangling, Waiting],
                true,
                vec![],
                delete(Foreground),
            ),
            ("a kind that nobody serves", vec![Unknown], false, vec![], Verdict::Keep),
            ("unknown beside gone", vec![Dangling, Unknown], false, vec![], Verdict::Keep),
            ("unknown beside alive", vec![Waiting, Unknown, Solid], false, vec![], Verdict::Keep),
            ("it wants to orphan", vec![Dangling], true, vec![ORPHAN], delete(Orphan)),
            ("it wants the foreground", vec![Dangling], true, vec![FOREGROUND], delete(Foreground)),
            ("another's finalizer", vec![Dangling], true, vec!["example.com/x"], delete(Background)),
        ];
        for (name, owners, dependents, finalizers, want) in cases {
            let meta = owned(owners.len(), &finalizers, false);
            assert_eq!(plan(&meta, &owners, dependents), want, "{name}");
        }
    }

    #[test]
    fn a_deletion_that_has_begun_is_one_way() {
        // (name, finalizers, verdict); every owner is gone
        let cases = [
            ("nothing holds it", vec![], Verdict::Keep),
            ("another holds it", vec!["example.com/x"], Verdict::Keep),
            ("orphaning", vec![ORPHAN], Verdict::Orphan),
            ("in the foreground", vec![FOREGROUND], Verdict::DeleteDependents),
            ("both: orphaning is the gentler", vec![FOREGROUND, ORPHAN], Verdict::Orphan),
        ];
        for (name, finalizers, want) in cases {
            assert_eq!(plan(&owned(1, &finalizers, true), &[Dangling], true), want, "{name}");
        }
    }
}
