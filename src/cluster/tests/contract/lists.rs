//! Lists, watches and informers.

use crate::objects::{cluster, key, map, meta, reason, root, target};
use api::{FieldSelector, LabelSelector, Reason, Status};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cluster::{Actor, Change, DeleteOptions, ListParams, Target, VersionMatch, WatchEvent, WatchParams};
use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use std::collections::BTreeSet;

#[tokio::test]
async fn every_page_of_a_list_is_of_one_revision() {
    let cluster = cluster().await;
    let maps = root(&cluster).api::<ConfigMap>();
    for n in 0..5 {
        maps.create(map(&format!("m{n}"), "x")).await.unwrap();
    }
    let all = target::<ConfigMap>(&cluster, None);
    let mut params = ListParams { limit: 2, ..ListParams::default() };
    let (mut seen, mut remaining) = (Vec::new(), Vec::new());
    loop {
        let page = cluster.list(&Actor::root(), &all, &params).unwrap();
        seen.extend(page.objects.iter().map(|o| o.key().name.to_string()));
        remaining.push(page.remaining);
        // what changes between the pages is in none of them
        let _ = maps.create(map("m9", "x")).await;
        params.continue_token = page.continue_token;
        if params.continue_token.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["m0", "m1", "m2", "m3", "m4"]);
    assert_eq!(remaining, [Some(3), Some(1), None], "how many come after the page, of its own revision");
    // lists that nobody goes on with are not held for ever
    let one = ListParams { limit: 1, ..ListParams::default() };
    let page = cluster.list(&Actor::root(), &all, &one).unwrap();
    assert_eq!(page.remaining, Some(5));
    maps.create(map("later", "x")).await.unwrap();
    let next = ListParams { continue_token: page.continue_token, ..one };
    cluster.list(&Actor::root(), &all, &next).unwrap();
    cluster.forget_pages(std::time::Instant::now());
    cluster.list(&Actor::root(), &all, &next).unwrap();
    // nor are the events of which they can be made
    cluster.store().forget_events(cluster.store().revision());
    cluster.forget_pages(std::time::Instant::now());
    let expired = cluster.list(&Actor::root(), &all, &next).unwrap_err();
    assert_eq!(expired.reason, Reason::Expired);
    // the rest of it is there as it is now, and so are the pages after that
    maps.create(map("m00", "x")).await.unwrap();
    let mut rest = ListParams { limit: 4, continue_token: expired.continue_token, ..ListParams::default() };
    let mut seen = Vec::new();
    let mut revisions = BTreeSet::new();
    while rest.continue_token.is_some() {
        let page = cluster.list(&Actor::root(), &all, &rest).unwrap();
        seen.extend(page.objects.iter().map(|o| o.key().name.to_string()));
        revisions.insert(page.revision.0);
        maps.delete(&key("m9"), DeleteOptions::default()).await.ok();
        rest.continue_token = page.continue_token;
    }
    assert_eq!(seen, ["m00", "m1", "m2", "m3", "m4", "m9"]);
    assert_eq!(revisions.len(), 1);
    let bad = ListParams { continue_token: Some("nonsense".into()), ..ListParams::default() };
    assert_eq!(reason(cluster.list(&Actor::root(), &all, &bad)), Reason::BadRequest);
    let fields = FieldSelector::parse("spec.nodeName=x").unwrap();
    assert_eq!(
        reason(cluster.list(&Actor::root(), &all, &ListParams { fields, ..ListParams::default() })),
        Reason::BadRequest
    );
}

/// As long as a revision is there before upstream's etcd is compacted, whether much happens meanwhile or little.
#[tokio::test]
async fn the_pages_of_a_list_are_of_one_revision_for_five_minutes() {
    let cluster = cluster().await;
    let (maps, all) = (root(&cluster).api::<ConfigMap>(), target::<ConfigMap>(&cluster, None));
    for name in ["a", "b", "c", "d"] {
        maps.create(map(name, "x")).await.unwrap();
    }
    let page = |token: Option<String>| {
        let params = ListParams { limit: 1, continue_token: token, ..ListParams::default() };
        cluster.list(&Actor::root(), &all, &params)
    };
    let before = |seconds: i64, token: Option<String>| {
        let token = URL_SAFE_NO_PAD.decode(token.unwrap()).unwrap();
        let mut token: serde_json::Value = serde_json::from_slice(&token).unwrap();
        token["at"] = (token["at"].as_i64().unwrap() - seconds).into();
        Some(URL_SAFE_NO_PAD.encode(token.to_string()))
    };
    let first = page(None).unwrap();
    let token = first.continue_token;
    assert!(page(before(600, token.clone())).is_ok(), "nothing has happened since");
    maps.create(map("e", "x")).await.unwrap();
    let second = page(before(280, token)).unwrap();
    assert_eq!(second.revision, first.revision);
    let expired = page(before(21, second.continue_token)).unwrap_err();
    assert_eq!(
        (expired.code, expired.reason),
        (410, Reason::Expired),
        "the list is as old as its first page"
    );
    let rest = page(expired.continue_token).unwrap();
    assert_ne!(rest.revision, first.revision);
    let last = page(rest.continue_token).unwrap();
    let both = rest.objects.iter().chain(&last.objects);
    let names: Vec<String> = both.map(|object| object.key().name.to_string()).collect();
    assert_eq!(names, ["c", "d"], "what is gone on with then is a list that has just begun");
}

#[tokio::test]
async fn a_list_is_of_the_revision_that_is_asked_for_while_it_is_known() {
    let cluster = cluster().await;
    let (maps, accounts) = (root(&cluster).api::<ConfigMap>(), root(&cluster).api::<ServiceAccount>());
    for name in ["a", "b", "c"] {
        maps.create(map(name, "x")).await.unwrap();
    }
    let then = cluster.store().revision();
    maps.delete(&key("a"), DeleteOptions::default()).await.unwrap();
    maps.create(map("d", "x")).await.unwrap();
    accounts.create(ServiceAccount { metadata: meta("later"), ..ServiceAccount::default() }).await.unwrap();
    let now = cluster.store().revision();
    let names = |target: &Target, params: &ListParams| {
        let page = cluster.list(&Actor::root(), target, params)?;
        let names: Vec<String> = page.objects.iter().map(|o| o.key().name.to_string()).collect();
        Ok::<_, Status>((names.join(" "), page.revision, page.continue_token))
    };
    let asked = |revision, version_match, limit| ListParams {
        resource_version: Some(revision),
        version_match,
        limit,
        ..ListParams::default()
    };
    let (all, others) = (target::<ConfigMap>(&cluster, None), target::<ServiceAccount>(&cluster, None));
    let (any, exact) = (api::ResourceVersion(0), Some(VersionMatch::Exact));
    let cases = [
        ("an earlier one", asked(then, exact, 0), "a b c", then),
        ("the newest", asked(now, exact, 0), "b c d", now),
        ("none older", asked(then, Some(VersionMatch::NotOlderThan), 0), "b c d", now),
        ("none older, in pages", asked(then, Some(VersionMatch::NotOlderThan), 9), "b c d", now),
        ("nothing said", asked(then, None, 0), "b c d", now),
        ("nothing said, in pages", asked(then, None, 9), "a b c", then),
        ("any, in pages", asked(any, None, 9), "b c d", now),
    ];
    for (name, params, want, revision) in cases {
        assert_eq!(names(&all, &params).unwrap(), (want.to_owned(), revision, None), "{name}");
    }
    // its pages are of that revision, and what is kept for them is nothing of other kinds
    let (first, _, token) = names(&all, &asked(then, exact, 2)).unwrap();
    let rest = ListParams { continue_token: token, ..ListParams::default() };
    assert_eq!((first.as_str(), names(&all, &rest).unwrap().0.as_str()), ("a b", "c"));
    assert_eq!(names(&others, &asked(then, exact, 0)).unwrap().0, "default");
    let future = names(&all, &asked(api::ResourceVersion(now.0 + 1), exact, 0)).unwrap_err();
    let want = format!("Too large resource version: {}, current: {now}", now.0 + 1);
    assert_eq!((future.code, future.message), (504, want));
    cluster.forget_pages(std::time::Instant::now());
    cluster.store().forget_events(now);
    let gone = names(&all, &asked(then, exact, 0)).unwrap_err();
    assert_eq!((gone.code, gone.reason), (410, Reason::Expired));
    assert_eq!(gone.message, "The resourceVersion for the provided list is too old.");
}

#[tokio::test]
async fn what_is_selected_now_is_deleted_and_not_what_was() {
    let cluster = cluster().await;
    let (maps, all) = (root(&cluster).api::<ConfigMap>(), target::<ConfigMap>(&cluster, None));
    for name in ["a", "b", "c"] {
        maps.create(map(name, "old")).await.unwrap();
    }
    let then = cluster.store().revision();
    let selected = ListParams { labels: LabelSelector::parse("app=old").unwrap(), ..ListParams::default() };
    let one = ListParams { limit: 1, ..selected.clone() };
    let token = cluster.list(&Actor::root(), &all, &one).unwrap().continue_token;
    for name in ["a", "b"] {
        let keep = |map: &mut ConfigMap| {
            map.metadata.labels = Some([("app".to_owned(), "kept".to_owned())].into());
            Ok(())
        };
        maps.modify(&key(name), keep).await.unwrap();
    }
    let exact = ListParams {
        resource_version: Some(then),
        version_match: Some(VersionMatch::Exact),
        ..selected.clone()
    };
    let rest = ListParams { continue_token: token, ..selected };
    let names = |list: &cluster::List| -> Vec<String> {
        list.objects.iter().map(|object| object.key().name.to_string()).collect()
    };
    for (params, was) in [(&exact, vec!["a", "b", "c"]), (&rest, vec!["b", "c"])] {
        assert_eq!(names(&cluster.list(&Actor::root(), &all, params).unwrap()), was);
    }
    let options = DeleteOptions::default();
    for (params, is) in [(&rest, vec!["c"]), (&exact, Vec::new())] {
        let deleted = cluster.delete_collection(&Actor::root(), &all, params, &options).await.unwrap();
        assert_eq!(names(&deleted), is);
    }
    let left = maps.list(Some("default"), LabelSelector::default()).unwrap();
    assert_eq!(left.len(), 2);
}

#[tokio::test]
async fn a_watch_begins_with_what_exists_or_with_nothing_of_it() {
    let cluster = cluster().await;
    let maps = root(&cluster).api::<ConfigMap>();
    maps.create(map("there", "web")).await.unwrap();
    let target = target::<ConfigMap>(&cluster, None);
    let begin = |params: WatchParams| cluster.watch(&Actor::root(), &target, &params);
    let from_now = WatchParams { from_now: true, ..WatchParams::default() };
    let mut events = begin(from_now).unwrap();
    assert!(events.try_next().unwrap().is_none());
    maps.create(map("later", "web")).await.unwrap();
    let Some(WatchEvent::Added(later)) = events.try_next().unwrap() else { panic!("not what came later") };
    assert_eq!(&*later.key().name, "later");
    let mut all = begin(WatchParams::default()).unwrap();
    assert!(matches!(all.try_next(), Ok(Some(WatchEvent::Added(_)))));
    let not_yet = cluster.store().revision().0 + 1;
    let asked = WatchParams {
        send_initial_events: true,
        resource_version: Some(api::ResourceVersion(not_yet)),
        ..WatchParams::default()
    };
    let refused = begin(asked).err().map(|status| (status.code, status.message));
    let words = format!("Too large resource version: {not_yet}, current: {}", not_yet - 1);
    assert_eq!(refused, Some((504, words)));
}

#[tokio::test]
async fn a_watch_of_a_selection_sees_what_comes_into_it_and_what_leaves() {
    let cluster = cluster().await;
    let maps = root(&cluster).api::<ConfigMap>();
    maps.create(map("there", "web")).await.unwrap();
    let params = WatchParams {
        labels: LabelSelector::parse("app=web").unwrap(),
        send_initial_events: true,
        ..WatchParams::default()
    };
    let mut events = cluster.watch(&Actor::root(), &target::<ConfigMap>(&cluster, None), &params).unwrap();
    maps.create(map("other", "db")).await.unwrap();
    maps.update(map("other", "web")).await.unwrap();
    maps.modify(&key("other"), |m| {
        m.data = Some(Default::default());
        m.immutable = Some(false);
        Ok(())
    })
    .await
    .unwrap();
    maps.update(map("other", "db")).await.unwrap();
    maps.delete(&key("there"), DeleteOptions::default()).await.unwrap();
    let mut seen = Vec::new();
    while let Some(event) = events.try_next().unwrap() {
        seen.push(match event {
            WatchEvent::Added(o) => format!("added {}", o.key().name),
            WatchEvent::Modified(o) => format!("modified {}", o.key().name),
            WatchEvent::Deleted(o) => format!("deleted {}", o.key().name),
            WatchEvent::InitialEventsEnd(_) => "end of the beginning".to_owned(),
        });
    }
    assert_eq!(
        seen,
        [
            "added there",
            "end of the beginning",
            "added other",
            "modified other",
            "deleted other",
            "deleted there"
        ]
    );
}

#[tokio::test]
async fn an_informer_tells_first_what_there_is_and_then_what_happens() {
    let cluster = cluster().await;
    let maps = root(&cluster).api::<ConfigMap>();
    maps.create(map("a", "x")).await.unwrap();
    let informer = cluster.informer::<ConfigMap>();
    assert!(informer.get(&key("a")).is_some(), "complete from the first moment");
    let mut changes = informer.subscribe();
    assert!(matches!(changes.next().await, Some(Change::Added(_))));
    maps.update(map("a", "y")).await.unwrap();
    maps.delete(&key("a"), DeleteOptions::default()).await.unwrap();
    assert!(matches!(changes.next().await, Some(Change::Modified { .. })));
    assert!(matches!(changes.next().await, Some(Change::Deleted(_))));
    assert!(informer.list(None).is_empty());
}
