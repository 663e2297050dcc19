mod definitions;

use crate::{Budget, Fault, Outcome, Program, Rules, Variables};
use schema::{ErrorList, Schema};
use serde_json::{Value, json};

fn evaluate(source: &str, own: &Value) -> Result<Outcome, Fault> {
    let program = Program::compile(source, &["self"]).unwrap_or_else(|why| panic!("{source}: {why}"));
    program.evaluate(&Variables::default().json("self", own), &mut Budget(10_000_000))
}

#[test]
fn expressions_have_the_value_that_upstream_gives_them() {
    let own = json!({
        "name": "web", "n": 3, "f": 1.5, "on": true, "nothing": null, "list": [1, 2, 3], "words": ["a", "b"],
        "map": {"a": 1, "b-c": 2}, "items": [{"name": "x", "port": 80}, {"name": "y"}], "if": 1,
    });
    let truths = [
        "self.n == 3 && self.n != 4 && self.n < 4 && self.n <= 3 && self.n > 2 && self.n >= 3",
        "self.n + 1 == 4 && self.n - 1 == 2 && self.n * 2 == 6 && self.n / 2 == 1 && self.n % 2 == 1 && -self.n == -3",
        "self.f > 1.0 && self.f + 0.5 == 2.0",
        "self.name + 'x' == 'webx' && self.name.startsWith('w') && self.name.endsWith('b') && self.name.contains('e')",
        "self.name.matches('^[a-z]+$') && !self.name.matches('[0-9]') && self.name.matches(self.name)",
        "size(self.name) == 3 && self.list.size() == 3 && size(self.map) == 2",
        "has(self.name) && !has(self.missing)",
        "self.list.all(i, i > 0) && self.list.exists(i, i == 2) && self.list.exists_one(i, i == 2)",
        "self.list.map(i, i * 2) == [2, 4, 6] && self.list.map(i, i > 1, i) == [2, 3] && self.list.filter(i, i > 2) == [3]",
        "self.map.all(key, key.startsWith('a') || self.map[key] == 2)",
        "2 in self.list && !(7 in self.list) && 'a' in self.map",
        "self.items.exists(i, has(i.port) && i.port == 80)",
        "self.items.exists(i, i.port == 80)",
        "!self.items.all(i, i.port == 81)",
        "self.n == 3 ? true : self.missing",
        "string(self.on) == 'true' && bool('f') == false && bool(self.on) && bool(string(self.on))",
        "string(timestamp('2020-01-01T00:00:00Z')) == '2020-01-01T00:00:00Z' && string(duration('90m')) == '5400s'",
        "int('-5') == -5 && uint('5') == 5u && double('1.5') == 1.5",
        "format.named('dns1123Label').value().validate('A_b').hasValue() && !format.named('nobody').hasValue()",
        "self.missing == 1 || true",
        "!(false && self.missing == 1)",
        "self.?missing.orValue('none') == 'none' && self.?name.orValue('none') == 'web'",
        "self.?map.?a.hasValue() && !self.?missing.?deeper.hasValue() && self.map[?'zz'].orValue(5) == 5",
        "optional.none().or(optional.of(3)).value() == 3 && self.?n.optMap(v, v + 1).value() == 4",
        "cel.bind(n, self.n, n * n) == 9",
        "type(self.n) == int && type(self.name) == string && type(self.list) == list",
        "self['if'] == 1 && self.map['b-c'] == 2",
        "self.nothing == null",
        "quantity('1Gi').isGreaterThan(quantity('500Mi')) && isQuantity('1k') && quantity('2').asInteger() == 2",
        "ip('10.0.0.1').family() == 4 && cidr('10.0.0.0/8').containsIP('10.1.2.3') && isIP('::1')",
        "url('https://a.b:8443/c').getHost() == 'a.b:8443'",
        "sets.contains([1, 2], [1]) && sets.intersects([1], [1, 2])",
        "'a,b'.split(',') == ['a', 'b'] && ['a', 'b'].join('-') == 'a-b' && 'Abc'.lowerAscii() == 'abc'",
        "[3, 1].isSorted() == false && [1, 2].sum() == 3 && self.list.max() == 3 && self.list.indexOf(2) == 1",
        "duration('1h') > duration('59m') && timestamp('2024-01-01T00:00:00Z').getFullYear() == 2024",
        "'a-1'.find('[0-9]') == '1' && 'x%sy'.format(['-']) == 'x-y'",
        "'a-b.c'.matches(r'^[\\w-.]+$') && !'é'.matches(r'\\w') && 'a.b'.matches(r'\\Q.\\E') && 'b'.matches('(?U)a*b')",
        "matches('x1', r'\\d\\z') && !matches('٣', r'\\d') && 'é1'.find(r'\\w') == '1' && 'a٣1'.findAll(r'\\pN') == ['٣', '1']",
        "int('5') == 5 && string(5) == '5' && double('1.5') == 1.5 && {'a': 1}['a'] == 1 && [1, 2][1] == 2",
        "self.list.all(i, v, v == i + 1) && self.list.exists(i, v, i == 2 && v == 3) && !self.list.all(i, v, i == 0)",
        "self.list.existsOne(i, v, v > 2) && !self.list.exists_one(i, v, v > 1) && self.list.existsOne(v, v > 2)",
        "self.map.all(k, v, self.map[k] == v) && self.map.exists(k, v, k == 'b-c' && v == 2)",
        "self.list.exists(i, v, self.missing == i || v > 2) && self.list.all(i, v, self.list.exists(j, w, w == v && i == j))",
        "self.list.transformList(i, v, i * v + v) == [1, 4, 9]",
        "self.list.transformList(i, v, i % 2 == 0, i * v + v) == [1, 9] && self.map.transformList(k, _, k) == ['a', 'b-c']",
        "self.list.transformMap(i, v, i * v + v) == {0: 1, 1: 4, 2: 9}",
        "self.map.transformMap(k, v, v > 1, v + 1) == {'b-c': 3}",
        "self.words.transformMapEntry(i, w, {w: i}) == {'a': 0, 'b': 1} && self.map.transformMapEntry(k, v, {}) == {}",
        "self.words.transformMapEntry(i, w, w == 'b', {w: i, w + w: i}) == {'b': 1, 'bb': 1}",
        "[-3, 1, -5, -2, 4].sortBy(e, -(e * e)) == [-5, 4, -3, -2, 1] && self.items.sortBy(i, i.name)[1].name == 'y'",
        "['a', 'c', 'b', 'first'].sortBy(e, e == 'first' ? '' : e) == ['first', 'a', 'b', 'c'] && [].sortBy(e, e) == []",
        "[[2, 1], [1]].sortBy(l, l.sortBy(e, e)[0])[0] == [2, 1] && lists.range(3).sortBy(e, -e) == [2, 1, 0]",
        "[3, 1, 2].sort() == [1, 2, 3] && [1, 2, 3].slice(1, 3) == [2, 3] && [2, 1].reverse() == [1, 2]",
        "[1, 2, 1].distinct() == [1, 2] && lists.range(3) == [0, 1, 2] && [1, [2, [3, 4]]].flatten(2) == [1, 2, 3, 4]",
        "[1, [2, [3, 4]]].flatten() == [1, 2, [3, 4]] && [[1], []].flatten(0) == [[1], []]",
        "[optional.of(1), optional.none()].unwrapOpt() == [1] && optional.unwrap([optional.of(2)]) == [2]",
        "self.list.last().value() == 3 && self.list.first().value() == 1 && ![].first().hasValue()",
        "semver('1.2.3').isLessThan(semver('2.0.0'))",
        "!format.dns1123Label().validate('my-name').hasValue()",
    ];
    for source in truths {
        assert_eq!(evaluate(source, &own), Ok(Outcome::Bool(true)), "{source}");
    }
    let faults = [
        ("self.missing", "no such key: missing"),
        ("self.list[9] == 1", "index out of bounds: 9"),
        ("self.n / 0 == 1", "division by zero"),
        ("int(self.name) == 1", "type conversion error from 'string' to 'int'"),
        ("bool(self.name)", "type conversion error from 'string' to 'bool'"),
        ("self.n + self.name == 1", "no such overload"),
        ("9223372036854775807 + 1 > 0", "integer overflow"),
        ("[1, 1].transformMapEntry(i, v, {v: i}) == {}", "insert failed: key 1 already exists"),
        ("[0, 0u].transformMapEntry(i, v, {v: i}) == {}", "insert failed: key 0 already exists"),
        ("self.list.transformMapEntry(i, v, v) == {}", "no such overload"),
        (
            "[1, 2].slice(2, 1) == []",
            "cannot slice(2, 1), start index must be less than or equal to end index",
        ),
        ("[1, 2].slice(0, 3) == []", "cannot slice(0, 3), list is length 2"),
        ("[1, 2].slice(-1, 1) == []", "cannot slice(-1, 1), negative indexes not supported"),
        ("[[1]].flatten(-1) == []", "level must be non-negative"),
        ("['d', 3].sort() == []", "list elements must have the same type"),
        ("[[1]].sortBy(l, l) == []", "list elements must be comparable"),
        ("lists.range(-1) == []", "lists.range: size must be non-negative, got -1"),
    ];
    for (source, why) in faults {
        assert_eq!(evaluate(source, &own), Err(Fault::Error(why.to_owned())), "{source}");
    }
}

#[test]
fn what_can_not_be_compiled_says_why() {
    let refused = [
        ("self.a >=", "ERROR: <input>:1:"),
        ("other.a == 1", "undeclared reference to 'other'"),
        ("self.a.wobble()", "undeclared reference to 'wobble'"),
        ("wobble(self)", "undeclared reference to 'wobble'"),
        ("sets.wobble(self)", "undeclared reference to 'sets'"),
        ("self.all(i, i, true)", "duplicate variable name: i"),
        ("self.transformMap(i.j, k, true)", "argument must be a simple name"),
        ("self.transformList(i, true)", "undeclared reference to 'transformList'"),
        ("{'a': 1}.sortBy(e, e)", "sortBy can only be applied to a list"),
        ("self.all(i, v, w)", "undeclared reference to 'w'"),
        ("self.matches('(')", "error parsing regexp: missing closing ): `(`"),
        ("self.matches('(?=a)')", "error parsing regexp: invalid or unsupported Perl syntax: `(?=`"),
    ];
    for (source, why) in refused {
        let refusal = Program::compile(source, &["self"]).expect_err(source);
        assert!(refusal.contains(why), "{source}: {refusal}");
    }
}

#[test]
fn no_expression_works_without_bound() {
    let thousand: Vec<u32> = (0..1000).collect();
    let own = json!({"l": thousand, "t": "x".repeat(10_000)});
    let doubled = |from: &str, times: usize| format!("[{from}]{}", ".map(x, x + x)".repeat(times));
    let shared = |times: usize| format!("[self.l]{}", ".map(x, [x, x])".repeat(times));
    let expensive = [
        "self.l.all(a, self.l.all(b, self.l.all(c, a + b + c >= 0)))".to_owned(),
        "self.l.all(i, a, self.l.all(j, b, self.l.all(k, c, a + b + c >= 0)))".to_owned(),
        "self.l.distinct().size() > 0".to_owned(),
        "cel.bind(p, self.l.slice(0, 900), self.l.slice(0, 400).map(x, p)).distinct().size() > 0".to_owned(),
        "self.l.sortBy(x, -x).size() > 0".to_owned(),
        "self.l.slice(0, 600).sortBy(x, self.t).size() > 0".to_owned(),
        "self.l.all(a, self.l == self.l)".to_owned(),
        format!("size({}[0]) > 0", doubled("self.t", 40)),
        format!("{0} == {0}", shared(40)),
        format!(
            "'x'{}.size() > 0",
            ".replace('', 'yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy')".repeat(12)
        ),
        "size(lists.range(9000000000)) > 0".to_owned(),
        "'%.999999999f'.format([1.0]).size() > 0".to_owned(),
        "self.l.exists(a, self.t.matches(self.t + string(a)))".to_owned(),
        "(self.l.all(a, self.l.all(b, self.l.all(c, true)))) || true".to_owned(),
        "self.l.map(a, self.l.map(b, self.l)).size() > 0 && self.l.map(a, self.l.map(b, self.l)) != []"
            .to_owned(),
        "self.l.all(a, self.t.find('(x+x+)+y' + string(a)) == '')".to_owned(),
        "self.l.all(a, !self.t.matches('(x+x+)+y'))".to_owned(),
        "self.l.all(a, self.l.all(b, 'xxxx'.find('(x{1,' + string(a + 1) + '}){9}' + string(b)) != 'y'))"
            .to_owned(),
        "self.l.all(a, 'x'.matches('[^' + string(a) + ']{300}') || true)".to_owned(),
        "self.l.all(a, '%s%s%s'.format([self.t, self.t, self.t]).size() > 0)".to_owned(),
        format!("[self.t]{}.size() > 0", ".map(x, x + x).map(x, [x, x].join(x))".repeat(9)),
    ];
    for source in expensive {
        let start = std::time::Instant::now();
        assert_eq!(evaluate(&source, &own), Err(Fault::Cost), "{}", &source[..source.len().min(80)]);
        assert!(start.elapsed().as_secs() < 120, "{source}");
    }
    // what a pattern becomes is bounded, whoever compiles it
    for source in ["'x'.find(self.p) == ''", "'x'.findAll(self.p) == []", "'x'.matches(self.p)"] {
        let evil = evaluate(source, &json!({"p": "((\\w{1000}){1000}){1000}"}));
        assert!(
            matches!(&evil, Err(Fault::Error(why)) if why.starts_with("error parsing regexp")),
            "{source}: {evil:?}"
        );
    }
    let program = Program::compile("self.l.all(a, a >= 0)", &["self"]).unwrap();
    let mut budget = Budget(10_000);
    let variables = Variables::default().json("self", &own);
    assert_eq!(program.evaluate(&variables, &mut budget), Ok(Outcome::Bool(true)));
    assert_eq!(program.evaluate(&variables, &mut budget), Err(Fault::Budget), "what is left is not enough");
    // as deep as it may be, it is checked on the stack of any thread
    let deepest = format!("self.at{} != ''", " + self.at".repeat(240));
    let of = json!({"type": "object", "properties": {"at": {"type": "string"}},
                    "x-kubernetes-validations": [{"rule": deepest}]});
    assert_eq!(told(Rules::compile(&schema(&of), "schema").1), [""; 0]);
    // what is deep is refused before anybody goes down
    for deep in [
        format!("{}self{}", "(".repeat(5000), ")".repeat(5000)),
        format!("1{}", "+1".repeat(20_000)),
        "!".repeat(90_000),
    ] {
        assert!(Program::compile(&deep, &["self"]).is_err());
    }
}

fn schema(of: &Value) -> Schema {
    schema::from_openapi(of, "schema").unwrap_or_else(|errors| panic!("{:?}", errors.into_causes()))
}

fn spec_with(rule: Value) -> Value {
    json!({"type": "object", "properties": {"spec": {"type": "object", "x-kubernetes-validations": [rule], "properties": {
        "min": {"type": "integer"}, "max": {"type": "integer"}, "at": {"type": "string", "format": "date-time"},
        "ratio": {"type": "number"}, "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "ports": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}}}}}}}})
}

fn told(errors: ErrorList) -> Vec<String> {
    errors.into_causes().into_iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect()
}

fn validate(of: &Value, object: &Value, old: Option<&Value>) -> Vec<String> {
    let schema = schema(of);
    let (rules, refused) = Rules::compile(&schema, "schema");
    assert!(refused.is_empty(), "{:?}", told(refused));
    let mut errors = ErrorList::default();
    rules.validate(object, old, &schema, &mut errors);
    told(errors)
}

#[test]
fn rules_speak_as_upstream() {
    let object = json!({"spec": {"min": 5, "max": 3}});
    let cases = [
        (
            json!({"rule": "self.min <= self.max"}),
            "spec: Invalid value: \"object\": failed rule: self.min <= self.max",
        ),
        (
            json!({"rule": "self.min <= self.max", "message": "too low"}),
            "spec: Invalid value: \"object\": too low",
        ),
        (
            json!({"rule": "self.min <= self.max", "message": "x", "messageExpression": "'min is ' + string(self.min)"}),
            "spec: Invalid value: \"object\": min is 5",
        ),
        (
            json!({"rule": "self.min <= self.max", "message": "no", "reason": "FieldValueForbidden", "fieldPath": ".min"}),
            "spec.min: Forbidden: no",
        ),
        (
            json!({"rule": "self.labels['a'] == 'b'"}),
            "spec: Invalid value: \"object\": no such key: labels evaluating rule: self.labels['a'] == 'b'",
        ),
    ];
    for (rule, want) in cases {
        assert_eq!(validate(&spec_with(rule.clone()), &object, None), [want], "{rule}");
    }
    let holds = [
        "self.at > timestamp('2020-01-01T00:00:00Z')",
        "self.ratio == 2.0 && type(self.ratio) == double",
        "self.labels.all(k, k == 'a-b')",
        "self.ports.all(p, p.name != '')",
    ];
    let object = json!({"spec": {"at": "2024-01-01T00:00:00Z", "ratio": 2, "labels": {"a-b": "c"}, "ports": [{"name": "x"}]}});
    for rule in holds {
        assert!(validate(&spec_with(json!({"rule": rule})), &object, None).is_empty(), "{rule}");
    }
}

#[test]
fn transitions_are_judged_where_there_was_something() {
    let (two, three) = (json!({"spec": {"min": 2}}), json!({"spec": {"min": 3}}));
    let of = spec_with(json!({"rule": "self.min >= oldSelf.min", "message": "may not fall"}));
    assert!(validate(&of, &two, None).is_empty(), "a new object has no old one");
    assert!(validate(&of, &three, Some(&two)).is_empty());
    assert_eq!(validate(&of, &two, Some(&three)), ["spec: Invalid value: \"object\": may not fall"]);
    let of = spec_with(json!({"rule": "oldSelf.hasValue() || self.min == 2", "optionalOldSelf": true}));
    assert!(validate(&of, &two, None).is_empty());
    assert_eq!(validate(&of, &three, None).len(), 1, "an optional one is asked of a new object too");
    assert!(validate(&of, &three, Some(&two)).is_empty());
    // a rule that came later is no reason to refuse what nobody touched (KEP-4008)
    let of = spec_with(json!({"rule": "self.min > 100"}));
    assert!(validate(&of, &two, Some(&two)).is_empty());
    assert_eq!(validate(&of, &three, Some(&two)).len(), 1);
}

#[test]
fn sets_and_maps_are_compared_and_added_without_their_order() {
    let text = json!({"type": "string"});
    let item = json!({"type": "object", "properties": {"in": text, "v": text}});
    let lists = |rule: &str| {
        json!({"type": "object", "properties": {"spec": {"type": "object", "x-kubernetes-validations": [{"rule": rule}], "properties": {
            "set": {"type": "array", "items": text, "x-kubernetes-list-type": "set"},
            "map": {"type": "array", "items": item, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["in"]},
            "atoms": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "object", "x-kubernetes-map-type": "atomic",
                "additionalProperties": text}},
            "list": {"type": "array", "items": text}}}}})
    };
    let of = |set: [&str; 2], map: [(&str, &str); 2], list: [&str; 2]| {
        let items = map.map(|(key, v)| json!({"in": key, "v": v}));
        let atoms = set.map(|name| json!({"name": name, "a": "1", "b": "2", "c": "3", "d": "4"}));
        json!({"spec": {"set": set, "map": items, "list": list, "atoms": atoms}})
    };
    let old = of(["a", "b"], [("x", "1"), ("y", "2")], ["a", "b"]);
    let turned = of(["b", "a"], [("y", "2"), ("x", "1")], ["b", "a"]);
    let other = of(["b", "c"], [("y", "2"), ("x", "3")], ["a", "b"]);
    let cases = [
        ("self.set == oldSelf.set", true, false),
        ("self.map == oldSelf.map", true, false),
        ("self.list == oldSelf.list", false, true),
        ("self.map.filter(i, true) == oldSelf.map.filter(i, true)", false, false),
        ("self.set != oldSelf.set", false, true),
        ("self.atoms == oldSelf.atoms", true, false),
        ("self == oldSelf", false, false),
        ("[self.map] == [oldSelf.map] && {'a': self.set} == {'a': oldSelf.set}", true, false),
        ("(oldSelf.set + self.set).size() == 2 && (oldSelf.map + self.map).size() == 2", true, false),
        ("(oldSelf.map + self.map).exists(i, i.v == '3')", false, true),
        ("(oldSelf.list + self.list).size() == 4", true, true),
        ("self.set == ['a', 'b'] && ['b', 'a'] == self.set", true, false),
    ];
    for (rule, of_turned, of_other) in cases {
        let holds = |new: &Value| validate(&lists(rule), new, Some(&old)).is_empty();
        assert_eq!((holds(&turned), holds(&other)), (of_turned, of_other), "{rule}");
    }
}

#[test]
fn beside_a_set_other_comparisons_cost_what_they_did() {
    let text = json!({"type": "string"});
    let rule = "self.set.all(word, word != self.text && self.set != [word])";
    let of = json!({"type": "object", "properties": {"spec": {"type": "object", "x-kubernetes-validations": [{"rule": rule}],
        "properties": {"text": text, "set": {"type": "array", "items": text, "x-kubernetes-list-type": "set"}}}}});
    let words: Vec<String> = (0..300).map(|number| number.to_string()).collect();
    let spec = json!({"text": "x".repeat(100_000), "set": words});
    assert_eq!(validate(&of, &json!({"spec": spec}), None).len(), 0);
}

#[test]
fn a_resource_has_its_name() {
    let of = json!({"type": "object", "x-kubernetes-validations": [{"rule": "self.metadata.name == 'a' && self.kind == 'K'"}],
                    "properties": {"spec": {"type": "object"}}});
    assert!(validate(&of, &json!({"kind": "K", "metadata": {"name": "a"}}), None).is_empty());
    assert_eq!(validate(&of, &json!({"kind": "K", "metadata": {"name": "b"}}), None).len(), 1);
}

#[test]
fn bad_rules_are_refused_with_the_definition() {
    let cases = [
        (
            json!({"rule": ""}),
            "schema.properties[spec].x-kubernetes-validations[0].rule: Required value: rule is not specified",
        ),
        (
            json!({"rule": "self.nope == 1"}),
            "compilation failed: ERROR: <input>:1:5: undefined field 'nope'\n | self.nope == 1\n | ....^",
        ),
        (json!({"rule": "self.ports.all(p, p.nope == 1)"}), "undefined field 'nope'"),
        (
            json!({"rule": "self.min"}),
            ".rule: Invalid value: {\"rule\":\"self.min\"}: cel expression must evaluate to a bool",
        ),
        (
            json!({"rule": "self.min == self.at"}),
            "found no matching overload for '_==_' applied to '(int, timestamp)'",
        ),
        (
            json!({"rule": "nobody == 1"}),
            "compilation failed: ERROR: <input>:1:1: undeclared reference to 'nobody'",
        ),
        (json!({"rule": "self.min +"}), "compilation failed: ERROR: <input>:1:"),
        (
            json!({"rule": "true", "messageExpression": "self.min > 1"}),
            "messageExpression must evaluate to a string",
        ),
        (json!({"rule": "true", "message": "a\nb"}), "message must not contain line breaks"),
        (json!({"rule": "true", "reason": "Nope"}), "Unsupported value: \"Nope\""),
        (json!({"rule": "true", "fieldPath": ".nope"}), "does not refer to a valid field"),
        (json!({"rule": "true", "optionalOldSelf": true}), "may not be set if oldSelf is not used in rule"),
    ];
    for (rule, want) in cases {
        let refused = told(Rules::compile(&schema(&spec_with(rule.clone())), "schema").1);
        assert!(refused.iter().any(|why| why.contains(want)), "{rule}: {refused:?}");
    }
    let of = json!({"type": "object", "properties": {"list": {"type": "array", "items": {"type": "object",
        "x-kubernetes-validations": [{"rule": "self == oldSelf"}]}}}});
    let refused = told(Rules::compile(&schema(&of), "schema").1);
    assert!(refused[0].contains("oldSelf cannot be used on the uncorrelatable portion of the schema within schema.properties[list]"), "{refused:?}");
}

#[test]
fn a_rule_that_is_stored_but_can_not_be_compiled_refuses() {
    let told = |rule: &str| {
        let of = schema(&spec_with(json!({"rule": rule})));
        let (rules, refused) = Rules::compile(&of, "schema");
        assert!(!refused.is_empty(), "{rule}");
        let mut errors = ErrorList::default();
        rules.validate(&json!({"spec": {"ratio": 2}}), None, &of, &mut errors);
        told(errors)
    };
    assert!(
        told("nobody == 1")[0]
            .contains("rule compile error: compilation failed: ERROR: <input>:1:1: undeclared")
    );
    assert!(told("self.nope == 1")[0].contains("no such key: nope"));
    // what an earlier version took is judged as it was
    assert_eq!(told("self.ratio == 2"), [""; 0]);
}
