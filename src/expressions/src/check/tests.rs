use super::*;
use crate::places::located;
use crate::program::Program;
use serde_json::{Value as Json, json};

/// What is known of a rule about values of a schema, or what is wrong with it.
fn checked(schema: &Json, rule: &str) -> Result<(String, Range), String> {
    // only an object may stand at the root
    let whole = json!({"type": "object", "properties": {"at": schema}});
    let whole =
        schema::from_openapi(&whole, "").unwrap_or_else(|errors| panic!("{:?}", errors.into_causes()));
    let root = Place::of(&whole.properties["at"]);
    let program = Program::compile(rule, &["self", "oldSelf"]).unwrap_or_else(|why| panic!("{rule}: {why}"));
    let known = Check::of_rule(root, false, &Sizes::default()).node(&program.node);
    let known = known.map_err(|issue| located(rule, &program.node, &issue))?;
    Ok((known.ty.to_string(), known.cost))
}

fn cost(schema: &Json, rule: &str) -> Range {
    checked(schema, rule).unwrap_or_else(|why| panic!("{rule}: {why}")).1
}

/// A type by upstream's word for it in its tests.
fn of(name: &str) -> Json {
    match name {
        "int-or-string" => json!({"x-kubernetes-int-or-string": true}),
        "duration" | "date" | "date-time" => json!({"type": "string", "format": name}),
        "numbers" => json!({"type": "array", "items": {"type": "number"}}),
        "map" => json!({"type": "object", "additionalProperties": {"type": "number"}}),
        "object" => json!({"type": "object", "required": ["required"], "properties": {
            "required": {"type": "string"}, "optional": {"type": "string"}}}),
        "resource" => json!({"type": "object", "x-kubernetes-embedded-resource": true,
            "x-kubernetes-preserve-unknown-fields": true, "required": ["apiVersion", "kind", "metadata"]}),
        _ => json!({"type": name}),
    }
}

fn list(items: &Json, most: Option<u64>) -> Json {
    json!({"type": "array", "items": items, "maxItems": most})
}

fn map(values: &Json, most: Option<u64>) -> Json {
    json!({"type": "object", "additionalProperties": values, "maxProperties": most})
}

fn text(most: Option<u64>) -> Json {
    json!({"type": "string", "maxLength": most})
}

/// The figures of upstream's `TestCostEstimation` (`schema/cel/compilation_test.go`): without a bound, and with one.
#[test]
fn an_estimate_is_upstreams() {
    type Bounded = Box<dyn Fn(Option<u64>) -> Json>;
    let lists = |of_what: &str| -> Bounded {
        let items = of(of_what);
        Box::new(move |most| list(&items, most))
    };
    let maps = |of_what: &str| -> Bounded {
        let values = of(of_what);
        Box::new(move |most| map(&values, most))
    };
    let texts = || -> Bounded { Box::new(text) };
    let all = "self.all(x, true)";
    let nested = |most: Option<u64>| {
        let mut objects = of("object");
        objects["maxProperties"] = json!(most);
        list(&map(&objects, most), most)
    };
    let cases: [(&str, Bounded, &str, u64, u64, u64); 51] = [
        ("numbers", lists("number"), all, 4_718_591, 10, 32),
        ("texts", lists("string"), all, 3_145_727, 20, 62),
        ("truths", lists("boolean"), all, 1_887_437, 5, 17),
        ("lists", lists("numbers"), all, 3_145_727, 100, 302),
        ("objects", lists("object"), all, 555_128, 50, 152),
        ("map of numbers", maps("number"), all, 1_348_169, 10, 32),
        ("map of texts", maps("string"), all, 1_179_647, 3, 11),
        ("map of truths", maps("boolean"), all, 943_718, 100, 302),
        ("map of objects", maps("object"), all, 428_963, 20, 62),
        ("map of maps", maps("map"), all, 1_179_647, 10, 32),
        ("map of lists", maps("numbers"), all, 1_179_647, 25, 77),
        ("map of durations", maps("duration"), all, 1_048_577, 5, 17),
        ("map of dates", maps("date"), all, 524_288, 10, 32),
        ("map of times", maps("date-time"), all, 349_526, 25, 77),
        ("map of int-or-strings", maps("int-or-string"), all, 1_348_169, 15, 47),
        ("int-or-strings", lists("int-or-string"), all, 4_718_591, 10, 32),
        ("durations", lists("duration"), all, 2_359_295, 5, 17),
        ("dates", lists("date"), all, 725_936, 15, 47),
        ("times", lists("date-time"), all, 428_963, 25, 77),
        ("has", maps("number"), "has(self.x)", 1, 100, 1),
        ("contains", texts(), "self.contains('test')", 314_574, 10, 5),
        ("startsWith", texts(), "self.startsWith('test')", 2, 15, 2),
        ("endsWith", texts(), "self.endsWith('test')", 2, 30, 2),
        ("concatenation", texts(), "size(self + \"hello\") > size(\"hello\")", 314_578, 4, 7),
        ("a number of a list", lists("number"), "self[1] == 0.0", 2, 5000, 2),
        ("texts of a list", lists("string"), "self[1] == self[1]", 314_577, 8, 314_577),
        ("twice", lists("number"), "self.all(x, self.all(y, true))", u64::MAX, 10, 352),
        ("three times", lists("number"), "self.all(x, self.all(y, self.all(z, true)))", u64::MAX, 10, 3552),
        ("a pattern", texts(), "self.matches(\"x\")", 314_574, 50, 22),
        ("a pattern of nothing", texts(), "\"\".matches(\"(((((((((())))))))))[0-9]\")", 7, 10, 7),
        ("an empty pattern", texts(), "self.matches(\"\")", 1, 100, 1),
        (
            "keys in values",
            Box::new(|most| map(&text(most), most)),
            "self.all(x, x.contains(self[x]))",
            2_752_507,
            10,
            72,
        ),
        ("no item", lists("number"), "self[3] == 0.0", 2, 0, 2),
        ("no entry", maps("number"), "self[\"x\"] == 0.0", 2, 0, 2),
        ("no character", texts(), "self == \"x\"", 2, 0, 1),
        (
            "no byte",
            Box::new(|most| json!({"type": "string", "format": "byte", "maxLength": most})),
            "self == b\"x\"",
            2,
            0,
            1,
        ),
        ("more than fit", lists("number"), "self.all(x, x == 0.0)", 6_291_454, 3 * 1024 * 2048, 25_165_826),
        ("deep", Box::new(nested), "self.all(x, x[\"y\"].required == \"z\")", 7_340_027, 10, 72),
        (
            "deep, and bounded in the middle",
            Box::new(|most| list(&map(&of("object"), most), None)),
            "self.all(x, x[\"y\"].required == \"z\")",
            7_340_027,
            10,
            7_340_027,
        ),
        ("an int-or-string", lists("int-or-string"), "self[0] == 5", 3, 10, 3),
        ("a truth", lists("boolean"), "self[0] == false", 2, 25, 2),
        ("an object", lists("object"), "self[0] == null", 2, 422, 2),
        ("a list of a list", lists("numbers"), "self[0][0] == -1.0", 3, 51, 3),
        ("fields of maps", lists("map"), "self.all(x, x.y == 25.2)", 6_291_452, 12, 74),
        ("a field of a map", lists("map"), "self[0].x > 2.0", 4, 3000, 4),
        ("a duration", lists("duration"), "self[0].getHours() == 2", 4, 525, 4),
        ("find", texts(), "self.find('[0-9]+') == ''", 629_147, 10, 11),
        ("sizes", maps("integer"), "oldSelf.size() == self.size()", 5, 10, 5),
        ("times of a map", maps("date-time"), "self[\"a\"] == self[\"b\"]", 8, 7, 8),
        ("lowerAscii", texts(), "self.lowerAscii() == 'lower!'", 314_575, 10, 6),
        ("resources", lists("resource"), all, 219_470, 10, 32),
    ];
    for (name, schema, rule, unbounded, most, bounded) in cases {
        let found = cost(&schema(None), rule).max;
        match unbounded {
            // upstream only says that it is too much
            u64::MAX => assert!(found > 10_000_000, "{name}: {found}"),
            want => assert_eq!(found, want, "{name} without a bound"),
        }
        assert_eq!(cost(&schema(Some(most)), rule).max, bounded, "{name} with a bound of {most}");
    }
}

#[test]
fn library_functions_cost_what_upstream_says() {
    let texts = |most| list(&text(most), most);
    let replaced = |most| {
        json!({"type": "object", "properties": {
            "str": text(most), "before": text(Some(2)), "after": text(Some(4)), "separator": text(most)}})
    };
    let cases: [(&str, Json, &str, u64); 10] = [
        ("join", texts(None), "self.join(' ') == 'aa bb'", 329_853_068_905),
        ("join, bounded", texts(Some(10)), "self.join(' ') == 'aa bb'", 43),
        ("isSorted", texts(None), "self.isSorted() == true", 329_854_432_052),
        ("isSorted, bounded", texts(Some(10)), "self.isSorted() == true", 52),
        (
            "replace",
            replaced(None),
            "self.str.replace(self.before, self.after) == 'does not matter'",
            629_154,
        ),
        (
            "replace, bounded",
            replaced(Some(4)),
            "self.str.replace(self.before, self.after) == 'does not matter'",
            12,
        ),
        ("split", replaced(None), "self.str.split(self.separator) == []", 629_160),
        ("split, bounded", replaced(Some(10)), "self.str.split(self.separator) == []", 22),
        ("values", json!({"type": "string", "enum": ["A", "B", "LongValue"]}), "self.contains('A')", 2),
        (
            "values and a length",
            json!({"type": "string", "enum": ["A", "B", "LongValue"], "maxLength": 1000}),
            "self.contains('A')",
            401,
        ),
    ];
    for (name, schema, rule, want) in cases {
        assert_eq!(cost(&schema, rule).max, want, "{name}");
    }
    // of upstream's `library/cost_test.go`
    let five = "[1, 2, 3, 4, 5]";
    let cases: [(&str, u64, u64); 30] = [
        (&format!("{five}.sum()"), 15, 15),
        (&format!("{five}.indexOf(3)"), 15, 15),
        ("[uint(1), uint(2), uint(3), uint(4), uint(5)].isSorted()", 20, 20),
        ("'01234567890123456789012345678901234567890123456789'.indexOf('123')", 5, 5),
        ("url('https:://kubernetes.io/').getHost()", 4, 4),
        ("ip('192.168.0.1')", 2, 2),
        ("ip('2001:db8:3333:4444:5555:6666:7777:8888').family()", 5, 5),
        ("ip.isCanonical('2001:db8:3333:4444:5555:6666:7777:8888')", 8, 8),
        ("cidr('192.168.0.0/16').masked()", 3, 3),
        ("cidr('192.168.0.0/16').containsCIDR(cidr('192.0.0.0/30'))", 7, 11),
        ("cidr('192.168.0.0/16').containsCIDR('192.168.0.0/16')", 7, 11),
        ("cidr('192.168.0.0/16').containsIP(ip('192.0.0.1'))", 4, 7),
        ("'ABCDEFGHIJ abcdefghij'.lowerAscii() == 'abcdefghij ABCDEFGHIJ'.lowerAscii()", 7, 9),
        ("strings.quote('ABCDEFGHIJ abcdefghij')", 3, 3),
        ("'abc 123 def 123'.replace('123', '456', 1)", 3, 3),
        ("'abc 123 def 123'.split(' ')", 3, 3),
        ("'abc 123 def 123'.substring(5, 8)", 2, 2),
        ("'abc 123 def 123'.find('123')", 2, 2),
        ("'abc 123 def 123'.findAll('123', 1)", 2, 2),
        ("quantity(\"50k\").add(20).sub(quantity(\"100k\")).asInteger() > 0", 6, 6),
        ("quantity(\"50.703k\").asApproximateFloat() > 0.0", 3, 3),
        ("sets.contains([], [])", 21, 21),
        ("sets.contains([1, 2, 3, 4], [2, 3])", 29, 29),
        ("sets.contains([[1], [2, 3]], [[2, 3.0]])", 53, 53),
        ("sets.equivalent([1, 2, 3], [3u, 2.0, 1])", 39, 39),
        ("!sets.intersects([1], [\"1\", 2])", 24, 24),
        ("[1, 2, 3].distinct()", 39, 39),
        ("['a', 'b'].sort()", 30, 30),
        ("[1, 2, 3].slice(1, 3).size()", 24, 24),
        ("lists.range(5).all(x, true)", 32, 32),
    ];
    for (rule, min, max) in cases {
        assert_eq!(cost(&of("object"), rule), Range { min, max }, "{rule}");
    }
}

/// As `checker/cost.go` and `ext/lists.go` have it: what there is so far and each name are a step, a map is 30, a list 10.
#[test]
fn two_names_cost_what_one_costs_and_keys_are_sorted_by_pairs() {
    let numbers = |most| list(&of("number"), most);
    let integers = |most| map(&of("integer"), most);
    let cases: [(&str, Json, &str, u64); 12] = [
        ("all", numbers(Some(10)), "self.all(i, v, true)", 32),
        ("all, without a bound", numbers(None), "self.all(i, v, true)", 4_718_591),
        ("all of a map", integers(Some(10)), "self.all(k, v, v > 0)", 52),
        ("exists", numbers(Some(10)), "self.exists(i, v, i > 0)", 62),
        ("existsOne", numbers(Some(10)), "self.existsOne(i, v, true)", 23),
        ("transformList", numbers(Some(10)), "self.transformList(i, v, v)", 142),
        ("transformMap", integers(Some(10)), "self.transformMap(k, v, v)", 72),
        ("transformMap, some of it", integers(Some(10)), "self.transformMap(k, v, v > 0, v)", 92),
        ("transformMapEntry", integers(Some(10)), "self.transformMapEntry(k, v, {k: v})", 372),
        ("values of a map", map(&text(Some(10)), Some(3)), "self.all(k, v, v.contains('a'))", 26),
        ("sortBy", numbers(Some(10)), "self.sortBy(v, v)", 365),
        ("sortBy texts", list(&text(Some(10)), Some(10)), "self.sortBy(v, v)", 375),
    ];
    for (name, schema, rule, want) in cases {
        assert_eq!(cost(&schema, rule).max, want, "{name}");
    }
}

#[test]
fn what_can_not_be_right_is_refused_as_cel_go_does() {
    let schema = json!({"type": "object", "properties": {
        "n": {"type": "integer"}, "r": {"type": "number"}, "s": {"type": "string"}, "b": {"type": "boolean"},
        "at": {"type": "string", "format": "date-time"}, "text": {"type": "string", "format": "datetime"}, "span": {"type": "string", "format": "duration"},
        "any": {"x-kubernetes-preserve-unknown-fields": true}, "either": {"x-kubernetes-int-or-string": true},
        "list": list(&of("object"), None), "map": map(&of("integer"), None), "words": list(&of("string"), None)}});
    let cases = [
        ("self.nope == 1", "1:5: undefined field 'nope'\n | self.nope == 1\n | ....^"),
        ("self.n > 0 && self.list.all(i,\n i.required != '' && i.nope)", "2:23: undefined field 'nope'"),
        ("self.any == 1", "1:5: undefined field 'any'"),
        ("self.n == 's'", "1:8: found no matching overload for '_==_' applied to '(int, string)'"),
        (
            "self.n == self.n && self.n == self.s",
            "1:28: found no matching overload for '_==_' applied to '(int, string)'",
        ),
        ("self.r == 2", "1:8: found no matching overload for '_==_' applied to '(double, int)'"),
        ("self.n + self.s == ''", "1:8: found no matching overload for '_+_' applied to '(int, string)'"),
        ("self.s < 3", "found no matching overload for '_<_' applied to '(string, int)'"),
        ("self.s && self.b", "1:8: found no matching overload for '_&&_' applied to '(string, bool)'"),
        ("!self.n", "1:1: found no matching overload for '!_' applied to '(int)'"),
        ("self.b ? 1 : 's'", "1:8: found no matching overload for '_?_:_' applied to '(bool, int, string)'"),
        ("self.words.all(w, size(w))", "found no matching overload for '_&&_' applied to '(bool, int)'"),
        (
            "self.n.startsWith('1')",
            "1:18: found no matching overload for 'startsWith' applied to 'int.(string)'",
        ),
        (
            "self.s.matches(self.n)",
            "1:15: found no matching overload for 'matches' applied to 'string.(int)'",
        ),
        ("size(self.n) > 1", "1:5: found no matching overload for 'size' applied to '(int)'"),
        (
            "self.list[0].required[0] == 'a'",
            "1:22: found no matching overload for '_[_]' applied to '(string, int)'",
        ),
        ("self.s.x == 1", "1:7: type 'string' does not support field selection"),
        ("self.n.all(x, true)", "1:5: expression of type 'int' cannot be range of a comprehension"),
        ("'a' in self.map.x", "1:5: found no matching overload for '@in' applied to '(string, int)'"),
        ("1 in self.words", "found no matching overload for '@in' applied to '(int, list(string))'"),
        (
            "self.at - self.n > duration('1h')",
            "found no matching overload for '_-_' applied to '(timestamp, int)'",
        ),
        ("self.s != null", "found no matching overload for '_!=_' applied to '(string, null)'"),
        ("-self.s == 's'", "found no matching overload for '-_' applied to '(string)'"),
        ("self.n.all(i, v, true)", "1:5: expression of type 'int' cannot be range of a comprehension"),
        ("self.words.all(i, w, i == w)", "found no matching overload for '_==_' applied to '(int, string)'"),
        (
            "self.words.transformMapEntry(i, w, w) == {}",
            "found no matching overload for 'cel.@mapInsert' applied to '(map(dyn, dyn), string)'",
        ),
        (
            "self.words.transformMap(i, w, w, w) == {}",
            "found no matching overload for '_?_:_' applied to '(string, map(int, string), map(int, string))'",
        ),
        (
            "self.list.sortBy(i, i) == []",
            "found no matching overload for '@sortByAssociatedKeys' applied to 'list(object).(list(object))'",
        ),
        ("self.list.sort() == []", "found no matching overload for 'sort' applied to 'list(object).()'"),
        (
            "self.words.flatten() == []",
            "found no matching overload for 'flatten' applied to 'list(string).()'",
        ),
    ];
    for (rule, want) in cases {
        let why = checked(&schema, rule).expect_err(rule);
        assert!(why.starts_with("ERROR: <input>:") && why.contains(want), "{rule}: {why}");
    }
    let right = [
        ("self.n < 2.5 && self.r >= 1", "bool"),
        ("self.either == 1 || self.either == '1' || self.either.startsWith('1')", "bool"),
        ("self.at + self.span > self.at && self.at - self.at == self.span", "bool"),
        ("self.list.filter(i, has(i.optional)).map(i, i.required + 'x')", "list(string)"),
        ("self.map.all(k, self.map[k] > 0) && self.map.x == 1 && 'x' in self.map", "bool"),
        ("dyn(self.n) == 's' || type(self.n) == int", "bool"),
        ("self.?s.orValue('') + self.words[?0].orValue('')", "string"),
        ("self.?list[0].required.value()", "dyn"),
        ("self.list == [] || self.list[0] == null || oldSelf.list != self.list", "bool"),
        ("cel.bind(l, self.list, l.exists_one(i, i.required == 'a'))", "bool"),
        ("self.words.max() + self.words.join(',').replace('a', 'b').split(',')[0]", "string"),
        ("[1, 'a', self.n].exists(x, x == 'a') && {'a': 1, 'b': 's'}['a'] == 's'", "bool"),
        ("quantity(self.s).add(quantity('1')).isGreaterThan(quantity('2')) ? 'yes' : self.s", "string"),
        ("self.?n.optMap(n, n + 1).orValue(1)", "int"),
        ("self.words.all(i, w, i >= 0 && w != '') && self.map.exists(k, v, k == 'a' && v > 1)", "bool"),
        ("self.words.transformList(i, w, i > 0, w + 'x')", "list(string)"),
        ("self.map.transformMap(k, v, string(v))", "map(string, string)"),
        ("self.words.transformMapEntry(i, w, {w: i})", "map(string, int)"),
        ("self.list.sortBy(i, i.required)", "list(object)"),
        ("self.words.sortBy(w, size(w))[0] + self.words.sort().distinct()[0]", "string"),
        ("[[1], [2]].flatten() + [self.?n].unwrapOpt() + optional.unwrap([self.?n])", "list(int)"),
        ("self.words.first().orValue('') + self.words.last().value()", "string"),
        ("lists.range(self.n).all(i, i >= 0)", "bool"),
        ("self.text.startsWith('2') && self.text != self.s", "bool"),
    ];
    for (rule, want) in right {
        assert_eq!(checked(&schema, rule).map(|(ty, _)| ty).as_deref(), Ok(want), "{rule}");
    }
}

#[test]
fn a_place_is_told_only_where_it_is_certain() {
    let schema = of("object");
    let why = checked(&schema, "'.nope' != '' && self.nope == ''").unwrap_err();
    assert!(why.starts_with("ERROR: <input>:1:22: undefined field"), "{why}");
    let why = checked(&schema, "self.required.size() > size(size('a'))").unwrap_err();
    assert!(why.contains("found no matching overload for 'size' applied to '(int)'"), "{why}");
}

#[test]
fn no_chain_of_names_makes_a_type_without_end() {
    for made in ["{n: n}", "[[[[n]]]]", "[{n: n}, {n: n}]"] {
        let chain = (0..60).fold("[n] == [n]".to_owned(), |body, _| format!("cel.bind(n, {made}, {body})"));
        let found = checked(&of("object"), &format!("cel.bind(n, self.required, {chain})"));
        assert_eq!(found.map(|(ty, _)| ty).as_deref(), Ok("bool"), "{made}");
    }
}
