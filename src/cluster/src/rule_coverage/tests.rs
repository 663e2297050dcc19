use super::*;
use crate::policy_rule::describe;

fn rule(verbs: &[&str], groups: &[&str], resources: &[&str], names: &[&str]) -> PolicyRule {
    let owned = |texts: &[&str]| texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
    PolicyRule {
        verbs: owned(verbs),
        api_groups: Some(owned(groups)),
        resources: Some(owned(resources)),
        resource_names: (!names.is_empty()).then(|| owned(names)),
        non_resource_urls: None,
    }
}

fn paths(verbs: &[&str], urls: &[&str]) -> PolicyRule {
    let owned = |texts: &[&str]| texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
    PolicyRule { verbs: owned(verbs), non_resource_urls: Some(owned(urls)), ..PolicyRule::default() }
}

#[test]
fn who_holds_rules_may_hand_out_what_they_cover() {
    let pods = |verbs: &[&str]| rule(verbs, &[""], &["pods"], &[]);
    let cases: &[(&str, Vec<PolicyRule>, Vec<PolicyRule>, &[&str])] = &[
        ("the same", vec![pods(&["get"])], vec![pods(&["get"])], &[]),
        (
            "by two rules, each a part",
            vec![pods(&["get"]), pods(&["list"])],
            vec![pods(&["list", "get"])],
            &[],
        ),
        (
            "a verb more",
            vec![pods(&["get"])],
            vec![pods(&["get", "delete", "create"])],
            &[r#"{APIGroups:[""], Resources:["pods"], Verbs:["delete" "create"]}"#],
        ),
        ("every verb", vec![pods(&["*"])], vec![pods(&["delete"])], &[]),
        (
            "a star is more than all its parts",
            vec![pods(&["get", "list", "watch"])],
            vec![pods(&["*"])],
            &[r#"{APIGroups:[""], Resources:["pods"], Verbs:["*"]}"#],
        ),
        (
            "another group",
            vec![rule(&["get"], &["apps"], &["*"], &[])],
            vec![rule(&["get"], &["batch"], &["jobs"], &[])],
            &[r#"{APIGroups:["batch"], Resources:["jobs"], Verbs:["get"]}"#],
        ),
        (
            "every group and resource",
            vec![rule(&["*"], &["*"], &["*"], &[])],
            vec![rule(&["get"], &["apps"], &["deployments/scale"], &["web"])],
            &[],
        ),
        (
            "a subresource of any resource",
            vec![rule(&["get"], &["*"], &["*/scale"], &[])],
            vec![rule(&["get"], &["apps"], &["deployments/scale"], &[])],
            &[],
        ),
        (
            "a resource is not its subresource",
            vec![rule(&["get"], &["apps"], &["deployments"], &[])],
            vec![rule(&["get"], &["apps"], &["deployments/scale"], &[])],
            &[r#"{APIGroups:["apps"], Resources:["deployments/scale"], Verbs:["get"]}"#],
        ),
        (
            "one of any name",
            vec![rule(&["get"], &[""], &["secrets"], &[])],
            vec![rule(&["get"], &[""], &["secrets"], &["a"])],
            &[],
        ),
        (
            "all names for one who holds one",
            vec![rule(&["get"], &[""], &["secrets"], &["a"])],
            vec![rule(&["get"], &[""], &["secrets"], &[]), rule(&["get"], &[""], &["secrets"], &["a", "b"])],
            &[
                r#"{APIGroups:[""], Resources:["secrets"], ResourceNames:["b"], Verbs:["get"]}"#,
                r#"{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}"#,
            ],
        ),
        (
            "paths below",
            vec![paths(&["get"], &["/healthz/*"])],
            vec![paths(&["get"], &["/healthz/etcd"])],
            &[],
        ),
        (
            "a path above",
            vec![paths(&["get"], &["/healthz/*"])],
            vec![paths(&["get"], &["/healthz", "*"])],
            &[
                r#"{NonResourceURLs:["*"], Verbs:["get"]}"#,
                r#"{NonResourceURLs:["/healthz"], Verbs:["get"]}"#,
            ],
        ),
        ("a rule for nothing", vec![], vec![rule(&["get"], &[], &["pods"], &[])], &[]),
    ];
    for (name, held, wanted, missing) in cases {
        let found = uncovered(held, wanted, usize::MAX).unwrap();
        assert_eq!(found.more, 0, "{name}");
        let found: Vec<String> = describe(&found.rules).into_iter().collect();
        assert_eq!(found, *missing, "{name}");
    }
}

fn numbered(letter: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{letter}{n}")).collect()
}

fn cube(count: usize) -> PolicyRule {
    PolicyRule {
        verbs: numbered("v", count),
        api_groups: Some(numbered("g", count)),
        resources: Some(numbered("r", count)),
        resource_names: Some(numbered("n", count)),
        non_resource_urls: None,
    }
}

#[test]
fn a_rule_of_a_hundred_million_parts_is_compared_at_once() {
    let mut other = cube(100);
    other.verbs = numbered("v", 99);
    for (name, held, more) in [
        ("nothing", vec![], 100_000_000),
        ("the same", vec![cube(100)], 0),
        ("others", vec![rule(&["get"], &[""], &["pods"], &[]); 100], 100_000_000),
        ("one verb less", vec![other], 1_000_000),
    ] {
        let mut search = Search { left: COMPARISONS, told: TOLD, text: 0, missing: Missing::default() };
        let index = search.index(&held).unwrap();
        search.resources(&index, &cube(100)).unwrap();
        assert!(COMPARISONS - search.left < 5_000, "{name}: {}", COMPARISONS - search.left);
        let told: usize = search.missing.rules.iter().map(|rule| rule.verbs.len()).sum();
        assert_eq!(told, if more == 0 { 0 } else { TOLD }, "{name}");
        assert_eq!(search.missing.more + told as u128, more, "{name}");
    }
}

#[test]
fn what_is_told_is_short() {
    let long = "x".repeat(1 << 20);
    let found = uncovered([], &[rule(&["get", &long], &["a", "b"], &["pods"], &[&long])], TOLD).unwrap();
    assert_eq!((found.rules.len(), found.more), (0, 4));
    let names: Vec<String> = numbered(&"y".repeat(200), 10_000);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let found = uncovered([], &[rule(&["get"], &[""], &["pods"], &names)], TOLD).unwrap();
    let text: usize = describe(&found.rules).iter().map(String::len).sum();
    assert!(text < 2 * LONGEST && found.more > 9_000, "{text} {}", found.more);
}

/// No two values are named by the same rules.
#[test]
fn what_takes_too_many_comparisons_ends() {
    let mut dice = Dice(7);
    let whole = cube(60);
    let mut some = |of: &[String]| of.iter().filter(|_| dice.roll(2) == 0).cloned().collect::<Vec<_>>();
    let mut part = || PolicyRule {
        verbs: some(&whole.verbs),
        api_groups: whole.api_groups.as_deref().map(&mut some),
        resources: whole.resources.as_deref().map(&mut some),
        resource_names: whole.resource_names.as_deref().map(&mut some),
        non_resource_urls: None,
    };
    let held: Vec<PolicyRule> = (0..200).map(|_| part()).collect();
    assert_eq!(uncovered(&held, std::slice::from_ref(&whole), TOLD).unwrap_err(), TooMany);
    assert!(uncovered(&held, &held[..1], TOLD).is_ok());
}

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// As upstream does it: each part by itself, with each rule that is held.
fn one_by_one(held: &[PolicyRule], wanted: &[PolicyRule]) -> u128 {
    let mut missing = 0;
    for rule in wanted {
        let names = or_none(&distinct(list(&rule.resource_names)));
        for verb in distinct(&rule.verbs) {
            let says = |values: &[String], value: &str| values.iter().any(|v| v == ALL || v == value);
            for url in distinct(list(&rule.non_resource_urls)) {
                let covers = |held: &PolicyRule| {
                    let begins = |of: &String| of.ends_with('*') && url.starts_with(of.trim_end_matches('*'));
                    let urls = list(&held.non_resource_urls);
                    says(&held.verbs, verb) && urls.iter().any(|of| of == url || begins(of))
                };
                missing += u128::from(!held.iter().any(covers));
            }
            for group in distinct(list(&rule.api_groups)) {
                for resource in distinct(list(&rule.resources)) {
                    for name in &names {
                        let covers = |held: &PolicyRule| {
                            let of_any = resource.split_once('/').map(|(_, part)| format!("*/{part}"));
                            let resources = list(&held.resources);
                            let of_any = of_any.is_some_and(|any| resources.contains(&any));
                            let names = list(&held.resource_names);
                            let named = name.is_some_and(|name| names.iter().any(|n| n == name));
                            says(&held.verbs, verb)
                                && says(list(&held.api_groups), group)
                                && (says(resources, resource) || of_any)
                                && (names.is_empty() || named)
                        };
                        missing += u128::from(!held.iter().any(covers));
                    }
                }
            }
        }
    }
    missing
}

#[test]
fn it_finds_what_comparing_one_by_one_finds() {
    let mut dice = Dice(11);
    let mut pick = |of: &[&str], most: u64| {
        let count = dice.roll(most + 1);
        (0..count).map(|_| of[dice.roll(of.len() as u64) as usize].to_owned()).collect::<Vec<_>>()
    };
    let mut random = |is_path: bool| match is_path {
        true => PolicyRule {
            verbs: pick(&["get", "put", "*"], 2),
            non_resource_urls: Some(pick(&["/a", "/a/*", "/a/b", "*"], 3)),
            ..PolicyRule::default()
        },
        false => PolicyRule {
            verbs: pick(&["get", "list", "watch", "*"], 3),
            api_groups: Some(pick(&["", "apps", "*"], 3)),
            resources: Some(pick(&["pods", "pods/log", "*/log", "*", "nodes"], 3)),
            resource_names: Some(pick(&["a", "b"], 2)),
            non_resource_urls: None,
        },
    };
    let mut found = 0;
    for round in 0..2000 {
        let held: Vec<PolicyRule> = (0..4).map(|n| random(n == 0)).collect();
        let wanted = [random(round % 4 == 0), random(false)];
        let missing = uncovered(&held, &wanted, 5).unwrap();
        let told: usize = missing.rules.iter().map(|rule| rule.verbs.len()).sum();
        assert_eq!(missing.more + told as u128, one_by_one(&held, &wanted), "{held:?} {wanted:?}");
        found += told;
    }
    assert!(found > 1000, "{found}");
}
