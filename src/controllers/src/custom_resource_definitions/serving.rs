//! What is served of all definitions: their kinds, made once for each generation, and no more than there is memory for. Whoever may
//! write definitions could end the daemon otherwise, and again at each start.

use super::outline::Outline;
use super::{name_of, own_version};
use apiextensions::conditions::{self, ESTABLISHED};
use apiextensions::names;
use cluster::{Actor, Cluster, Target};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kinds::Version;
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Why a definition is not served as it is.
#[derive(Debug, Clone, Default)]
pub(super) struct Refused {
    pub(super) conflict: Option<names::Conflict>,
    pub(super) not_structural: Option<String>,
    /// There is no memory for it.
    pub(super) too_large: Option<String>,
}

/// What became of all definitions.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) refused: HashMap<String, Refused>,
    /// Those that are served from now on, as others have gone.
    pub(super) served_again: Vec<String>,
}

/// A definition's kinds, made once for each generation of it.
pub(crate) struct Definitions {
    made: Mutex<HashMap<String, Made>>,
    /// In bytes, what the kinds of all definitions may take.
    memory: usize,
}

struct Made {
    uid: Option<String>,
    generation: Option<i64>,
    state: State,
}

enum State {
    Made {
        kinds: Vec<Arc<Version>>,
        bytes: usize,
    },
    NotStructural(String),
    /// It would take so much, and there was less.
    TooLarge {
        bytes: usize,
    },
}

impl Made {
    fn is_of(&self, definition: &CustomResourceDefinition) -> bool {
        self.uid == definition.metadata.uid && self.generation == definition.metadata.generation
    }
}

impl Definitions {
    /// `None` is no bound.
    pub(super) fn within(memory: Option<usize>) -> Self {
        Definitions { made: Mutex::default(), memory: memory.unwrap_or(usize::MAX) }
    }

    /// Serves all that can be served, those first that were served before; says of the others why not. It reads and parses what is new,
    /// which takes its time.
    pub(super) fn serve(&self, cluster: &Cluster, all: &[Arc<Outline>]) -> Outcome {
        let mut in_order: Vec<&CustomResourceDefinition> = all.iter().map(|outline| &outline.0).collect();
        in_order.sort_by_key(|definition| {
            let created = definition.metadata.creation_timestamp.as_ref().map(|at| at.0);
            (!conditions::is_true(definition, ESTABLISHED), created, name_of(definition))
        });
        let mut made = self.made.lock();
        let before = made.len();
        let there: HashSet<String> = in_order.iter().map(|definition| name_of(definition)).collect();
        made.retain(|name, _| there.contains(name));
        let mut changed = made.len() != before;
        let mut left = self.memory.saturating_sub(in_use(&made, &in_order));
        let mut outcome = Outcome::default();
        let mut accepted: Vec<&CustomResourceDefinition> = Vec::new();
        let mut served: Vec<Arc<Version>> = Vec::new();
        for definition in in_order {
            let name = name_of(definition);
            let known = made.get(&name).filter(|known| known.is_of(definition)).map(|known| &known.state);
            let was_too_large = matches!(known, Some(State::TooLarge { .. }));
            let is_to_be_made = match known {
                None => true,
                Some(State::TooLarge { bytes }) => *bytes <= left || is_going(definition),
                Some(State::Made { .. } | State::NotStructural(_)) => false,
            };
            if is_to_be_made {
                changed = true;
                let state = make(cluster, definition, left);
                match &state {
                    State::Made { bytes, .. } => {
                        left = left.saturating_sub(*bytes);
                        if was_too_large {
                            outcome.served_again.push(name.clone());
                        }
                    }
                    State::TooLarge { .. } if !was_too_large => {
                        tracing::warn!(definition = name, "{}; until then it is not served", self.words());
                    }
                    State::TooLarge { .. } | State::NotStructural(_) => {}
                }
                let (uid, generation) = (definition.metadata.uid.clone(), definition.metadata.generation);
                made.insert(name.clone(), Made { uid, generation, state });
            }
            let conflict = names::conflict(definition, accepted.iter().copied());
            let mut refused = Refused { conflict, ..Refused::default() };
            match made.get(&name).map(|known| &known.state) {
                Some(State::Made { kinds, .. }) if refused.conflict.is_none() => {
                    accepted.push(definition);
                    served.extend(kinds.iter().cloned());
                    continue;
                }
                Some(State::TooLarge { .. }) => {
                    refused.too_large = Some(self.words());
                    // its names stay its own
                    if refused.conflict.is_none() {
                        accepted.push(definition);
                    }
                }
                Some(State::NotStructural(why)) => refused.not_structural = Some(why.clone()),
                Some(State::Made { .. }) | None => {}
            }
            outcome.refused.insert(name, refused);
        }
        if changed {
            cluster.serve_custom_kinds(served);
        }
        outcome
    }

    fn words(&self) -> String {
        format!(
            "there is no memory left for its schemas: those of all definitions may take {} MiB; delete definitions, or give the \
             daemon more memory",
            self.memory >> 20
        )
    }
}

/// By those that stay as they are: whoever changes a definition, or adds one, takes nothing from them.
fn in_use(made: &HashMap<String, Made>, all: &[&CustomResourceDefinition]) -> usize {
    let each = all.iter().filter_map(|definition| {
        match &made.get(&name_of(definition)).filter(|known| known.is_of(definition))?.state {
            State::Made { bytes, .. } => Some(*bytes),
            State::NotStructural(_) | State::TooLarge { .. } => None,
        }
    });
    each.sum()
}

fn is_going(definition: &CustomResourceDefinition) -> bool {
    definition.metadata.deletion_timestamp.is_some()
}

/// One after the other, each from what is stored: a schema takes some times as much while it is read.
fn make(cluster: &Cluster, definition: &CustomResourceDefinition, left: usize) -> State {
    let target = Target::object(&own_version(cluster), None, &name_of(definition));
    let Ok(stored) = cluster.get(&Actor::root(), &target) else {
        // it is gone: whoever follows the definitions hears of it in a moment
        return State::Made { kinds: Vec::new(), bytes: 0 };
    };
    let written = stored.bytes().len();
    let state = if written > left {
        State::TooLarge { bytes: written }
    } else {
        match apiextensions::measured_kinds_of_stored(stored.bytes()) {
            Err(why) => State::NotStructural(why),
            Ok((_, bytes)) if bytes > left => State::TooLarge { bytes },
            Ok((kinds, bytes)) => State::Made { kinds, bytes },
        }
    };
    match state {
        // its objects must be found, so that they go with it
        State::TooLarge { .. } if is_going(definition) => {
            State::Made { kinds: apiextensions::kinds_without_schemas(definition), bytes: 0 }
        }
        state => state,
    }
}
