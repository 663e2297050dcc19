//! The store against a plain map: random commits, many of them refused, with reopening in between.

mod common;

use api::{Object, ObjectKey, ResourceVersion};
use common::{Kept, draft, on_each_backend, on_each_backend_encrypted, value};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use store::{
    Change, CommitError, Durability, EventKind, Options, Precondition, Resource, Store, Watch, Write,
};

on_each_backend! {
    reopening_changes_nothing
    writers_at_once_lose_no_update
}

on_each_backend_encrypted! {
    reopening_changes_nothing
}

const RESOURCES: [&str; 3] = ["configmaps", "events", "deployments.apps"];

type Place = (Resource, ObjectKey);
type Map = BTreeMap<Place, (ResourceVersion, String)>;

#[derive(Default, Clone)]
struct Model {
    revision: u64,
    objects: Map,
}

impl Model {
    /// The index of the write that is refused, or the model afterwards.
    fn apply(&self, writes: &[(Write, String)]) -> Result<Model, usize> {
        let mut after = self.clone();
        for (index, (write, value)) in writes.iter().enumerate() {
            let place = (write.resource.clone(), write.key.clone());
            let current = after.objects.get(&place).map(|(revision, _)| *revision);
            let holds = match write.precondition {
                Precondition::None => true,
                Precondition::Absent => current.is_none(),
                Precondition::Exists => current.is_some(),
                Precondition::At(revision) => current == Some(revision),
            };
            after.revision += 1;
            match write.change {
                _ if !holds => return Err(index),
                Change::Delete { .. } if current.is_none() => return Err(index),
                Change::Delete { .. } => drop(after.objects.remove(&place)),
                Change::Put(_) => {
                    after.objects.insert(place, (ResourceVersion(after.revision), value.clone()));
                }
            }
        }
        Ok(after)
    }
}

fn random_write(random: &mut StdRng, model: &Model) -> (Write, String) {
    let resource = Resource::from(RESOURCES[random.random_range(0..RESOURCES.len())]);
    let namespace = ["a", "a-b", "b"].get(random.random_range(0..4)).copied();
    let key = ObjectKey::new(namespace, ["x", "y", "z"][random.random_range(0..3)]);
    let current = model.objects.get(&(resource.clone(), key.clone())).map(|(revision, _)| *revision);
    let precondition = match random.random_range(0..6) {
        0 => Precondition::Absent,
        1 => Precondition::Exists,
        2 => Precondition::At(ResourceVersion(random.random_range(0..=model.revision))),
        3 => current.map_or(Precondition::Absent, Precondition::At),
        _ => Precondition::None,
    };
    let text = format!("{:x}", random.random::<u32>());
    let draft = draft(&key, &text);
    let change = if random.random_bool(0.25) { Change::Delete { last: draft } } else { Change::Put(draft) };
    let durability = if random.random_bool(0.3) { Durability::Lazy } else { Durability::Sync };
    (Write { resource, key, precondition, change, durability }, text)
}

fn everything(store: &Store) -> Map {
    let snapshot = store.snapshot();
    let mut found = Map::new();
    for resource in snapshot.resources() {
        let listed: Vec<&Object> = snapshot.list(resource, None, None).collect();
        assert!(listed.is_sorted_by_key(|object| object.key()), "{resource} is listed in key order");
        assert_eq!(listed.len(), snapshot.count(resource, None));
        for namespace in ["a", "a-b", "b", "none"] {
            let listed = snapshot.list(resource, Some(namespace), None).count();
            assert_eq!(listed, snapshot.count(resource, Some(namespace)), "{resource} in {namespace}");
        }
        for object in listed {
            assert_eq!(snapshot.get(resource, &object.key()).unwrap().bytes(), object.bytes());
            found.insert((resource.clone(), object.key()), (object.revision(), value(object)));
        }
    }
    found
}

/// What a client knows that listed once and watches since.
struct Follower {
    resource: Resource,
    watch: Watch,
    known: Map,
}

impl Follower {
    fn all(store: &Store) -> Vec<Follower> {
        let (revision, listed) = (store.revision(), everything(store));
        let follow = |name: &&str| {
            let resource = Resource::from(*name);
            let known = listed.iter().filter(|(place, _)| place.0 == resource);
            let known = known.map(|(place, at)| (place.clone(), at.clone())).collect();
            Follower { watch: store.watch(&resource, revision).unwrap(), resource, known }
        };
        RESOURCES.iter().map(follow).collect()
    }

    fn catch_up(&mut self) {
        while let Some(event) = self.watch.try_next().unwrap() {
            let place = (self.resource.clone(), event.object.key());
            let known = self.known.get(&place).map(|(revision, _)| *revision);
            assert_eq!(event.previous.map(|object| object.revision()), known, "{place:?}");
            assert_eq!(event.kind == EventKind::Added, known.is_none(), "{place:?}");
            match event.kind {
                EventKind::Deleted => drop(self.known.remove(&place)),
                _ => drop(self.known.insert(place, (event.object.revision(), value(&event.object)))),
            }
        }
    }
}

async fn step(store: &Store, random: &mut StdRng, model: &mut Model) {
    let count = [0, 1, 1, 1, 2, 5][random.random_range(0..6)];
    let writes: Vec<_> = (0..count).map(|_| random_write(random, model)).collect();
    let expected = model.apply(&writes);
    let answer = store.commit(writes.into_iter().map(|(write, _)| write).collect()).await;
    match (expected, answer) {
        (Ok(after), Ok(committed)) => {
            assert_eq!(committed.revision.0, after.revision);
            let revisions: Vec<u64> = committed.objects.iter().map(|object| object.revision().0).collect();
            assert_eq!(revisions, (model.revision + 1..=after.revision).collect::<Vec<_>>());
            *model = after;
        }
        (Err(at), Err(CommitError::Precondition { index, .. })) => assert_eq!(index, at),
        (expected, answer) => panic!("{:?} but {answer:?}", expected.map(|after| after.revision)),
    }
    assert_eq!(store.revision().0, model.revision);
}

#[tokio::test]
async fn random_commits_do_what_a_plain_map_does() {
    for seed in 0..60 {
        let (mut random, mut model) = (StdRng::seed_from_u64(seed), Model::default());
        let store = Store::in_memory(Options::default());
        let mut followers = Follower::all(&store);
        for _ in 0..80 {
            step(&store, &mut random, &mut model).await;
            assert_eq!(everything(&store), model.objects, "seed {seed}");
            if random.random_bool(0.2) {
                followers.iter_mut().for_each(Follower::catch_up);
            }
        }
        followers.iter_mut().for_each(Follower::catch_up);
        let replayed: Map = followers.into_iter().flat_map(|follower| follower.known).collect();
        assert_eq!(replayed, model.objects, "seed {seed}: a replayed watch equals the list");
    }
}

async fn reopening_changes_nothing(kept: &Kept) {
    let mut model = Model::default();
    for seed in 100..106 {
        let mut random = StdRng::seed_from_u64(seed);
        for _ in 0..5 {
            let (store, recovery) = kept.try_open().unwrap();
            assert_eq!(recovery.notes, Vec::<String>::new());
            assert_eq!(store.revision().0, model.revision, "seed {seed}");
            assert_eq!(everything(&store), model.objects, "seed {seed}");
            for _ in 0..random.random_range(0..40) {
                step(&store, &mut random, &mut model).await;
            }
            store.close().await;
        }
    }
}

async fn writers_at_once_lose_no_update(kept: &Kept) {
    let store = kept.open();
    let counter = common::key("counter");
    store.commit(vec![common::put(&counter, "0")]).await.unwrap();
    let writers: Vec<_> = (0..8)
        .map(|_| {
            let (store, counter) = (store.clone(), counter.clone());
            tokio::spawn(async move {
                let mut added = 0;
                while added < 25 {
                    let now = store.snapshot().get(&common::maps(), &counter).unwrap();
                    let next = (value(&now).parse::<u32>().unwrap() + 1).to_string();
                    let write = common::put_if(Precondition::At(now.revision()), &counter, &next);
                    match store.commit(vec![write]).await {
                        Ok(_) => added += 1,
                        Err(CommitError::Precondition { current, .. }) => {
                            assert!(current.unwrap().revision() > now.revision());
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(value(&store.snapshot().get(&common::maps(), &counter).unwrap()), "200");
    assert_eq!(store.revision().0, 201);
}

/// What was done, though nobody heard of it, is done once.
#[tokio::test(flavor = "multi_thread")]
async fn connections_to_etcd_that_break_at_any_moment_lose_and_double_nothing() {
    let Some(server) = common::etcd::EtcdServer::start() else { return };
    let dir = tempfile::tempdir().unwrap();
    let endpoint = common::etcd::breaking(&server.endpoint(), 7);
    let backend = store::Backend::Etcd(common::etcd::place(&[&endpoint]));
    let options = Options { backend, ..Options::default() };
    let (mut random, mut model) = (StdRng::seed_from_u64(11), Model::default());
    for round in 0..4 {
        let (store, recovery) = Store::open(dir.path(), options.clone()).unwrap();
        assert_eq!(recovery.notes, Vec::<String>::new(), "round {round}");
        assert_eq!((store.revision().0, everything(&store)), (model.revision, model.objects.clone()));
        for _ in 0..60 {
            step(&store, &mut random, &mut model).await;
        }
        // more than one transaction takes
        let (from, place) =
            (model.revision, |number: u64| ObjectKey::new(Some("b"), &format!("many-{number}")));
        let many = (0..300).map(|number| Write { ..common::put(&place(number), &format!("{round}")) });
        store.commit(many.collect()).await.unwrap();
        for number in 0..300 {
            let at = ResourceVersion(from + 1 + number);
            model.objects.insert((common::maps(), place(number)), (at, format!("{round}")));
        }
        model.revision += 300;
        store.close().await;
    }
}
