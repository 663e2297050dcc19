//! What `docker logs --details` puts before each line: the tag, labels and variables that `--log-opt` asks for. Pure.

use crate::plan;
use crate::record::Record;
use regex::Regex;
use std::collections::BTreeMap;

/// By name, as a query has it; empty where nothing is asked for.
pub(crate) fn details(record: &Record) -> String {
    let said =
        |option: &str| record.host.log_config.config.get(option).map(String::as_str).unwrap_or_default();
    let tag = tag(said("tag"), record);
    let labels = record.config.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let mut all: BTreeMap<&str, &str> = chosen(said("labels"), said("labels-regex"), labels).collect();
    let variables = record.config.env.iter().filter_map(|entry| entry.split_once('='));
    all.extend(chosen(said("env"), said("env-regex"), variables));
    if !tag.is_empty() {
        all.insert("tag", &tag);
    }
    let query = all.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value)));
    query.collect::<Vec<_>>().join(",")
}

/// Those that are in the list, and those that the pattern finds. What is no pattern was refused at the start.
fn chosen<'a>(
    list: &'a str,
    pattern: &str,
    all: impl Iterator<Item = (&'a str, &'a str)>,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    let pattern = (!pattern.is_empty()).then(|| Regex::new(pattern).ok()).flatten();
    all.filter(move |(name, _)| {
        list.split(',').any(|wanted| wanted == *name) || pattern.as_ref().is_some_and(|p| p.is_match(name))
    })
}

/// Fields in double braces are the container's; what else is in such braces stays as it is.
fn tag(template: &str, record: &Record) -> String {
    let mut made = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((expression, after)) = after.split_once("}}") else { break };
        made += before;
        match field(expression.trim().trim_matches('-').trim(), record) {
            Some(value) => made += &value,
            None => made += &format!("{{{{{expression}}}}}"),
        }
        rest = after;
    }
    made + rest
}

fn field(name: &str, record: &Record) -> Option<String> {
    let short = |id: &str| id.chars().take(12).collect();
    Some(match name {
        ".ID" => short(&record.id),
        ".FullID" => record.id.clone(),
        ".Name" => record.name.clone(),
        ".ImageID" => short(&record.image),
        ".ImageFullID" => record.image.clone(),
        ".ImageName" => record.config.image.clone(),
        ".DaemonName" => "docker".to_owned(),
        ".Command" => plan::arguments(&record.config).join(" "),
        _ => return None,
    })
}

/// As Go writes a query.
fn escaped(text: &str) -> String {
    const KEEP: &percent_encoding::AsciiSet =
        &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b' ');
    percent_encoding::utf8_percent_encode(text, KEEP).to_string().replace(' ', "+")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::record;

    #[test]
    fn details_are_what_the_options_name() {
        let mut web = record("web");
        web.config.labels = [("app".into(), "a shop".into()), ("other".into(), "x".into())].into();
        web.config.env = vec!["TIER=front,1".into(), "TIERS=3".into()];
        web.config.image = "busybox:1".into();
        for (name, options, want) in [
            ("nothing", &[][..], ""),
            ("lists", &[("labels", "app,none"), ("env", "TIER")], "TIER=front%2C1,app=a+shop"),
            ("patterns", &[("labels-regex", "^o"), ("env-regex", "S$")], "TIERS=3,other=x"),
            ("both", &[("env", "TIER"), ("env-regex", "S$")], "TIER=front%2C1,TIERS=3"),
            ("no pattern", &[("env-regex", "(")], ""),
            ("a tag", &[("tag", "{{.Name}}/{{ .ImageName }}")], "tag=web%2Fbusybox%3A1"),
            ("an id", &[("tag", "x{{.ID}}")], "tag=xweb000000000"),
            ("what is no field", &[("tag", "{{.What}} {{")], "tag=%7B%7B.What%7D%7D+%7B%7B"),
        ] {
            let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            web.host.log_config.config = options.collect();
            assert_eq!(details(&web), want, "{name}");
        }
    }
}
