//! Records over restarts and of older versions; with them, a record for the tests of others.

use super::*;

/// A container that was made and not started.
pub(crate) fn record(name: &str) -> Record {
    Record {
        id: format!("{name:0<64}"),
        name: name.to_owned(),
        created: Timestamp::UNIX_EPOCH,
        image: "sha256:1".to_owned(),
        config: Config::default(),
        host: HostConfig::default(),
        asked_ports: None,
        networks: BTreeMap::new(),
        mounts: Vec::new(),
        state: State::Created,
        restart_count: 0,
        short_runs: 0,
        exits: 0,
        manually_stopped: false,
        health: None,
    }
}

pub(crate) fn run(record: &mut Record, ip: Option<IpAddr>) {
    record.state = State::Running(Running {
        sandbox: SandboxId("s".into()),
        container: ContainerId("c".into()),
        pid: 1,
        ip,
        endpoints: Endpoints::new(),
        started_at: Timestamp::UNIX_EPOCH,
        paused: false,
    });
}

pub(crate) fn end(record: &mut Record, code: i32) {
    record.state = State::Exited(Ended {
        code,
        oom_killed: false,
        error: String::new(),
        started_at: Some(Timestamp::UNIX_EPOCH),
        finished_at: Timestamp::UNIX_EPOCH,
    });
}

#[test]
fn a_record_survives_the_disk() {
    let mut before = record("web");
    end(&mut before, 3);
    let text = serde_json::to_vec(&before).unwrap();
    let after: Record = serde_json::from_slice(&text).unwrap();
    assert_eq!(after, before);
    assert_eq!((after.status(), after.exit_code()), ("exited", 3));
}

#[test]
fn records_of_older_versions_are_read() {
    let mut web = record("web");
    web.manually_stopped = true;
    let text = serde_json::to_string(&web).unwrap();
    let old = text.replace("manually_stopped", "told_to_stop");
    assert_ne!(old, text);
    assert_eq!(serde_json::from_str::<Record>(&old).unwrap(), web);
}

#[test]
fn who_is_about_to_run_is_what_it_was() {
    let mut web = record("web");
    run(&mut web, None);
    let State::Running(begins) = web.state.clone() else { panic!("it runs") };
    let mut over = record("web");
    end(&mut over, 3);
    let ended = over.ended().cloned().unwrap();
    for (before, want, code) in [
        (State::Created, "created", 0),
        (State::Exited(ended.clone()), "exited", 3),
        (State::Restarting(ended), "restarting", 3),
    ] {
        web.state = State::Starting(begins.clone(), Box::new(before));
        assert_eq!((web.status(), web.exit_code(), web.process()), (want, code, None));
        assert!(web.running().is_some(), "{want}");
    }
    assert!(!web.has_begun(&ContainerId("another".into()), 7, Timestamp::UNIX_EPOCH));
    assert!(web.has_begun(&begins.container, 7, Timestamp::UNIX_EPOCH));
    assert_eq!((web.status(), web.process().map(|running| running.pid)), ("running", Some(7)));
}

#[tokio::test]
async fn who_looks_waits_for_the_second_half_of_a_restart() {
    const LONG: Duration = Duration::from_secs(60);
    let waits = async |container: &Container| {
        tokio::time::timeout(Duration::from_millis(20), container.until_restarted(LONG)).await.is_err()
    };
    let mut ended = record("web");
    run(&mut ended, None);
    end(&mut ended, 137);
    let container = Container::new(ended, "/none".into(), None);
    container.stop_saving();
    assert!(!waits(&container).await, "it has just ended");

    let restart = container.restart();
    assert!(waits(&container).await, "between the halves");
    let begin = async {
        tokio::task::yield_now().await;
        container.change(|r| {
            run(r, None);
            true
        });
    };
    tokio::join!(container.until_restarted(LONG), begin);
    assert!(!waits(&container).await, "the process is back");

    container.change(|r| {
        end(r, 1);
        true
    });
    assert!(waits(&container).await, "between the halves of another");
    drop(restart);
    assert!(!waits(&container).await, "the restart has failed");
}

#[test]
fn what_a_user_asks_for_is_on_the_disk_or_is_not_done() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("container.json");
    let container = Container::new(record("web"), dir.path().to_owned(), None);
    let rename = |name: &str| container.change_on_disk(|r| name.clone_into(&mut r.name));
    let named = || container.see(|r| r.name.clone());
    rename("other").unwrap();
    assert_eq!(
        (named(), crate::files::read::<Record>(&path).unwrap().name),
        ("other".to_owned(), "other".to_owned())
    );
    std::fs::remove_file(&path).unwrap();
    // as on a full disk, nothing can be put there
    std::fs::create_dir_all(path.join("in-the-way")).unwrap();
    rename("third").unwrap_err();
    assert_eq!(named(), "other");
}
