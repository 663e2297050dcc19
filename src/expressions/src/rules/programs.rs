//! The programs of rules, by their text. A definition is compiled when it is validated, when its cost is told, and when it takes
//! effect, and the versions of a definition have most of their rules in common.
//!
//! What somebody has is found as long as it is had; beyond that the newest are held, up to a bound. What can not be compiled is
//! not kept, as it takes no effect.

use crate::program::Program;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, LazyLock, Weak};

/// Bytes, of what nobody else may have. Patterns are kept elsewhere.
const MOST_HELD: usize = 32 << 20;
/// Bytes that the tree takes for each that is written.
const OF_TEXT: usize = 64;
/// Bytes of an entry beside its text, about.
const OF_ENTRY: usize = 256;
/// Bytes that entries may take of programs that are gone, before anybody looks.
const MOST_GONE: usize = 4 << 20;

static PROGRAMS: LazyLock<Mutex<Programs>> = LazyLock::new(Mutex::default);

/// # Errors
/// As [`Program::compile`].
pub(super) fn compiled(source: &str) -> Result<Arc<Program>, String> {
    let programs = || PROGRAMS.lock();
    let known = programs().get(source);
    if let Some(known) = known {
        return Ok(known);
    }
    // without the lock: two may do it at once, and both are right
    let program = Arc::new(Program::compile(source, &["self", "oldSelf"])?);
    programs().keep(source, &program);
    Ok(program)
}

#[derive(Debug, Default)]
struct Programs {
    known: HashMap<Arc<str>, Weak<Program>>,
    /// The newest last, each with its weight.
    held: VecDeque<(Arc<Program>, usize)>,
    weight: usize,
    /// Bytes of what is known, without the programs.
    written: usize,
    /// The same when somebody last looked which of them are gone.
    looked_at: usize,
}

impl Programs {
    fn get(&self, source: &str) -> Option<Arc<Program>> {
        self.known.get(source)?.upgrade()
    }

    fn keep(&mut self, source: &str, program: &Arc<Program>) {
        if self.known.insert(source.into(), Arc::downgrade(program)).is_none() {
            self.written += entry(source);
        }
        let weight = source.len() * OF_TEXT;
        self.held.push_back((program.clone(), weight));
        self.weight += weight;
        while self.weight > MOST_HELD {
            let Some((_, weight)) = self.held.pop_front() else { break };
            self.weight -= weight;
        }
        if self.written >= 2 * self.looked_at + MOST_GONE {
            self.known.retain(|_, program| program.strong_count() > 0);
            self.written = self.known.keys().map(|source| entry(source)).sum();
            self.looked_at = self.written;
        }
    }
}

fn entry(source: &str) -> usize {
    source.len() + OF_ENTRY
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rules;
    use serde_json::json;

    fn program(source: &str) -> Arc<Program> {
        Arc::new(
            Program::compile(source, &["self", "oldSelf"]).unwrap_or_else(|why| panic!("{source}: {why}")),
        )
    }

    #[test]
    fn a_rule_is_compiled_once() {
        let rules = json!([{"rule": "self.once == 1", "messageExpression": "'once ' + string(self.once)"}]);
        let spec = json!({"type": "object", "x-kubernetes-validations": rules, "properties": {"once": {"type": "integer"}}});
        let schema = json!({"type": "object", "properties": {"spec": spec}});
        let schema = schema::from_openapi(&schema, "at").unwrap_or_else(|e| panic!("{:?}", e.into_causes()));
        let [first, second] = [(); 2].map(|()| Rules::compile(&schema, "at").0);
        let own = |rules: &Rules| {
            let compiled = &rules.fields["spec"].own[0];
            [compiled.program.clone().ok(), compiled.message.clone()].map(Option::unwrap)
        };
        for (one, other) in own(&first).iter().zip(&own(&second)) {
            assert!(Arc::ptr_eq(one, other));
        }
    }

    #[test]
    fn what_somebody_has_is_found_and_what_nobody_has_goes() {
        let mut programs = Programs::default();
        let had = program("self == 'had'");
        programs.keep("self == 'had'", &had);
        programs.keep("self == 'gone'", &program("self == 'gone'"));
        assert!(programs.get("self == 'gone'").is_some(), "the newest are held");
        // what is heavier than all that may be held takes the place of all, and has none itself
        let heavy = format!("true{}", " ".repeat(MOST_HELD / OF_TEXT));
        programs.keep(&heavy, &program("true"));
        assert!(programs.get("self == 'gone'").is_none() && programs.get(&heavy).is_none());
        assert!(programs.get("self == 'had'").is_some_and(|found| Arc::ptr_eq(&found, &had)));
        assert_eq!((programs.weight, programs.held.len()), (0, 0));
        // texts as long as these are too heavy to be held
        let long = " ".repeat(MOST_GONE / 8);
        for index in 0..64 {
            programs.keep(&format!("{index}{long}"), &program("true"));
        }
        assert!(
            programs.known.len() <= 12,
            "what is gone leaves no entry for long: {}",
            programs.known.len()
        );
        assert!(programs.get("self == 'had'").is_some());
    }
}
