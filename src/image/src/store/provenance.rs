//! Which repositories have given a layer. A digest is no secret, and who names one has not shown that he may have what it is of:
//! with a manifest in a registry of his own, a configuration and layers that somebody else's credentials have brought would be his
//! image, without a byte of them. So a layer that came with credentials counts as there only for pulls from where it came. Another
//! repository of the same registry is asked whether it has the layer (that registry decides whose it is); from any other one the layer is
//! downloaded, as a foreign registry says of everything that it has it. containerd calls this `content_sharing_policy =
//! "isolated"`; KEP-2535 speaks of images only.

use serde::{Deserialize, Serialize};

/// Of one layer; further ones are asked, or bring the layer, with each pull.
const MOST_REPOSITORIES: usize = 100;

/// Who may have a layer without showing that he has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Provenance {
    /// It was built or loaded here, or some registry gave it to somebody without credentials.
    #[default]
    Anybody,
    /// With credentials, of these: `reg.example/team/app`.
    Repositories(Vec<String>),
}

impl Provenance {
    pub(crate) fn covers(&self, repository: &str) -> bool {
        match self {
            Provenance::Anybody => true,
            Provenance::Repositories(known) => known.iter().any(|one| one == repository),
        }
    }

    /// Whether it came from this registry, by whichever of its repositories.
    pub(super) fn is_of(&self, domain: &str) -> bool {
        match self {
            Provenance::Anybody => true,
            Provenance::Repositories(known) => {
                known.iter().any(|one| one.strip_prefix(domain).is_some_and(|path| path.starts_with('/')))
            }
        }
    }

    /// The layer has come from there as well.
    pub(super) fn extend(&mut self, from: Provenance) {
        match (self, from) {
            (Provenance::Anybody, _) => {}
            (own, Provenance::Anybody) => *own = Provenance::Anybody,
            (Provenance::Repositories(known), Provenance::Repositories(more)) => {
                let new: Vec<String> = more.into_iter().filter(|one| !known.contains(one)).collect();
                known.extend(new);
                known.truncate(MOST_REPOSITORIES);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(repositories: &[&str]) -> Provenance {
        Provenance::Repositories(repositories.iter().map(|one| (*one).to_owned()).collect())
    }

    #[test]
    fn a_layer_is_for_those_who_have_shown_that_they_have_it() {
        let (app, other) = ("reg.example/team/app", "reg.example/team/other");
        for (name, first, more, covered, registry) in [
            ("anybody's", Provenance::Anybody, None, &[app, other][..], true),
            ("of one", of(&[app]), None, &[app], true),
            ("of another registry", of(&["reg.example:5000/team/app"]), None, &[], false),
            ("whose name begins alike", of(&["reg.example.evil.test/team/app"]), None, &[], false),
            ("of a second one", of(&[app]), Some(of(&[other, app])), &[app, other], true),
            ("then without credentials", of(&[app]), Some(Provenance::Anybody), &[app, other], true),
            ("first without credentials", Provenance::Anybody, Some(of(&[app])), &[app, other], true),
        ] {
            let mut provenance = first;
            if let Some(more) = more {
                provenance.extend(more);
            }
            let found: Vec<&str> = [app, other].into_iter().filter(|one| provenance.covers(one)).collect();
            assert_eq!(found, covered, "{name}");
            assert_eq!(provenance.is_of("reg.example"), registry, "{name}");
        }
    }

    #[test]
    fn repositories_are_counted() {
        let mut provenance = of(&[]);
        for number in 0..150 {
            provenance.extend(Provenance::Repositories(vec![format!("reg.example/{number}")]));
        }
        assert!(provenance.covers("reg.example/0") && !provenance.covers("reg.example/149"));
        assert!(matches!(provenance, Provenance::Repositories(known) if known.len() == MOST_REPOSITORIES));
    }
}
