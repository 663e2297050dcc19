//! What parameters make sense, and what is said of others.

use super::*;

fn asked(query: &str) -> Request {
    Request::for_tests("GET", "/api/v1/pods", query, Vec::new())
}

fn refused<T>(outcome: Result<T, Status>) -> (u16, String) {
    outcome.err().map(|status| (status.code, status.message)).unwrap_or_default()
}

#[test]
fn who_names_no_manager_is_known_by_its_program() {
    for (header, want) in [
        ("kubectl/v1.34.0 (linux/amd64)", "kubectl"),
        ("curl", "curl"),
        ("", "unknown"),
        ("/x", "unknown"),
        ("a\u{200b}b\tc/1", "abc"),
    ] {
        assert_eq!(user_agent(header), want, "{header:?}");
    }
}

#[test]
fn a_manager_is_checked_whatever_is_written() {
    let long = format!("fieldManager={}", "m".repeat(129));
    let words =
        |options: &str, why: &str| format!("{options}.meta.k8s.io \"\" is invalid: fieldManager: {why}");
    let too_long = "Too long: may not be more than 128 bytes";
    for (method, query, want) in [
        ("POST", "fieldManager=a%20b", String::new()),
        ("POST", long.as_str(), words("CreateOptions", too_long)),
        ("PUT", &long, words("UpdateOptions", too_long)),
        ("PATCH", &long, words("PatchOptions", too_long)),
        (
            "PATCH",
            "fieldManager=a%07b",
            words("PatchOptions", "Invalid value: \"a\\u0007b\": invalid character U+0007 (at position 1)"),
        ),
    ] {
        let asked = Request::for_tests(method, "/api/v1/pods", query, Vec::new());
        let code = if want.is_empty() { 0 } else { 422 };
        assert_eq!(refused(write(&asked)), (code, want), "{method} {query}");
    }
}

#[test]
fn how_to_write_is_said_in_words_that_are_known() {
    let cases = [
        ("POST", "dryRun=All&fieldValidation=Strict", String::new()),
        ("POST", "dryRun=&fieldValidation=", String::new()),
        (
            "POST",
            "dryRun=All&dryRun=Some",
            r#"CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["All","Some"]: supported values: "All""#
                .to_owned(),
        ),
        (
            "PUT",
            "fieldValidation=strict",
            r#"UpdateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: "strict": supported values: "", "Ignore", "Strict", "Warn""#
                .to_owned(),
        ),
        (
            "PATCH",
            "fieldValidation=no&dryRun=no",
            r#"PatchOptions.meta.k8s.io "" is invalid: [dryRun: Unsupported value: ["no"]: supported values: "All", fieldValidation: Unsupported value: "no": supported values: "", "Ignore", "Strict", "Warn"]"#
                .to_owned(),
        ),
    ];
    for (method, query, want) in cases {
        let asked = Request::for_tests(method, "/api/v1/pods", query, Vec::new());
        let code = if want.is_empty() { 0 } else { 422 };
        assert_eq!(refused(write(&asked)), (code, want), "{method} {query}");
    }
    let some = r#"{"dryRun": ["Some"]}"#;
    let want = r#"DeleteOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["Some"]: supported values: "All""#;
    assert_eq!(refused(delete(&asked(""), some.as_bytes())), (422, want.to_owned()));
    assert!(delete(&asked("dryRun=All"), b"").is_ok_and(|options| options.dry_run));
}

#[test]
fn a_list_is_asked_for_in_a_way_that_makes_sense() {
    let cases = [
        ("resourceVersionMatch=Exact", 422, "unless resourceVersion is provided"),
        ("resourceVersion=0&resourceVersionMatch=Exact", 422, "is forbidden for resourceVersion \"0\""),
        ("resourceVersion=5&resourceVersionMatch=Newest", 422, "Unsupported value: \"Newest\""),
        ("continue=x&resourceVersion=5&resourceVersionMatch=Exact", 422, "when continue is provided"),
        ("sendInitialEvents=true", 422, "sendInitialEvents is forbidden for list"),
        ("continue=x&resourceVersion=5", 400, "not allowed when using continue"),
        ("limit=many", 400, "limit"),
        ("limit=-1", 0, ""),
        ("resourceVersion=5&resourceVersionMatch=NotOlderThan", 0, ""),
        ("continue=x&resourceVersion=0&limit=5", 0, ""),
    ];
    for (query, code, words) in cases {
        let (said, message) = refused(list(&asked(query)));
        assert!(said == code && message.contains(words), "{query}: {said} {message}");
    }
}

#[test]
fn a_watch_that_wants_nothing_of_what_exists_gets_nothing_of_it() {
    for (query, want) in [
        ("", (false, false)),
        ("sendInitialEvents=true&resourceVersionMatch=NotOlderThan", (true, false)),
        ("sendInitialEvents=false&resourceVersionMatch=NotOlderThan", (false, true)),
    ] {
        let params = watch(&asked(query)).unwrap();
        assert_eq!((params.send_initial_events, params.from_now), want, "{query}");
    }
}

#[test]
fn a_watch_that_begins_with_what_exists_says_from_when() {
    let cases = [
        ("sendInitialEvents=true", 422),
        ("sendInitialEvents=true&resourceVersionMatch=Exact", 422),
        ("resourceVersionMatch=NotOlderThan", 422),
        ("sendInitialEvents=true&resourceVersionMatch=NotOlderThan", 0),
        ("resourceVersion=5", 0),
    ];
    for (query, code) in cases {
        assert_eq!(refused(watch(&asked(query))).0, code, "{query}");
    }
}

#[test]
fn what_becomes_of_the_owned_is_said_once() {
    let both = r#"{"orphanDependents": true, "propagationPolicy": "Orphan"}"#;
    let cases = [
        ("nothing", "", "", Ok(None)),
        ("by the query", "propagationPolicy=Foreground", "", Ok(Some(Propagation::Foreground))),
        ("by the query, the old way", "orphanDependents=true", "", Ok(Some(Propagation::Orphan))),
        ("by the body, the old way", "", r#"{"orphanDependents": false}"#, Ok(Some(Propagation::Background))),
        (
            "by the body before the query",
            "orphanDependents=true",
            r#"{"propagationPolicy": "Background"}"#,
            Ok(Some(Propagation::Background)),
        ),
        ("both in the body", "", both, Err((422, "cannot be both set"))),
        (
            "both in the query",
            "orphanDependents=true&propagationPolicy=Orphan",
            "",
            Err((422, "cannot be both set")),
        ),
        ("no policy", "propagationPolicy=Sideways", "", Err((422, "Unsupported value: \"Sideways\""))),
    ];
    for (name, query, body, want) in cases {
        match (delete(&asked(query), body.as_bytes()), want) {
            (Ok(options), Ok(want)) => assert_eq!(options.propagation, want, "{name}"),
            (Err(status), Err((code, words))) => {
                assert!(status.code == code && status.message.contains(words), "{name}: {}", status.message);
            }
            (got, want) => {
                panic!("{name}: {:?} and not {want:?}", got.map(|options| options.propagation))
            }
        }
    }
}

#[test]
fn rows_carry_what_is_asked_for() {
    for (query, view, want) in [
        ("", View::Table, Ok(Include::Metadata)),
        ("includeObject=Object", View::Table, Ok(Include::Object)),
        ("includeObject=None", View::Table, Ok(Include::Nothing)),
        ("includeObject=All", View::Table, Err(400)),
        ("includeObject=All", View::Objects, Ok(Include::Metadata)),
    ] {
        assert_eq!(include(&asked(query), view).map_err(|status| status.code), want, "{query}");
    }
}
