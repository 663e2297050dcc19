//! The rules of one role, found by what is asked: whoever may write a role decides how many rules it has and how long they are, and
//! others' requests meet them.

use super::decision::Attributes;
use super::rule::covers;
use crate::policy_rule::identity;
use k8s_openapi::api::rbac::v1::PolicyRule;
use std::collections::{HashMap, HashSet};

/// A rule with more verbs, groups or resources is looked up in sets.
const NARROW: usize = 32;

#[derive(Debug, Default)]
pub(crate) struct RoleRules {
    /// Each once.
    rules: Vec<PolicyRule>,
    /// Of rules for any name, by what they say: `pods`, `pods/log`, `*/scale`, `*`.
    by_resource: HashMap<String, Vec<usize>>,
    by_name: HashMap<String, Vec<usize>>,
    of_paths: Vec<usize>,
    wide: HashMap<usize, Wide>,
}

#[derive(Debug)]
struct Wide {
    verbs: HashSet<String>,
    groups: HashSet<String>,
    resources: HashSet<String>,
}

impl RoleRules {
    pub(super) fn new(given: Vec<PolicyRule>) -> Self {
        let mut all = RoleRules { rules: distinct(given), ..RoleRules::default() };
        for (number, rule) in all.rules.iter().enumerate() {
            let names = rule.resource_names.as_deref().unwrap_or_default();
            let resources = rule.resources.as_deref().unwrap_or_default();
            let (index, keys) = match names {
                [] => (&mut all.by_resource, resources),
                names => (&mut all.by_name, names),
            };
            for key in keys {
                let numbers = index.entry(key.clone()).or_default();
                if numbers.last() != Some(&number) {
                    numbers.push(number);
                }
            }
            if rule.non_resource_urls.as_ref().is_some_and(|urls| !urls.is_empty()) {
                all.of_paths.push(number);
            }
            let groups = rule.api_groups.as_deref().unwrap_or_default();
            if [rule.verbs.len(), groups.len(), resources.len()].iter().any(|length| *length > NARROW) {
                let set = |texts: &[String]| texts.iter().cloned().collect();
                let wide = Wide { verbs: set(&rule.verbs), groups: set(groups), resources: set(resources) };
                all.wide.insert(number, wide);
            }
        }
        all
    }

    pub(crate) fn rules(&self) -> &[PolicyRule] {
        &self.rules
    }

    pub(super) fn allows(&self, asked: &Attributes) -> bool {
        if asked.path.is_some() {
            return self.of_paths.iter().any(|number| covers(&self.rules[*number], asked));
        }
        let said = said_of(asked);
        self.met(asked, &said).any(|number| match self.wide.get(&number) {
            None => covers(&self.rules[number], asked),
            Some(wide) => wide.covers(asked, &said),
        })
    }

    /// The rules that a question has to be compared with: those for its name, and for any name those for its resource.
    fn met<'a>(&'a self, asked: &Attributes, said: &Said) -> impl Iterator<Item = usize> + use<'a> {
        let of_resource = said.each_ref().map(|key| self.by_resource.get(key.as_ref()?));
        let of_name = asked.name.as_ref().and_then(|name| self.by_name.get(name));
        of_resource.into_iter().chain([of_name]).flatten().flatten().copied()
    }
}

impl Wide {
    /// Whether its names do is known.
    fn covers(&self, asked: &Attributes, said: &Said) -> bool {
        let has = |set: &HashSet<String>, text: &str| set.contains("*") || set.contains(text);
        has(&self.verbs, &asked.verb)
            && has(&self.groups, &asked.group)
            && said.iter().flatten().any(|resource| self.resources.contains(resource))
    }
}

/// How a rule may name what is asked for.
type Said = [Option<String>; 3];

fn said_of(asked: &Attributes) -> Said {
    let of_any = Some(&asked.subresource).filter(|part| !part.is_empty()).map(|part| format!("*/{part}"));
    [Some("*".to_owned()), Some(asked.full_resource()), of_any]
}

fn distinct(mut rules: Vec<PolicyRule>) -> Vec<PolicyRule> {
    let is_first: Vec<bool> = {
        let mut seen = HashSet::new();
        rules.iter().map(|rule| seen.insert(identity(rule))).collect()
    };
    let mut is_first = is_first.into_iter();
    rules.retain(|_| is_first.next().unwrap_or_default());
    rules
}

#[cfg(test)]
mod tests {
    use super::super::rule::tests::{asked, rule as of_groups};
    use super::*;

    /// Of the core group.
    fn rule(verbs: &[&str], resources: &[&str], names: &[&str]) -> PolicyRule {
        of_groups(verbs, &[""], resources, names)
    }

    /// Whether it is looked up or compared one by one.
    #[test]
    fn a_role_allows_what_one_of_its_rules_covers() {
        let many: Vec<String> = (0..100).map(|n| format!("x{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let with = |of: &[&'static str]| [many.as_slice(), of].concat();
        let rules = vec![
            rule(&["get"], &["pods"], &[]),
            rule(&["get"], &["*/scale"], &[]),
            rule(&["update"], &["pods"], &["a", "b"]),
            rule(&with(&["delete"]), &with(&["nodes", "*/status"]), &[]),
            rule(&with(&["patch"]), &with(&["nodes"]), &["n"]),
            rule(&with(&["*"]), &["secrets/of"], &[]),
            // which name nothing
            rule(&["list"], &["*/", "nodes/"], &[]),
            rule(&["list"], &with(&["*/", "nodes/"]), &[]),
            rule(&["list"], &["nodes/"], &["n"]),
            PolicyRule {
                verbs: vec!["get".into()],
                non_resource_urls: Some(vec!["/healthz/*".into()]),
                ..PolicyRule::default()
            },
        ];
        let role = RoleRules::new(rules.clone());
        let mut questions: Vec<Attributes> = ["/healthz/a", "/healthz", "/x"]
            .iter()
            .flat_map(|path| ["get", "put"].map(|verb| Attributes::non_resource(verb, path)))
            .collect();
        for verb in ["get", "update", "delete", "patch", "x1", "list"] {
            for resource in ["pods", "nodes", "secrets", "x5"] {
                for subresource in ["", "scale", "status", "of"] {
                    let names = [None, Some("a"), Some("n"), Some("z")];
                    questions.extend(names.map(|name| asked(verb, resource, subresource, name)));
                }
            }
        }
        let mut allowed = 0;
        for asked in questions {
            let want = rules.iter().any(|rule| covers(rule, &asked));
            assert_eq!(role.allows(&asked), want, "{asked:?}");
            allowed += usize::from(want);
        }
        assert!(allowed > 50, "{allowed}");
    }

    #[test]
    fn a_question_meets_the_rules_that_are_about_it() {
        let mut rules: Vec<PolicyRule> =
            (0..50_000).map(|n| rule(&["get"], &["pods"], &[&format!("n{n}")])).collect();
        rules.extend((0..50_000).map(|n| rule(&["get"], &[&format!("r{n}")], &[])));
        rules.extend((0..50_000).map(|_| rule(&["get"], &["pods"], &[])));
        let role = RoleRules::new(rules);
        for name in [None, Some("n7")] {
            let asked = asked("list", "pods", "", name);
            assert!(role.met(&asked, &said_of(&asked)).count() <= 2, "{name:?}");
            assert!(!role.allows(&asked));
        }
    }
}
