//! Comparing access rules with each other: whether somebody who holds some may hand out others. Pure; upstream's
//! `component-helpers/auth/rbac/validation` (`Covers`).
//!
//! A rule of three kilobytes has a hundred million parts (verbs by groups by resources by names). None of them is made: values that the
//! same rules of the holder name are one, and what is left out is told as far as somebody reads it.

#[cfg(test)]
mod tests;

use crate::policy_rule::{ALL, compact, list};
use k8s_openapi::api::rbac::v1::PolicyRule;
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};

/// Of parts that are told.
pub(crate) const TOLD: usize = 100;
/// Of their text, in bytes.
const LONGEST: usize = 16 << 10;
/// What one question may take; a role that somebody wrote by hand takes some thousands.
pub(crate) const COMPARISONS: usize = 1_000_000;

/// What of rules nobody holds.
#[derive(Debug, Default)]
pub(crate) struct Missing {
    /// Parts of the same resource as one rule.
    pub(crate) rules: Vec<PolicyRule>,
    /// Parts that are not among them.
    pub(crate) more: u128,
}

impl Missing {
    pub(crate) fn is_nothing(&self) -> bool {
        self.rules.is_empty() && self.more == 0
    }
}

/// It would take more than [`COMPARISONS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMany;

/// What of `wanted` no single rule of `held` allows, each part by itself: one verb on one resource (of one name), or on one
/// path. As in upstream, two rules of `held` never add up to one part. Of the parts `told` are listed, all others counted.
pub(crate) fn uncovered<'r>(
    held: impl IntoIterator<Item = &'r PolicyRule>,
    wanted: &[PolicyRule],
    told: usize,
) -> Result<Missing, TooMany> {
    let mut search = Search { left: COMPARISONS, told, text: 0, missing: Missing::default() };
    let held = search.index(held)?;
    for rule in wanted {
        search.resources(&held, rule)?;
        search.paths(&held, rule)?;
    }
    let Missing { rules, more } = search.missing;
    Ok(Missing { rules: compact(rules), more })
}

/// Numbers of rules, ascending.
type Numbers = Vec<usize>;

/// Who of the held rules says what, in one of their fields.
#[derive(Default)]
struct Field<'h> {
    /// Those that say everything.
    all: Numbers,
    by_value: HashMap<&'h str, Numbers>,
}

impl<'h> Field<'h> {
    fn add(&mut self, number: usize, values: &'h [String], is_all: bool) {
        if is_all {
            self.all.push(number);
            return;
        }
        for value in values {
            let numbers = self.by_value.entry(value).or_default();
            if numbers.last() != Some(&number) {
                numbers.push(number);
            }
        }
    }

    fn of(&self, value: &str) -> &[usize] {
        self.by_value.get(value).map(Vec::as_slice).unwrap_or_default()
    }
}

#[derive(Default)]
struct Held<'h> {
    verbs: Field<'h>,
    groups: Field<'h>,
    resources: Field<'h>,
    names: Field<'h>,
    urls: Field<'h>,
    /// What a path begins with.
    url_prefixes: Vec<(&'h str, usize)>,
}

/// Values that the same rules name, and those rules.
struct Class<'w> {
    values: Vec<&'w str>,
    numbers: Cow<'w, [usize]>,
}

struct Search {
    left: usize,
    told: usize,
    text: usize,
    missing: Missing,
}

impl Search {
    fn spend(&mut self, comparisons: usize) -> Result<(), TooMany> {
        self.left = self.left.checked_sub(comparisons).ok_or(TooMany)?;
        Ok(())
    }

    fn index<'h>(&mut self, rules: impl IntoIterator<Item = &'h PolicyRule>) -> Result<Held<'h>, TooMany> {
        let mut held = Held::default();
        for (number, rule) in rules.into_iter().enumerate() {
            let [groups, resources] = [list(&rule.api_groups), list(&rule.resources)];
            let [names, urls] = [list(&rule.resource_names), list(&rule.non_resource_urls)];
            self.spend(1 + rule.verbs.len() + groups.len() + resources.len() + names.len() + urls.len())?;
            let has_all = |values: &[String]| values.iter().any(|value| value == ALL);
            held.verbs.add(number, &rule.verbs, has_all(&rule.verbs));
            held.groups.add(number, groups, has_all(groups));
            held.resources.add(number, resources, has_all(resources));
            held.names.add(number, names, names.is_empty());
            held.urls.add(number, urls, false);
            let prefixes = urls.iter().filter(|url| url.ends_with('*'));
            held.url_prefixes.extend(prefixes.map(|url| (url.trim_end_matches('*'), number)));
        }
        Ok(held)
    }

    fn resources(&mut self, held: &Held<'_>, wanted: &PolicyRule) -> Result<(), TooMany> {
        let verbs =
            self.classes(distinct(&wanted.verbs), &held.verbs.all, |verb| held.verbs.of(verb).to_vec())?;
        let groups = distinct(list(&wanted.api_groups));
        let groups = self.classes(groups, &held.groups.all, |group| held.groups.of(group).to_vec())?;
        let resources = self.classes(distinct(list(&wanted.resources)), &held.resources.all, |resource| {
            let of_any = resource.split_once('/').map(|(_, subresource)| format!("*/{subresource}"));
            let of_any = of_any.as_deref().map(|any| held.resources.of(any)).unwrap_or_default();
            union(held.resources.of(resource), of_any)
        })?;
        let names = match list(&wanted.resource_names) {
            // any name: no rule for some of them is enough
            [] => vec![Class { values: Vec::new(), numbers: Cow::Borrowed(&held.names.all) }],
            names => self.classes(distinct(names), &held.names.all, |name| held.names.of(name).to_vec())?,
        };
        if self.is_held_by_one(&[&verbs, &groups, &resources, &names])? {
            return Ok(());
        }
        for group in &groups {
            for resource in &resources {
                let of_both = self.both(&group.numbers, &resource.numbers)?;
                for name in &names {
                    let of_all = self.both(&of_both, &name.numbers)?;
                    let lacking = self.lacking(&wanted.verbs, &verbs, &of_all)?;
                    self.miss(
                        [&group.values, &resource.values, &name.values],
                        &lacking,
                        |[group, resource, name]| PolicyRule {
                            api_groups: group.map(|group| vec![group.to_owned()]),
                            resources: resource.map(|resource| vec![resource.to_owned()]),
                            resource_names: name.map(|name| vec![name.to_owned()]),
                            ..PolicyRule::default()
                        },
                    );
                }
            }
        }
        Ok(())
    }

    fn paths(&mut self, held: &Held<'_>, wanted: &PolicyRule) -> Result<(), TooMany> {
        let urls = distinct(list(&wanted.non_resource_urls));
        if urls.is_empty() {
            return Ok(());
        }
        self.spend(urls.len().saturating_mul(held.url_prefixes.len()))?;
        let verbs =
            self.classes(distinct(&wanted.verbs), &held.verbs.all, |verb| held.verbs.of(verb).to_vec())?;
        let urls = self.classes(urls, &[], |url| {
            let begun = held.url_prefixes.iter().filter(|(prefix, _)| url.starts_with(prefix));
            let begun: BTreeSet<usize> = begun.map(|(_, number)| *number).collect();
            union(held.urls.of(url), &begun.into_iter().collect::<Numbers>())
        })?;
        for url in &urls {
            let of_all = self.both(&url.numbers, &held.names.all)?;
            let lacking = self.lacking(&wanted.verbs, &verbs, &of_all)?;
            self.miss([&url.values, &[], &[]], &lacking, |[url, _, _]| PolicyRule {
                non_resource_urls: url.map(|url| vec![url.to_owned()]),
                ..PolicyRule::default()
            });
        }
        Ok(())
    }

    /// `all` says everything, and `of` who says a value beside those.
    fn classes<'w>(
        &mut self,
        values: Vec<&'w str>,
        all: &'w [usize],
        of: impl Fn(&str) -> Numbers,
    ) -> Result<Vec<Class<'w>>, TooMany> {
        let mut classes: Vec<(Numbers, Vec<&'w str>)> = Vec::new();
        let mut places: HashMap<Numbers, usize> = HashMap::new();
        for value in values {
            let numbers = of(value);
            self.spend(1 + numbers.len())?;
            let place = *places.entry(numbers).or_insert_with_key(|numbers| {
                classes.push((numbers.clone(), Vec::new()));
                classes.len() - 1
            });
            classes[place].1.push(value);
        }
        let mut whole = Vec::new();
        for (numbers, values) in classes {
            let numbers = if numbers.is_empty() {
                Cow::Borrowed(all)
            } else {
                self.spend(all.len())?;
                Cow::Owned(union(all, &numbers))
            };
            whole.push(Class { values, numbers });
        }
        Ok(whole)
    }

    /// What mostly is so, and is soon seen.
    fn is_held_by_one(&mut self, fields: &[&[Class<'_>]]) -> Result<bool, TooMany> {
        let classes = || fields.iter().copied().flatten();
        let Some(rarest) = classes().min_by_key(|class| class.numbers.len()) else { return Ok(false) };
        self.spend(rarest.numbers.len())?;
        let mut numbers = rarest.numbers.to_vec();
        for class in classes() {
            if numbers.is_empty() {
                break;
            }
            numbers = self.both(&numbers, &class.numbers)?;
        }
        Ok(!numbers.is_empty())
    }

    fn both(&mut self, one: &[usize], other: &[usize]) -> Result<Numbers, TooMany> {
        let (short, long) = if one.len() < other.len() { (one, other) } else { (other, one) };
        self.spend(1 + short.len())?;
        Ok(short.iter().filter(|number| long.binary_search(number).is_ok()).copied().collect())
    }

    /// The verbs that none of these rules has, in the order in which they are wanted.
    fn lacking<'w>(
        &mut self,
        wanted: &'w [String],
        classes: &[Class<'w>],
        numbers: &[usize],
    ) -> Result<Vec<&'w str>, TooMany> {
        let mut missing: HashSet<&str> = HashSet::new();
        for class in classes {
            if self.both(numbers, &class.numbers)?.is_empty() {
                missing.extend(&class.values);
            }
        }
        if missing.is_empty() {
            return Ok(Vec::new());
        }
        self.spend(wanted.len())?;
        Ok(distinct(wanted).into_iter().filter(|verb| missing.contains(verb)).collect())
    }

    /// Each of `fields` with each of the others, as far as somebody reads it; an empty one says nothing.
    fn miss(&mut self, fields: [&[&str]; 3], verbs: &[&str], rule: impl Fn([Option<&str>; 3]) -> PolicyRule) {
        if verbs.is_empty() {
            return;
        }
        let lengths = fields.map(|values| values.len().max(1) as u128);
        self.missing.more += lengths.iter().product::<u128>() * verbs.len() as u128;
        if self.told == 0 {
            return;
        }
        let [first, second, third] = fields.map(or_none);
        for one in &first {
            for two in &second {
                for three in &third {
                    let told = verbs.len().min(self.told);
                    let text = [one, two, three].into_iter().flatten().map(|text| text.len()).sum::<usize>();
                    let text = text + verbs[..told].iter().map(|verb| verb.len()).sum::<usize>();
                    if told == 0 || (self.told != usize::MAX && self.text + text > LONGEST) {
                        self.told = 0;
                        return;
                    }
                    self.text += text;
                    // who wants to hear all hears all
                    self.told -= if self.told == usize::MAX { 0 } else { told };
                    self.missing.more -= told as u128;
                    let verbs = verbs[..told].iter().map(|verb| (*verb).to_owned()).collect();
                    self.missing.rules.push(PolicyRule { verbs, ..rule([*one, *two, *three]) });
                }
            }
        }
    }
}

fn or_none<'v>(values: &[&'v str]) -> Vec<Option<&'v str>> {
    if values.is_empty() { vec![None] } else { values.iter().copied().map(Some).collect() }
}

fn distinct(values: &[String]) -> Vec<&str> {
    let mut seen = HashSet::new();
    values.iter().map(String::as_str).filter(|value| seen.insert(*value)).collect()
}

fn union(one: &[usize], other: &[usize]) -> Numbers {
    let mut numbers = [one, other].concat();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}
