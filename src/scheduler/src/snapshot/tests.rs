use super::*;
use serde_json::json;
use testkit::objects;

fn node(name: &str, zone: &str) -> Arc<Node> {
    let images = json!({"images": [{"names": [format!("only-on-{name}"), "everywhere"], "sizeBytes": 7}]});
    Arc::new(objects::node(name).label(ZONE, zone).status(&images).build())
}

fn pod(name: &str, app: &str, node: &str) -> Arc<PodInfo> {
    let made = objects::pod(name).uid(name).label("app", app).requests(&json!({"cpu": "1"}));
    Arc::new(PodInfo::of(Arc::new(made.on(node).build())))
}

#[test]
fn labels_that_nobody_has_are_not_kept_without_end() {
    let all = Snapshot::of([node("a", "x")], []);
    (0..MOST_TOPOLOGIES * 2).for_each(|number| drop(all.topology(&format!("invented-{number}"))));
    assert!(all.topologies.borrow().len() <= MOST_TOPOLOGIES);
    assert_eq!(all.topology(ZONE).domains, 1);
}

#[test]
fn one_who_asks_for_everything_leaves_the_others_counted() {
    let mut all = Snapshot::of([node("a", "x")], [pod("1", "web", "a")]);
    for name in ["2", "3"] {
        let greedy = objects::pod(name).uid(name).requests(&json!({"cpu": "9E", "memory": "7E"}));
        all.set_pod(Arc::new(PodInfo::of(Arc::new(greedy.on("a").build()))));
    }
    assert_eq!(all.node("a").unwrap().taken.milli_cpu, i64::MAX);
    ["2", "3"].iter().for_each(|name| all.remove_pod(name));
    let node = all.node("a").unwrap();
    assert_eq!((node.taken.milli_cpu, node.assumed.0, node.residents.len()), (1000, 1000, 1));
}

#[test]
fn one_of_each_zone_in_turn() {
    let nodes = [("a", "x"), ("b", "x"), ("c", "x"), ("d", "y"), ("e", "z"), ("f", "z")];
    let all = Snapshot::of(nodes.map(|(name, zone)| node(name, zone)), []);
    let order = all.order();
    let names: Vec<&str> = order.iter().map(|slot| all.at(*slot).name()).collect();
    assert_eq!(names, ["a", "d", "e", "b", "f", "c"]);
}

/// All that is counted, by names.
fn described(all: &Snapshot) -> Vec<String> {
    let at = |slot: usize| all.at(slot).name().to_owned();
    let nodes = all.nodes().map(|node| {
        let mut residents: Vec<&str> = node.residents.iter().map(|pod| pod.id.as_str()).collect();
        residents.sort_unstable();
        let is_in_zone = all.topology(ZONE).domain(node.slot).is_some();
        format!("{} {:?} {:?} {residents:?} {is_in_zone}", node.name(), node.taken, node.assumed)
    });
    let groups = all.groups().map(|group| {
        let on = group.on.iter().map(|(slot, count)| (at(*slot), *count));
        let mut on: Vec<(String, i64)> = on.collect();
        on.sort();
        format!("{:?} {on:?}", group.example.likeness.labels)
    });
    let images = all.images.iter().map(|(name, on)| {
        let mut on: Vec<String> = on.keys().map(|slot| at(*slot)).collect();
        on.sort();
        format!("{name} {on:?}")
    });
    let mut lines: Vec<String> = nodes.chain(groups).chain(images).collect();
    lines.sort();
    lines.push(format!("{} zones, {} names", all.topology(ZONE).domains, all.slots.len()));
    lines
}

/// What is kept pod by pod is what is counted anew, whatever comes and goes in whichever order.
#[test]
fn what_is_kept_is_what_is_counted_anew() {
    let mut seed = 7_u64;
    let mut any = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    let (mut kept, mut nodes, mut pods) = (Snapshot::default(), BTreeMap::new(), BTreeMap::new());
    for step in 0..1_000 {
        let (name, id) = (format!("n{}", any(5)), any(12).to_string());
        match any(6) {
            0 => {
                kept.remove_node(&name);
                nodes.remove(&name);
            }
            1 => {
                let made = node(&name, ["x", "y", "z"][any(3)]);
                kept.set_node(made.clone());
                nodes.insert(name, made);
            }
            2 => {
                kept.remove_pod(&id);
                pods.remove(&id);
            }
            _ => {
                let made = pod(&id, ["web", "db", "cache"][any(3)], &name);
                kept.set_pod(made.clone());
                pods.insert(id, made);
            }
        }
        let anew = Snapshot::of(nodes.values().cloned(), pods.values().cloned());
        assert_eq!(described(&kept), described(&anew), "{step}");
    }
}

#[test]
fn what_comes_and_goes_is_counted() {
    let mut kept = Snapshot::of([node("a", "x"), node("b", "y")], []);
    for (name, app, at) in [("1", "web", "a"), ("2", "web", "a"), ("3", "web", "b"), ("4", "db", "gone")] {
        kept.set_pod(pod(name, app, at));
    }
    kept.set_pod(pod("2", "web", "b"));
    kept.remove_pod("1");
    kept.remove_pod("1");
    let counts = |all: &Snapshot| {
        let mut counts: Vec<(String, Vec<(String, i64)>)> = all
            .groups()
            .map(|group| {
                let on = group.on.iter().map(|(slot, count)| (all.at(*slot).name().to_owned(), *count));
                (group.example.likeness.labels["app"].clone(), on.collect())
            })
            .collect();
        counts.sort();
        counts
    };
    assert_eq!(
        counts(&kept),
        [("db".to_owned(), vec![("gone".to_owned(), 1)]), ("web".to_owned(), vec![("b".to_owned(), 2)])]
    );
    let taken = |all: &Snapshot, name: &str| all.node(name).map(|node| node.taken.milli_cpu);
    assert_eq!((taken(&kept, "a"), taken(&kept, "b"), taken(&kept, "gone")), (Some(0), Some(2000), None));
    // a node comes whose pod was known before it
    kept.set_node(node("gone", "z"));
    assert_eq!((taken(&kept, "gone"), kept.len(), kept.topology(ZONE).domains), (Some(1000), 3, 3));
    kept.remove_node("gone");
    kept.remove_pod("4");
    assert_eq!((kept.len(), kept.topology(ZONE).domains, kept.slots.len()), (2, 2, 2));
    assert_eq!((kept.image("everywhere").unwrap().len(), kept.image("only-on-gone")), (2, None));
    // its slot is another's now
    kept.set_node(node("new", "x"));
    assert_eq!((kept.nodes.len(), kept.topology(ZONE).domains), (3, 2));
}
