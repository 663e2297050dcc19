use super::*;
use serde_json::{Value, json};
use testkit::objects;

/// Nodes with these labels, each with so many pods of the kind, and one that is none. With the slot of each.
fn nodes<const N: usize>(all: [(&str, Value, usize); N]) -> (Snapshot, [usize; N]) {
    let mut snapshot = Snapshot::default();
    let slots = all.map(|(name, labels, pods)| {
        snapshot.set_node(Arc::new(objects::node(name).labels(&labels).build()));
        for (number, app) in (0..pods).map(|_| "web").chain(["db"]).enumerate() {
            let pod = objects::pod(app).namespace("shop").uid(&format!("{name}-{number}"));
            let pod = pod.label("app", app).label("rev", "1").on(name).build();
            snapshot.set_pod(Arc::new(PodInfo::of(Arc::new(pod))));
        }
        snapshot.node(name).unwrap().slot
    });
    (snapshot, slots)
}

fn zone(zone: &str) -> Value {
    json!({"zone": zone})
}

fn web(constraint: Value, more: Value) -> PodInfo {
    let mut given = json!({"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"app": "web"}}});
    given.as_object_mut().unwrap().extend(constraint.as_object().unwrap().clone());
    let made = objects::pod("web").namespace("shop").label("app", "web").label("rev", "2");
    let made = made.spec(&json!({"topologySpreadConstraints": [given]})).spec(&more);
    PodInfo::of(Arc::new(made.build()))
}

#[test]
fn a_domain_is_not_filled_beyond_the_others() {
    let (all, slots) =
        nodes([("a", zone("east"), 2), ("b", zone("east"), 0), ("c", zone("west"), 1), ("d", json!({}), 9)]);
    let west_only = json!({"nodeSelector": {"zone": "west"}});
    let none = || json!({});
    for (name, constraint, more, want) in [
        ("the emptier zone", none(), none(), "full full ok label"),
        ("a skew of two", json!({"maxSkew": 2}), none(), "ok ok ok label"),
        (
            "others do not count",
            json!({"labelSelector": {"matchLabels": {"app": "cache"}}}),
            none(),
            "ok ok ok label",
        ),
        ("no selector counts nobody", json!({"labelSelector": null}), none(), "ok ok ok label"),
        ("of the same revision", json!({"matchLabelKeys": ["rev"]}), none(), "ok ok ok label"),
        ("more domains are wanted", json!({"minDomains": 3}), none(), "full full full label"),
        ("nodes that do not fit do not count", none(), west_only.clone(), "ok ok ok label"),
        ("unless they are to", json!({"nodeAffinityPolicy": "Ignore"}), west_only, "full full ok label"),
        ("only preferred", json!({"whenUnsatisfiable": "ScheduleAnyway"}), none(), "ok ok ok ok"),
    ] {
        let pod = web(constraint, more);
        let spread = Spread::of(&pod, &all, None, &DefaultSpread::System);
        let said = slots.map(|slot| match spread.against(slot, &pod) {
            None => "ok",
            Some(refusal) if refusal == Refusal::for_now(Plugin::PodTopologySpread, TOO_FULL) => "full",
            Some(refusal) if refusal == Refusal::never(Plugin::PodTopologySpread, NO_LABEL) => "label",
            Some(other) => panic!("{other:?}"),
        });
        // west alone has one pod, and the least is one
        assert_eq!(said.join(" "), want, "{name}");
    }
}

#[test]
fn who_goes_makes_room() {
    let (all, [slot, _]) = nodes([("a", zone("east"), 1), ("b", zone("west"), 0)]);
    let pod = web(json!({}), json!({}));
    let mut spread = Spread::of(&pod, &all, None, &DefaultSpread::System);
    assert!(spread.against(slot, &pod).is_some());
    let node = all.at(slot);
    let resident = node.residents.iter().find(|resident| resident.likeness.labels["app"] == "web").unwrap();
    spread.resident(&pod, resident, node, -1);
    assert_eq!(spread.against(slot, &pod), None);
}

#[test]
fn the_emptier_domain_is_worth_more() {
    let (all, slots) =
        nodes([("a", zone("east"), 2), ("b", zone("east"), 0), ("c", zone("west"), 1), ("d", json!({}), 0)]);
    let pod = web(json!({"whenUnsatisfiable": "ScheduleAnyway"}), json!({}));
    let got = scores(&pod, None, &DefaultSpread::System, &all, &slots);
    assert!(got[0] == got[1] && got[2] > got[0] && got[3] == 0, "{got:?}");
}

#[test]
fn what_a_controller_owns_is_spread_by_default() {
    let at = |host: &str, zone: &str| json!({HOSTNAME: host, ZONE: zone});
    let (all, slots) =
        nodes([("a", at("a", "x"), 2), ("b", at("b", "x"), 0), ("c", at("c", "y"), 0), ("d", json!({}), 0)]);
    let pod = PodInfo::of(Arc::new(objects::pod("w").namespace("shop").label("app", "web").build()));
    let owners = LabelSelector::from_pairs([(&"app".to_owned(), &"web".to_owned())]);
    // by hand: hosts weigh ln 6, zones (two, and none) ln 5; who has the labels has 2 and 4 for the skews; so a has
    // 2 ln 6 + 2 ln 5 + 6, rounded 13, b has 2 ln 5 + 6 = 9, c has 6, d nothing
    let system = DefaultSpread::System;
    assert_eq!(scores(&pod, Some(&owners), &system, &all, &slots), [0, 30, 53, 100]);
    assert_eq!(scores(&pod, None, &system, &all, &slots), [0; 4]);
}

#[test]
fn a_profile_says_how_pods_are_spread_that_do_not() {
    let (all, slots) = nodes([("a", zone("east"), 2), ("b", zone("west"), 0), ("c", json!({}), 0)]);
    let pod = PodInfo::of(Arc::new(objects::pod("w").namespace("shop").label("app", "web").build()));
    let owners = LabelSelector::from_pairs([(&"app".to_owned(), &"web".to_owned())]);
    let list = |when: &str| {
        let given = json!([{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": when}]);
        DefaultSpread::List(serde_json::from_value(given).unwrap())
    };
    let (refuses, prefers) = (list(REFUSES), list(PREFERS));
    let against = |owners: Option<&LabelSelector>, by_default: &DefaultSpread| {
        let spread = Spread::of(&pod, &all, owners, by_default);
        slots.map(|slot| spread.against(slot, &pod).map(|refusal| refusal.why.into_owned()))
    };
    let (full, no_label) = (Some(TOO_FULL.to_owned()), Some(NO_LABEL.to_owned()));
    assert_eq!(against(Some(&owners), &refuses), [full, None, no_label]);
    assert_eq!(against(None, &refuses), [None, None, None], "nobody selects it");
    assert_eq!(against(Some(&owners), &prefers), [None, None, None]);
    assert_eq!(against(Some(&owners), &DefaultSpread::System), [None, None, None]);
    // one without the label is left out, as of what a pod says itself
    let worth = scores(&pod, Some(&owners), &prefers, &all, &slots);
    assert!(worth[1] > worth[0] && worth[2] == 0, "{worth:?}");
    let other = objects::pod("x").namespace("shop").build();
    assert!(is_about(&pod.pod, &other, &refuses) && !is_about(&pod.pod, &other, &prefers));
    assert_eq!((keys(&pod.pod, &refuses), keys(&pod.pod, &prefers)), (vec!["zone".to_owned()], vec![]));
}
