//! What requests say in their bodies and how the answers to wrong ones are, as the engine's own integration suite has it.

use crate::world::World;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_container_is_made_of_something() {
    let Some(world) = World::open("empty").await else { return };
    const EMPTY: &str = "config cannot be empty in order to create a container";
    for (body, status, words) in [
        ("", 400, "invalid JSON: got EOF while reading request body"),
        ("{", 400, "invalid JSON: "),
        ("[]", 400, EMPTY),
        ("{}", 400, EMPTY),
        (r#"{"HostConfig": {}}"#, 400, EMPTY),
        (r#"{"Cmd": ["x"]}"#, 400, "no image specified"),
        (r#"{"Image": "nosuch"}"#, 404, "No such image: nosuch"),
        (r#"{"Image": "busybox"}"#, 201, "Id"),
    ] {
        let (got, said) = world.ask("POST /v1.51/containers/create", body).await;
        assert!(got == status && said.contains(words), "{body}: {got} {said}");
    }
}

/// The body is read before anything is looked up.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_json_and_comes_first() {
    let Some(world) = World::open("kinds").await else { return };
    for path in [
        "containers/create",
        "containers/nobody/exec",
        "containers/nobody/update",
        "exec/none/start",
        "networks/create",
        "networks/none/connect",
        "networks/none/disconnect",
        "volumes/create",
    ] {
        let (status, said) = world.ask(&format!("POST /v1.51/{path}"), "{").await;
        assert!(status == 400 && said.contains("invalid JSON: "), "{path}: {status} {said}");
        let plain = format!("POST /v1.51/{path} HTTP/1.1\r\nConnection: close\r\nX-Kind: y");
        let (status, said) = world.ask_as(&plain, "text/plain", "{}").await;
        assert!(
            status == 400 && said.contains("unsupported Content-Type header (text/plain)"),
            "{path}: {said}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_has_a_size_or_none_is_set() {
    let Some(world) = World::open("sizes").await else { return };
    world.docker(&["run", "-d", "--name", "web", "busybox", "wait"]).await.fine();
    for (query, status, words) in [
        ("", 400, "invalid resize height \\\"\\\": invalid syntax"),
        ("?h=40", 400, "invalid resize width \\\"\\\": invalid syntax"),
        ("?h=-1&w=40", 400, "invalid resize height \\\"-1\\\": invalid syntax"),
        ("?h=99999999999&w=40", 400, "invalid resize height \\\"99999999999\\\": value out of range"),
        ("?h=40&w=40", 200, ""),
    ] {
        let (got, said) = world.ask(&format!("POST /v1.51/containers/web/resize{query}"), "").await;
        assert!(got == status && said.contains(words), "{query}: {got} {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_start_of_an_exec_hears_why_in_its_stream() {
    let Some(world) = World::open("twice").await else { return };
    world.docker(&["run", "-d", "--name", "web", "busybox", "wait"]).await.fine();
    let exec = r#"{"AttachStdout": true, "Cmd": ["say", "once"]}"#;
    let (_, made) = world.ask("POST /v1.51/containers/web/exec", exec).await;
    let id = serde_json::from_str::<Value>(&made).unwrap()["Id"].as_str().unwrap().to_owned();
    let start = format!("POST /v1.51/exec/{id}/start");
    let (status, said) = world.ask(&start, r#"{"Detach": false}"#).await;
    assert!(status == 200 && said.contains("once\n"), "{status} {said}");
    let (status, said) = world.ask(&start, r#"{"Detach": false}"#).await;
    assert!(
        status == 200 && said.contains(&format!("error: exec command {id} has already run")),
        "{status} {said}"
    );
    let (status, said) = world.ask(&start, r#"{"Detach": true}"#).await;
    assert!(status == 409 && said.contains("has already run"), "{status} {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_goes_at_its_end_survives_a_restart() {
    let Some(world) = World::open("rm").await else { return };
    world.docker(&["run", "-d", "--rm", "--name", "web", "-v", "/data", "busybox", "wait"]).await.fine();
    let id = world.docker(&["inspect", "-f", "{{.Id}}", "web"]).await.out;
    for _ in 0..2 {
        world.docker(&["restart", "-t", "0", "web"]).await.fine();
        assert_eq!(world.docker(&["inspect", "-f", "{{.Id}} ", "web"]).await.out.trim(), id.trim());
    }
    assert_eq!(world.docker(&["inspect", "-f", "{{.State.Status}}", "web"]).await.out, "running\n");
    world.docker(&["stop", "-t", "0", "web"]).await.fine();
    let (_, _) = world.ask("POST /v1.51/containers/web/wait?condition=removed", "").await;
    assert_eq!(world.docker(&["ps", "-aq"]).await.out, "");
    assert_eq!(world.docker(&["volume", "ls", "-q"]).await.out, "", "and so do its volumes");
}

/// When a removal is answered it is done; one that was cut off is ended by the next engine.
#[tokio::test(flavor = "multi_thread")]
async fn a_removed_container_leaves_nothing() {
    let Some(mut world) = World::open("gone").await else { return };
    for number in 0..20 {
        world.docker(&["create", "--name", "web", "-v", "/data", "busybox", "wait"]).await.fine();
        let (status, why) = world.ask("DELETE /v1.51/containers/web?v=1", "").await;
        assert_eq!(status, 204, "{why}");
        let (_, volumes) = world.ask("GET /v1.51/volumes", "").await;
        let volumes: Value = serde_json::from_str(&volumes).unwrap();
        assert_eq!(volumes["Volumes"], json!([]), "round {number}");
        let left = std::fs::read_dir(world.state_dir().join("containers")).unwrap().count();
        assert_eq!(left, 0, "round {number}");
    }
    world
        .docker(&["create", "--name", "web", "-v", "/data", "-v", "named:/n", "busybox", "wait"])
        .await
        .fine();
    let id = world.docker(&["inspect", "-f", "{{.Id}}", "web"]).await.out.trim().to_owned();
    world.stop().await;
    // as far as a removal comes with its first two steps
    let dir = world.state_dir().join("containers").join(&id);
    std::fs::write(dir.join("with-volumes"), "").unwrap();
    std::fs::rename(&dir, dir.with_extension("removed")).unwrap();
    world.start().await;
    assert_eq!(world.docker(&["ps", "-aq"]).await.out, "");
    assert_eq!(world.docker(&["volume", "ls", "-q"]).await.out, "named\n");
    assert_eq!(std::fs::read_dir(world.state_dir().join("containers")).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_named_like_an_id_is_another_one() {
    let Some(world) = World::open("names").await else { return };
    world.docker(&["network", "create", "one"]).await.fine();
    let id = world.docker(&["network", "inspect", "-f", "{{.Id}}", "one"]).await.out.trim().to_owned();
    world.docker(&["network", "create", &id]).await.fine();
    world.docker(&["run", "-d", "--name", "web", "--network", "one", "busybox", "wait"]).await.fine();
    let refused = world.docker(&["network", "rm", &id]).await;
    assert!(refused.err.contains("network one has active endpoints"), "{}", refused.err);
    world.docker(&["rm", "-f", "web"]).await.fine();
    world.docker(&["network", "rm", &id]).await.fine();
    let left = world.docker(&["network", "ls", "--filter", "type=custom", "--format", "{{.Name}}"]).await.out;
    assert_eq!(left.trim(), id, "the one of that name stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn links_are_names_too() {
    let Some(world) = World::open("links").await else { return };
    world.docker(&["run", "-d", "--name", "db", "busybox", "wait"]).await.fine();
    let id = world.docker(&["inspect", "-f", "{{.Id}}", "db"]).await.out.trim().to_owned();
    world
        .docker(&["run", "-d", "--name", "web", "--link", &format!("{id}:data"), "busybox", "wait"])
        .await
        .fine();
    let links = world.docker(&["inspect", "-f", "{{json .HostConfig.Links}}", "web"]).await.out;
    assert_eq!(links, "[\"/db:/web/data\"]\n");
    let (_, listed) = world.ask("GET /v1.51/containers/json", "").await;
    let listed: Vec<Value> = serde_json::from_str(&listed).unwrap();
    let names = &listed.iter().find(|c| c["Id"] == id).unwrap()["Names"];
    assert_eq!(*names, json!(["/db", "/web/data"]));
    assert_eq!(world.docker(&["inspect", "-f", "{{.Id}}", "web/data"]).await.out.trim(), id);
    for path in ["json", "logs?stdout=1", "stats?stream=0&one-shot=1", "changes"] {
        let (status, said) = world.ask(&format!("GET /v1.51/containers/web/data/{path}"), "").await;
        assert_eq!(status, 200, "{path}: {said}");
    }
    let (status, said) = world.ask("GET /v1.51/containers/web/none/json", "").await;
    assert!(status == 404 && said.contains("No such container: web/none"), "{status} {said}");
    let refused = world.docker(&["rm", "--link", "db"]).await;
    let words = "Conflict, cannot remove the default link name of the container";
    assert!(refused.code == 1 && refused.err.contains(words), "{}", refused.err);
    world.docker(&["rm", "--link", "web/data"]).await.fine();
    let (status, said) = world.ask("GET /v1.51/containers/web/data/json", "").await;
    assert!(status == 404 && said.contains("No such container: web/data"), "{status} {said}");
    let links = world.docker(&["inspect", "-f", "{{json .HostConfig.Links}}", "web"]).await.out;
    assert_eq!(links, "null\n");
    // by any other of its names the container itself goes
    world.docker(&["run", "-d", "--name", "again", "--link", "db:data", "busybox", "wait"]).await.fine();
    world.docker(&["rm", "-f", "again/data"]).await.fine();
    assert_eq!(world.docker(&["ps", "--format", "{{.Names}}"]).await.out, "again\nweb\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn images_are_named_saved_and_imported_as_docker_has_it() {
    let Some(world) = World::open("image-names").await else { return };
    for (target, words) in [
        ("sha256:x", "refusing to create an ambiguous tag using digest algorithm as name"),
        ("Upper", "invalid reference format: repository name (library/Upper) must be lowercase"),
    ] {
        let (repo, tag) = target.split_once(':').unwrap_or((target, "latest"));
        let (status, said) =
            world.ask(&format!("POST /v1.51/images/busybox/tag?repo={repo}&tag={tag}"), "").await;
        assert!(status == 400 && said.contains(words), "{target}: {status} {said}");
    }
    world.docker(&["tag", "busybox", "busybox:second"]).await.fine();
    let tar = world.state_dir().join("saved.tar");
    world.docker(&["save", "-o", tar.to_str().unwrap(), "busybox"]).await.fine();
    let mut archive = tar::Archive::new(std::fs::File::open(&tar).unwrap());
    let manifest =
        archive.entries().unwrap().map(Result::unwrap).find(|e| e.path().unwrap().ends_with("manifest.json"));
    let manifest: Value = serde_json::from_reader(manifest.unwrap()).unwrap();
    assert_eq!(manifest[0]["RepoTags"], json!(["busybox:latest", "busybox:second"]));
    // nobody listens there
    let (status, said) = world.ask("POST /v1.51/images/create?fromSrc=http://127.0.0.1:1/x.tar", "").await;
    assert!(status >= 400, "{status} {said}");
    for path in ["images/prune", "containers/prune", "networks/prune"] {
        let filters = "%7B%22until%22%3A%5B%221h%22%2C%222h%22%5D%7D";
        let (status, said) = world.ask(&format!("POST /v1.51/{path}?filters={filters}"), "").await;
        assert_eq!(status, 200, "{path}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_that_is_none_is_refused_before_anything_is_done() {
    let Some(world) = World::open("platform").await else { return };
    let unknown = r#"\"foobar\": unknown operating system or architecture: invalid argument"#;
    let container = r#"{"Image": "busybox"}"#;
    for (request, body, words) in [
        ("images/create?fromImage=busybox&tag=1&platform=foobar", "", unknown),
        // nobody listens there
        (
            "images/create?fromImage=127.0.0.1:1/a&tag=1&platform=foo/bar",
            "",
            "operating system is not supported",
        ),
        ("images/create?fromImage=127.0.0.1:1/a&platform=foo/bar", "", "operating system is not supported"),
        (
            "images/create?fromImage=a&platform=%7B%22os%22:%22linux%22%7D",
            "",
            "both OS and Architecture must be provided",
        ),
        ("containers/create?platform=foobar", container, unknown),
    ] {
        let (status, said) = world.ask(&format!("POST /v1.51/{request}"), body).await;
        assert!(status == 400 && said.contains(words), "{request}: {status} {said}");
    }
    let (status, said) = world.ask("POST /v1.51/containers/create?platform=foo/bar", container).await;
    assert!(
        status == 404 && said.contains("does not match the specified platform (foo/bar)"),
        "{status} {said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_of_a_driver_that_is_not_here_is_none() {
    let Some(world) = World::open("driver").await else { return };
    let create = "POST /v1.51/containers/create";
    let with = |binds: &str| {
        format!(r#"{{"Image": "busybox", "HostConfig": {{"VolumeDriver": "nfs", "Binds": [{binds}]}}}}"#)
    };
    let (status, said) = world.ask(create, &with(r#""data:/data""#)).await;
    assert!(status == 404 && said.contains("error looking up volume plugin nfs"), "{status} {said}");
    let (status, said) = world.ask(create, &with("")).await;
    assert_eq!(status, 201, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_one_kind_of_disk_usage_gets_that_one() {
    let Some(world) = World::open("df").await else { return };
    world.docker(&["volume", "create", "data"]).await.fine();
    world.docker(&["create", "--name", "web", "busybox"]).await.fine();
    for (query, kinds) in [
        ("v1.51/system/df", &["Images", "Containers", "Volumes", "BuildCache"][..]),
        ("v1.51/system/df?type=image", &["Images"]),
        ("v1.51/system/df?type=volume&type=container", &["Containers", "Volumes"]),
        ("v1.51/system/df?type=build-cache", &["BuildCache"]),
        // which did not know it
        ("v1.41/system/df?type=image", &["Images", "Containers", "Volumes", "BuildCache"]),
    ] {
        let (status, said) = world.ask(&format!("GET /{query}"), "").await;
        let said: Value = serde_json::from_str(&said).unwrap();
        let found: Vec<&str> = ["Images", "Containers", "Volumes", "BuildCache"]
            .into_iter()
            .filter(|kind| said[*kind].is_array())
            .collect();
        assert_eq!((status, &found[..]), (200, kinds), "{query}");
    }
    let (status, said) = world.ask("GET /v1.51/system/df?type=secret", "").await;
    assert!(status == 400 && said.contains("unknown object type: secret"), "{status} {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_images_counts_their_containers_where_the_api_has_that() {
    let Some(world) = World::open("users").await else { return };
    for (version, want) in [("v1.51", 0), ("v1.51", 1), ("v1.50", -1)] {
        let (status, said) = world.ask(&format!("GET /{version}/images/json"), "").await;
        let said: Value = serde_json::from_str(&said).unwrap();
        assert_eq!((status, &said[0]["Containers"]), (200, &Value::from(want)), "{version}");
        if want == 0 {
            world.docker(&["create", "busybox"]).await.fine();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_of_builds_are_counted_and_pruned_as_asked() {
    let Some(world) = World::open("steps").await else { return };
    let mut context = tar::Builder::new(Vec::new());
    crate::world::add(&mut context, "Dockerfile", b"FROM busybox\nWORKDIR /one\nWORKDIR /two\n");
    let context = String::from_utf8(context.into_inner().unwrap()).unwrap();
    let head = "POST /v1.51/build?t=made HTTP/1.1\r\nConnection: close";
    let (status, said) = world.ask_as(head, "application/x-tar", &context).await;
    assert!(status == 200 && said.contains("Successfully tagged made:latest"), "{said}");
    let steps = async || {
        let (_, said) = world.ask("GET /v1.51/system/df?type=build-cache", "").await;
        let said: Value = serde_json::from_str(&said).unwrap();
        let all = said["BuildCache"].as_array().unwrap();
        all.iter().map(|step| step["Description"].to_string()).collect::<Vec<_>>()
    };
    let one = [r#""/bin/sh -c #(nop) WORKDIR /one""#];
    assert_eq!(steps().await, one);
    for (query, status, left) in [
        ("filters=%7B%22until%22%3A%7B%2224h%22%3Atrue%7D%7D", 200, &one[..]),
        ("filters=%7B%22label%22%3A%7B%22a%22%3Atrue%7D%7D", 200, &one),
        ("keep-storage=1000", 200, &one),
        ("all=1", 200, &[]),
    ] {
        assert_eq!(world.ask(&format!("POST /v1.51/build/prune?{query}"), "").await.0, status, "{query}");
        assert_eq!(steps().await, left, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_is_told_up_to_an_end() {
    let Some(world) = World::open("events").await else { return };
    world.docker(&["tag", "busybox:latest", "busybox:other"]).await.fine();
    world.docker(&["create", "--name", "web", "busybox:latest"]).await.fine();
    world.docker(&["rmi", "-f", "busybox"]).await.fine();
    world.ask("POST /v1.51/networks/prune", "").await;
    let until = format!("until={}", jiff::Timestamp::now().as_second() + 1);
    let told = async |query: &str| {
        let (status, said) = world.ask(&format!("GET /v1.51/events?{query}"), "").await;
        assert_eq!(status, 200, "{said}");
        // among the lengths of chunks
        let lines = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let lines = lines.filter(Value::is_object);
        let told = lines.map(|event| format!("{} {}", event["Type"], event["Action"]).replace('"', ""));
        told.collect::<Vec<_>>()
    };
    // no beginning, or that of all times: from all that is remembered
    for since in ["", "since=&", "since=0&", "since=0.000000000&"] {
        let all = ["image tag", "container create", "image untag", "network prune"];
        assert_eq!(told(&format!("{since}{until}")).await, all, "{since}");
    }
    let of_image = format!("{until}&filters=%7B%22image%22%3A%5B%22busybox%22%5D%7D");
    assert_eq!(told(&of_image).await, ["image tag", "container create"], "by the name without its tag");
    for (query, words) in [
        ("since=20.5&until=10", "`since` time (20.5) cannot be after `until` time (10)"),
        ("since=yesterday", "invalid value for"),
    ] {
        let (status, said) = world.ask(&format!("GET /v1.51/events?{query}"), "").await;
        assert!(status == 400 && said.contains(words), "{query}: {status} {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn before_1_42_a_prune_takes_volumes_with_names_as_well() {
    let Some(world) = World::open("volumes").await else { return };
    world.docker(&["volume", "create", "data"]).await.fine();
    let (_, said) = world.ask("POST /v1.42/volumes/prune", "").await;
    assert!(said.contains("\"VolumesDeleted\":[]"), "{said}");
    let (_, said) = world.ask("POST /v1.41/volumes/prune", "").await;
    assert!(said.contains("\"VolumesDeleted\":[\"data\"]"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_not_taken_away() {
    let Some(world) = World::open("nameless").await else { return };
    world.docker(&["create", "--name", "web", "busybox"]).await.fine();
    let (status, said) = world.ask("POST /v1.51/containers/web/rename?name=", "").await;
    assert!(status == 400 && said.contains("Neither old nor new names may be empty"), "{status} {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ping_tells_what_else_there_is() {
    use tokio::io::AsyncReadExt;
    let Some(world) = World::open("ping").await else { return };
    let mut answer = String::new();
    let head = "HEAD /_ping HTTP/1.1\r\nConnection: close";
    world.send(head, "").await.read_to_string(&mut answer).await.unwrap();
    for line in ["swarm: inactive", "builder-version: 2", "ostype: linux", "pragma: no-cache"] {
        assert!(answer.to_lowercase().contains(line), "{line}: {answer}");
    }
}
