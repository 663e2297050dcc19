//! The stock `docker` program against the engine, over a runtime that only pretends: what the client and the engine say to
//! each other, without a kernel's help. Where there is no client the tests say so and pass.

mod bodies;
mod fake;
mod host_config;
mod networks;
mod world;

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use world::World;

#[tokio::test(flavor = "multi_thread")]
async fn run_gives_output_and_exit_code() {
    let Some(world) = World::open("run").await else { return };
    let ran = world.docker(&["run", "--name", "one", "busybox", "say", "hello"]).await;
    assert_eq!((ran.code, ran.out.as_str()), (0, "hello\n"), "{}", ran.err);
    let failed = world.docker(&["run", "--rm", "busybox", "fail", "7"]).await;
    assert_eq!(failed.code, 7, "{}", failed.err);
    assert_eq!(world.docker(&["logs", "one"]).await.out, "hello\n");
    assert_eq!(world.docker(&["ps", "-aq"]).await.out.lines().count(), 1, "--rm leaves nothing");
    let again = world.docker(&["run", "--name", "one", "busybox", "say", "x"]).await;
    assert_eq!(again.code, 125);
    assert!(
        again.err.contains("The container name \"/one\" is already in use by container"),
        "{}",
        again.err
    );
    let started = world.docker(&["start", "-a", "one"]).await;
    assert_eq!(started.out, "hello\n", "{}", started.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn input_goes_in_and_its_end_as_well() {
    let Some(world) = World::open("input").await else { return };
    let ran = world.docker_with(&["run", "-i", "--rm", "busybox", "echo-input"], "over the wire").await;
    assert_eq!((ran.code, ran.out.as_str()), (0, "over the wire"), "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exec_has_its_own_exit_code() {
    let Some(world) = World::open("exec").await else { return };
    world.docker(&["run", "-d", "--name", "web", "busybox", "wait"]).await.fine();
    let said = world.docker(&["exec", "web", "say", "inside"]).await;
    assert_eq!((said.code, said.out.as_str()), (0, "inside\n"), "{}", said.err);
    assert_eq!(world.docker(&["exec", "web", "fail", "5"]).await.code, 5);
    let missing = world.docker(&["exec", "web", "missing"]).await;
    assert_eq!(missing.code, 127, "{}{}", missing.out, missing.err);
    let piped = world.docker_with(&["exec", "-i", "web", "echo-input"], "abc").await;
    assert_eq!(piped.out, "abc", "{}", piped.err);
    world.docker(&["stop", "web"]).await.fine();
    let late = world.docker(&["exec", "web", "say", "x"]).await;
    assert!(late.err.contains("is not running"), "{}", late.err);
}

/// The id of an exec in the container `web`.
async fn made_exec(world: &World, command: &str) -> String {
    let mut answer = String::new();
    let head = "POST /v1.50/containers/web/exec HTTP/1.1\r\nConnection: close";
    let wanted = format!(r#"{{"AttachStdout": true, "Cmd": {command}}}"#);
    world.send(head, &wanted).await.read_to_string(&mut answer).await.unwrap();
    answer.split("\"Id\":\"").nth(1).and_then(|rest| rest.get(..64)).expect(&answer).to_owned()
}

async fn started_exec(world: &World, id: &str) -> tokio::net::UnixStream {
    let head = format!("POST /v1.50/exec/{id}/start HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: tcp");
    world.send(&head, r#"{"Detach": false, "Tty": false}"#).await
}

/// The SDKs read the answer's head through a buffer, and lose output that comes in one piece with it.
#[tokio::test(flavor = "multi_thread")]
async fn an_exec_begins_when_its_client_has_the_answer_s_head() {
    let Some(world) = World::open("head").await else { return };
    world.docker(&["run", "-d", "--name", "web", "busybox", "wait"]).await.fine();
    let id = made_exec(&world, r#"["gated"]"#).await;
    let mut stream = BufReader::new(started_exec(&world, &id).await);
    let mut line = String::new();
    let reading = async {
        while line != "\r\n" {
            line.clear();
            assert_ne!(stream.read_line(&mut line).await.unwrap(), 0);
        }
    };
    tokio::time::timeout(Duration::from_secs(20), reading)
        .await
        .expect("the head comes before the exec begins");
    world.runtime.gate.notify_one();
    let mut output = Vec::new();
    stream.read_to_end(&mut output).await.unwrap();
}

/// Also where the exec is quick and the client is slow.
#[tokio::test(flavor = "multi_thread")]
async fn output_waits_until_the_answer_s_head_is_read() {
    let Some(world) = World::open("read").await else { return };
    world.docker(&["run", "-d", "--name", "web", "busybox", "wait"]).await.fine();
    let id = made_exec(&world, r#"["say", "hello"]"#).await;
    let mut stream = started_exec(&world, &id).await;
    // it has said all that it says
    while !world.ask(&format!("GET /v1.50/exec/{id}/json"), "").await.1.contains("\"ExitCode\":0") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (_, inspected) = world.ask(&format!("GET /v1.50/exec/{id}/json"), "").await;
    assert!(inspected.contains("\"Pid\":77"), "{inspected}");
    let mut buffer = [0; 8192];
    let read = stream.read(&mut buffer).await.unwrap();
    let head = String::from_utf8_lossy(&buffer[..read]);
    assert!(head.starts_with("HTTP/1.1 101 ") && head.ends_with("\r\n\r\n"), "{head:?}");
    let mut output = Vec::new();
    stream.read_to_end(&mut output).await.unwrap();
    assert_eq!(output, b"\x01\0\0\0\0\0\0\x06hello\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_runs_when_its_process_is_there() {
    let Some(world) = World::open("starting").await else { return };
    let shown = async || {
        let format = "{{.State.Status}} {{.State.Running}} {{.State.Pid}}";
        let listed = world.docker(&["ps", "-q"]).await.out.lines().count();
        format!("{} {listed}", world.docker(&["inspect", "-f", format, "web"]).await.out.trim())
    };
    let start = async |before: &str| {
        let held = world.runtime.start_gate.lock().await;
        let begun = world.runtime.starting.load(SeqCst);
        let looks = async {
            while world.runtime.starting.load(SeqCst) == begun {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            assert_eq!(shown().await, before);
            drop(held);
        };
        let (started, ()) = tokio::join!(world.docker(&["start", "web"]), looks);
        started.fine();
        assert_eq!(shown().await, "running true 1 1");
    };
    world.docker(&["create", "--name", "web", "busybox", "wait"]).await.fine();
    start("created false 0 0").await;
    world.docker(&["stop", "-t", "0", "web"]).await.fine();
    start("exited false 0 0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_hangs_up_in_a_commit_leaves_nobody_frozen() {
    let Some(world) = World::open("hangs-up").await else { return };
    world.docker(&["run", "-d", "--name", "web", "busybox", "wait"]).await.fine();
    let mut frozen = world.runtime.frozen.subscribe();
    let held = world.runtime.freeze_gate.lock().await;
    let client = world.send("POST /v1.50/commit?container=web&repo=cut HTTP/1.1", "{}").await;
    frozen.wait_for(|frozen| *frozen).await.unwrap();
    drop(client);
    // the engine has seen by then that it is gone
    for _ in 0..20 {
        assert_eq!(world.ask("GET /_ping", "").await.0, 200);
    }
    drop(held);
    let thawed = frozen.wait_for(|frozen| !*frozen);
    tokio::time::timeout(Duration::from_secs(20), thawed).await.expect("it goes on").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_starts_finds_frozen_who_is_paused_and_nobody_else() {
    let Some(mut world) = World::open("thaws").await else { return };
    world.docker(&["run", "-d", "--name", "web", "busybox", "wait"]).await.fine();
    let runtime = world.runtime.clone();
    for paused in [false, true] {
        if paused {
            world.docker(&["pause", "web"]).await.fine();
        }
        world.stop().await;
        // as an engine left it that was killed in a commit, or before it wrote down what it did
        runtime.frozen.send_replace(!paused);
        let mut frozen = runtime.frozen.subscribe();
        world.start().await;
        let put_right = frozen.wait_for(|frozen| *frozen == paused);
        tokio::time::timeout(Duration::from_secs(20), put_right)
            .await
            .expect("as it is written down")
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_kill_pause_and_remove() {
    let Some(world) = World::open("life").await else { return };
    world
        .docker(&["run", "-d", "--name", "web", "-p", "8080:80", "--label", "a=b", "busybox", "wait"])
        .await
        .fine();
    let shown =
        world.docker(&["ps", "--filter", "label=a=b", "--format", "{{.Names}} {{.Ports}} {{.State}}"]).await;
    assert_eq!(shown.out, "web 0.0.0.0:8080->80/tcp running\n");
    let refused = world.docker(&["rm", "web"]).await;
    assert!(
        refused.err.contains("container is running: stop the container before removing"),
        "{}",
        refused.err
    );
    world.docker(&["pause", "web"]).await.fine();
    assert_eq!(world.docker(&["inspect", "-f", "{{.State.Status}}", "web"]).await.out, "paused\n");
    world.docker(&["unpause", "web"]).await.fine();
    world.docker(&["kill", "web"]).await.fine();
    assert_eq!(world.docker(&["wait", "web"]).await.out, "137\n");
    world.docker(&["restart", "web"]).await.fine();
    world.docker(&["rename", "web", "shop"]).await.fine();
    world.docker(&["rm", "-f", "shop"]).await.fine();
    assert!(world.docker(&["inspect", "shop"]).await.err.contains("No such object: shop"));
    assert!(world.runtime.is_empty(), "a sandbox is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_policy_is_followed_to_its_end() {
    let Some(world) = World::open("policy").await else { return };
    world
        .docker(&["run", "-d", "--name", "job", "--restart", "on-failure:2", "busybox", "fail", "4"])
        .await
        .fine();
    // `wait` returns with each run's end
    let mut shown = String::new();
    for _ in 0..10 {
        assert_eq!(world.docker(&["wait", "job"]).await.out, "4\n");
        shown = world.docker(&["inspect", "-f", "{{.RestartCount}} {{.State.Status}}", "job"]).await.out;
        if shown == "2 exited\n" {
            break;
        }
    }
    assert_eq!(shown, "2 exited\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_survives_a_restart_of_the_engine() {
    let Some(mut world) = World::open("again").await else { return };
    world.docker(&["run", "-d", "--name", "stays", "busybox", "wait"]).await.fine();
    world.docker(&["run", "-d", "--name", "back", "--restart", "always", "busybox", "wait"]).await.fine();
    world.docker(&["run", "-d", "--name", "gone", "busybox", "wait"]).await.fine();
    world.docker(&["network", "create", "shop"]).await.fine();
    world.docker(&["volume", "create", "db"]).await.fine();
    world.stop().await;
    world.runtime.end("back", 1).await;
    world.runtime.end("gone", 3).await;
    world.start().await;
    let shown = world.docker(&["ps", "-a", "--format", "{{.Names}} {{.State}}"]).await.out;
    let mut shown: Vec<&str> = shown.lines().collect();
    shown.sort_unstable();
    assert!(shown.contains(&"stays running") && shown.contains(&"gone exited"), "{shown:?}");
    world.docker(&["network", "inspect", "shop"]).await.fine();
    world.docker(&["volume", "inspect", "db"]).await.fine();
    assert_eq!(world.docker(&["inspect", "-f", "{{.State.ExitCode}}", "gone"]).await.out, "3\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_can_not_be_read_costs_neither_the_files_nor_the_process() {
    let Some(mut world) = World::open("unread").await else { return };
    world.docker(&["run", "-d", "--name", "web", "busybox", "wait"]).await.fine();
    let id = world.docker(&["inspect", "-f", "{{.Id}}", "web"]).await.out.trim().to_owned();
    let dir = world.state_dir().join("containers").join(&id);
    std::fs::write(dir.join("written-by-it"), "work").unwrap();
    world.stop().await;
    let record = std::fs::read(dir.join("container.json")).unwrap();
    // as an older version finds what a newer one has written
    std::fs::write(dir.join("container.json"), r#"{"id": "of another form"}"#).unwrap();
    let cut_off = world.state_dir().join("containers").join("f".repeat(64));
    std::fs::create_dir(&cut_off).unwrap();
    world.start().await;
    assert_eq!(world.docker(&["ps", "-aq"]).await.out, "");
    assert!(!cut_off.exists(), "one whose creation was cut off has none, and goes");
    world.stop().await;
    std::fs::write(dir.join("container.json"), record).unwrap();
    world.start().await;
    assert_eq!(world.docker(&["ps", "--format", "{{.Names}} {{.State}}"]).await.out, "web running\n");
    assert_eq!(std::fs::read_to_string(dir.join("written-by-it")).unwrap(), "work");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_taken_the_name_of_one_that_could_not_be_read_ends_it_not() {
    let Some(mut world) = World::open("namesake").await else { return };
    world.docker(&["run", "-d", "--name", "web", "busybox", "wait"]).await.fine();
    let id = world.docker(&["inspect", "-f", "{{.Id}}", "web"]).await.out.trim().to_owned();
    let file = world.state_dir().join("containers").join(&id).join("container.json");
    world.stop().await;
    let record = std::fs::read(&file).unwrap();
    std::fs::write(&file, "{}").unwrap();
    world.start().await;
    world.docker(&["run", "-d", "--name", "web", "busybox", "wait"]).await.fine();
    world.stop().await;
    std::fs::write(&file, record).unwrap();
    world.start().await;
    assert_eq!(world.docker(&["ps", "--format", "{{.Names}} {{.State}}"]).await.out, "web running\n");
    assert_eq!(world.runtime.sandboxes(), 2, "both run on");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_not_there_is_found() {
    let Some(world) = World::open("missing").await else { return };
    for (words, want) in [
        (&["start", "nobody"][..], "No such container: nobody"),
        (&["logs", "nobody"], "No such container: nobody"),
        (&["rmi", "nothing"], "No such image: nothing"),
        (&["volume", "rm", "nothing"], "get nothing: no such volume"),
        (&["network", "rm", "nothing"], "network nothing not found"),
        (&["network", "rm", "bridge"], "bridge is a pre-defined network and cannot be removed"),
        (&["search", "busybox"], "searching Docker Hub is not offered"),
        (&["run", "-v", "a:b:c:d", "busybox"], "invalid"),
    ] {
        let said = world.docker(words).await;
        assert!(said.code != 0 && said.err.contains(want), "{words:?}: {}", said.err);
    }
}

/// As curl sends it with `-g`, and as Go's server takes it.
#[tokio::test(flavor = "multi_thread")]
async fn a_query_may_be_json_as_it_stands() {
    let Some(world) = World::open("quotes").await else { return };
    let (code, said) = world.ask("GET /containers/json?all=1&filters={\"status\":[\"created\"]}", "").await;
    assert_eq!((code, said.as_str()), (200, "[]"));
    let (code, said) = world.ask("GET /containers/json?filters={\"status\":[\"<odd>\"]}", "").await;
    assert!(code == 400 && said.contains("invalid value for state (<odd>)"), "{code} {said}");
}
