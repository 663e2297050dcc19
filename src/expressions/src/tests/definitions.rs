//! Definitions in the manner of the Gateway API's, which are the largest that many clusters have: lists whose items are told
//! apart by rules, lists within lists, and patterns as Go reads them. They are taken with what their rules may cost, and their
//! rules say of objects what they should.

use super::{schema, told};
use crate::Rules;
use ::schema::{ErrorList, Schema};
use serde_json::{Value, json};

const GATEWAY: &str = include_str!("../golden/gateway.json");
const HTTP_ROUTE: &str = include_str!("../golden/http_route.json");

struct Definition {
    schema: Schema,
    rules: Rules,
}

impl Definition {
    fn of(text: &str) -> Self {
        let schema = schema(&serde_json::from_str(text).unwrap());
        let (rules, refused) = Rules::compile(&schema, "schema");
        assert_eq!(told(refused), [""; 0]);
        assert_eq!(told(rules.costs(&schema, "schema")), [""; 0]);
        Definition { schema, rules }
    }

    fn judge(&self, object: &Value, old: Option<&Value>) -> Vec<String> {
        let mut errors = ErrorList::default();
        ::schema::validate(object, &self.schema, &mut errors);
        self.rules.validate(object, old, &self.schema, &mut errors);
        told(errors)
    }

    /// Each case with what is changed of the object, and which places are refused with which words at the end.
    fn judges(&self, base: &Value, cases: &[(&str, &[(&str, Value)], &[(&str, &str)])]) {
        for (name, changes, want) in cases {
            let found = self.judge(&changed(base, changes), None);
            assert_eq!(found.len(), want.len(), "{name}: {found:?}");
            for (found, (place, why)) in found.iter().zip(*want) {
                assert!(found.starts_with(&format!("{place}: ")) && found.ends_with(*why), "{name}: {found}");
            }
        }
    }
}

/// Each change is a field of an object, by its JSON pointer.
fn changed(base: &Value, changes: &[(&str, Value)]) -> Value {
    let mut object = base.clone();
    for (pointer, value) in changes {
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        object.pointer_mut(parent).unwrap()[field] = value.clone();
    }
    object
}

#[test]
fn listeners_are_told_apart() {
    let definition = Definition::of(GATEWAY);
    let base = json!({"apiVersion": "example.com/v1", "kind": "Gateway", "metadata": {"name": "g"}, "spec": {
    "className": "standard",
    "addresses": [{"type": "IPAddress", "value": "10.0.0.1"}, {"type": "Hostname", "value": "10.0.0.1"}, {"type": "IPAddress"}],
    "infrastructure": {"labels": {"example.com/team_a-b.c": "web", "reserved": ""}},
    "listeners": [
        {"name": "http", "port": 80, "protocol": "HTTP"},
        {"name": "https", "hostname": "*.example.com", "port": 443, "protocol": "HTTPS",
         "tls": {"mode": "Terminate", "certificates": [{"name": "cert"}]}},
    ]}});
    let listener = |name: &str, hostname: &str| json!({"name": name, "hostname": hostname, "port": 80, "protocol": "HTTP"});
    let plain = |name: &str| json!({"name": name, "port": 80, "protocol": "HTTP"});
    let tls = json!({"certificates": [{"name": "cert"}]});
    let ip = |value: &str| json!({"type": "IPAddress", "value": value});
    definition.judges(
        &base,
        &[
            ("as it should be", &[], &[]),
            (
                "one port for two hostnames",
                &[(
                    "/spec/listeners",
                    json!([listener("a", "a.example.com"), listener("b", "b.example.com")]),
                )],
                &[],
            ),
            ("a protocol of a domain", &[("/spec/listeners/0/protocol", json!("example.com/own"))], &[]),
            (
                "options for a certificate",
                &[(
                    "/spec/listeners/1/tls",
                    json!({"mode": "Terminate", "certificates": [{"name": "c"}], "options": {"a": "b"}}),
                )],
                &[],
            ),
            (
                "a name twice",
                &[("/spec/listeners/1/name", json!("http"))],
                &[
                    ("spec.listeners[1]", "Duplicate value: {\"name\":\"http\"}"),
                    ("spec.listeners", "a name is of one listener, of two"),
                ],
            ),
            (
                "a port twice",
                &[("/spec/listeners", json!([plain("a"), plain("b"), listener("c", "c.example.com")]))],
                &[("spec.listeners", "port, protocol and hostname are of one listener")],
            ),
            (
                "a hostname twice",
                &[(
                    "/spec/listeners",
                    json!([listener("a", "a.example.com"), listener("b", "a.example.com")]),
                )],
                &[("spec.listeners", "port, protocol and hostname are of one listener")],
            ),
            (
                "tls where nothing is encrypted",
                &[("/spec/listeners/0/tls", tls)],
                &[("spec.listeners", "what is not encrypted has no tls")],
            ),
            (
                "HTTPS that goes through",
                &[("/spec/listeners/1/tls/mode", json!("Passthrough"))],
                &[("spec.listeners", "HTTPS ends at the gateway")],
            ),
            (
                "HTTPS without a certificate",
                &[("/spec/listeners/1/tls/certificates", json!([]))],
                &[
                    ("spec", "a listener of HTTPS has a certificate"),
                    ("spec.listeners[1].tls", "what ends at the gateway has a certificate, or options"),
                ],
            ),
            (
                "a hostname of TCP",
                &[
                    ("/spec/listeners/0/protocol", json!("TCP")),
                    ("/spec/listeners/0/hostname", json!("a.example.com")),
                ],
                &[("spec.listeners", "without names there are no hostnames")],
            ),
            (
                "no hostname",
                &[("/spec/listeners/1/hostname", json!("Example_com"))],
                &[("spec.listeners[1].hostname", "(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$'")],
            ),
            (
                "no protocol",
                &[("/spec/listeners/0/protocol", json!("-own-"))],
                &[("spec.listeners[0].protocol", "\\/[A-Za-z0-9]+$'")],
            ),
            (
                "an address twice",
                &[("/spec/addresses", json!([ip("10.0.0.1"), ip("10.0.0.1")]))],
                &[("spec.addresses", "an address stands there once")],
            ),
            (
                "no address",
                &[("/spec/addresses", json!([ip("10.0.0")]))],
                &[("spec.addresses[0]", "an address of this type is one of IP")],
            ),
            (
                "no key",
                &[("/spec/infrastructure/labels", json!({"-team": "web"}))],
                &[("spec.infrastructure.labels", "a key has a prefix of DNS, or none")],
            ),
            (
                "a key that is reserved",
                &[("/spec/infrastructure/labels", json!({"reserved": "web"}))],
                &[("spec.infrastructure.labels", "what is reserved is empty")],
            ),
        ],
    );
    let other = changed(&base, &[("/spec/className", json!("other"))]);
    assert_eq!(definition.judge(&base, Some(&base)), [""; 0]);
    let refused = definition.judge(&other, Some(&base));
    assert_eq!(refused, ["spec.className: Invalid value: \"string\": the class stays as it is"]);
}

#[test]
fn routes_say_what_they_match_and_what_is_done() {
    let definition = Definition::of(HTTP_ROUTE);
    let path = |value: &str| json!({"path": {"type": "Prefix", "value": value}});
    let backend = json!({"group": "", "kind": "Service", "name": "shop", "port": 80, "weight": 1});
    let rewrite = json!({"type": "Rewrite", "rewrite": {"path": {"type": "ReplacePrefix", "to": "/"}}});
    let redirect = json!({"type": "Redirect", "redirect": {"status": 301}});
    let base = json!({"apiVersion": "example.com/v1", "kind": "HTTPRoute", "metadata": {"name": "r"}, "spec": {
    "parents": [{"name": "g"}, {"name": "g", "section": "https"}, {"name": "g", "section": "https", "port": 443}],
    "hostnames": ["www.example.com", "*.example.com"],
    "rules": [
        {"name": "shop", "matches": [path("/shop")], "filters": [rewrite], "backends": [backend],
         "timeouts": {"request": "10s", "backend": "1s500ms"}},
        {"filters": [redirect]},
    ]}});
    let value = "/spec/rules/0/matches/0/path/value";
    let header = |name: &str| json!([{"headers": [{"name": name, "value": "v"}]}]);
    let many = |times: usize| json!({"matches": vec![json!({"method": "GET"}); times]});
    definition.judges(
        &base,
        &[
            ("as it should be", &[], &[]),
            ("all that a path may have", &[(value, json!("/~a-b_c.d/%7E'(x);y=1,@:&$!*+"))], &[]),
            ("a header of odd letters", &[("/spec/rules/1/matches", header("X-`|~^_"))], &[]),
            ("as many matches as may be", &[("/spec/rules", json!([many(64), many(64), {}]))], &[]),
            ("no end", &[("/spec/rules/0/timeouts", json!({"request": "0s", "backend": "2s"}))], &[]),
            (
                "another kind of backend",
                &[(
                    "/spec/rules/0/backends",
                    json!([{"group": "example.com", "kind": "Bucket", "name": "b"}]),
                )],
                &[],
            ),
            (
                "a parent twice",
                &[("/spec/parents", json!([{"name": "g", "section": "a"}, {"name": "g", "section": "a"}]))],
                &[("spec.parents", "a parent stands there once")],
            ),
            (
                "a hostname twice",
                &[("/spec/hostnames", json!(["a.example.com", "b.example.com", "a.example.com"]))],
                &[("spec.hostnames", "a hostname stands there once")],
            ),
            (
                "an address",
                &[("/spec/hostnames", json!(["10.0.0.1"]))],
                &[("spec.hostnames", "an address is no hostname")],
            ),
            (
                "no slash",
                &[(value, json!("shop"))],
                &[("spec.rules[0].matches[0].path", "a path begins with a slash")],
            ),
            (
                "two slashes",
                &[(value, json!("/shop//a"))],
                &[("spec.rules[0].matches[0].path", "a path has no slash beside a slash")],
            ),
            (
                "up",
                &[(value, json!("/shop/.."))],
                &[("spec.rules[0].matches[0].path", "a path leads nowhere else")],
            ),
            (
                "letters of another alphabet",
                &[(value, json!("/größe"))],
                &[("spec.rules[0].matches[0].path", "a path has only what RFC 3986 lets it have")],
            ),
            (
                "a redirection to a backend",
                &[("/spec/rules/1/backends", json!([backend]))],
                &[("spec.rules[1]", "who is redirected reaches no backend")],
            ),
            (
                "one prefix of two",
                &[("/spec/rules/0/matches", json!([path("/a"), path("/b")]))],
                &[("spec.rules[0]", "a prefix is replaced where one is matched")],
            ),
            (
                "two redirections",
                &[("/spec/rules/1/filters", json!([redirect, redirect]))],
                &[("spec.rules[1].filters", "one redirects at most")],
            ),
            (
                "a redirection that is rewritten",
                &[(
                    "/spec/rules/1/filters",
                    json!([redirect, {"type": "Rewrite", "rewrite": {"hostname": "a"}}]),
                )],
                &[("spec.rules[1].filters", "who is redirected is not rewritten")],
            ),
            (
                "a type without its part",
                &[("/spec/rules/1/filters", json!([{"type": "Redirect"}]))],
                &[("spec.rules[1].filters[0]", "the type Redirect has redirect")],
            ),
            (
                "a part of another type",
                &[("/spec/rules/1/filters", json!([{"type": "Rewrite", "redirect": {}}]))],
                &[("spec.rules[1].filters[0]", "redirect is of the type Redirect")],
            ),
            (
                "a backend that may take longer",
                &[("/spec/rules/0/timeouts", json!({"request": "1s", "backend": "1m"}))],
                &[("spec.rules[0].timeouts", "a backend has no longer than the whole request")],
            ),
            (
                "no time",
                &[("/spec/rules/0/timeouts", json!({"request": "soon"}))],
                &[("spec.rules[0].timeouts.request", "should match '^([0-9]{1,5}(h|m|s|ms)){1,4}$'")],
            ),
            (
                "a Service without a port",
                &[("/spec/rules/0/backends", json!([{"group": "", "kind": "Service", "name": "s"}]))],
                &[("spec.rules[0].backends[0]", "a Service has a port")],
            ),
            (
                "more matches than may be",
                &[("/spec/rules", json!([many(64), many(64), many(1)]))],
                &[("spec.rules", "all rules together have 128 matches at most")],
            ),
            (
                "a match of nothing",
                &[("/spec/rules/1/matches", json!([{}]))],
                &[("spec.rules", "a match looks at something")],
            ),
            (
                "a name twice",
                &[("/spec/rules/1/name", json!("shop"))],
                &[("spec.rules", "a name is of one rule")],
            ),
            (
                "no header",
                &[("/spec/rules/1/matches", header("X Y"))],
                &[("spec.rules[1].matches[0].headers[0].name", "+\\-.^_\\x60|~]+$'")],
            ),
        ],
    );
}

#[test]
fn without_its_bounds_a_definition_costs_too_much() {
    let definition = |text: &str, pointer: &str| {
        let mut openapi: Value = serde_json::from_str(text).unwrap();
        let bounds = openapi.pointer_mut(pointer).unwrap().as_object_mut().unwrap();
        assert!(bounds.remove("maxItems").or_else(|| bounds.remove("maxLength")).is_some());
        let schema = schema(&openapi);
        told(Rules::compile(&schema, "schema").0.costs(&schema, "schema"))
    };
    let rules = "/properties/spec/properties/rules";
    let path = format!("{rules}/items/properties/matches/items/properties/path/properties/value");
    for (text, pointer) in
        [(GATEWAY, "/properties/spec/properties/listeners"), (HTTP_ROUTE, rules), (HTTP_ROUTE, path.as_str())]
    {
        let refused = definition(text, pointer);
        assert!(
            refused.iter().any(|why| why.contains("exceeds budget by factor of")),
            "{pointer}: {refused:?}"
        );
    }
}
