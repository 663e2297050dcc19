//! Command lines, mounts, images, limits and ports, as the runtime is given them.

use super::*;
use serde_json::json;

fn words(list: &[&str]) -> Option<Vec<String>> {
    Some(list.iter().map(|w| (*w).to_owned()).collect())
}

#[test]
fn the_command_line() {
    let image = RunConfig { entrypoint: words(&["/e"]), cmd: words(&["a"]), ..Default::default() };
    for (name, entrypoint, cmd, want) in [
        ("nothing said", None, None, vec!["/e", "a"]),
        ("arguments", None, words(&["b"]), vec!["/e", "b"]),
        ("empty arguments", None, words(&[]), vec!["/e", "a"]),
        ("entrypoint", words(&["/f"]), None, vec!["/f"]),
        ("both", words(&["/f"]), words(&["b"]), vec!["/f", "b"]),
        ("no entrypoint", words(&[""]), words(&["b"]), vec!["b"]),
    ] {
        let config = with_image(Config { entrypoint, cmd, ..Default::default() }, &image);
        assert_eq!(arguments(&config), want, "{name}");
    }
}

#[test]
fn what_is_read_only_below_a_read_only_mount() {
    for (name, mounted, want) in [
        ("usual", json!({}), vec!["rbind", "rro"]),
        ("without what is below", json!({"non_recursive": true}), vec!["bind", "rro"]),
        ("which stays writable", json!({"writable_below": true}), vec!["rbind", "ro"]),
        ("writable", json!({"read_only": false}), vec![]),
    ] {
        let mut record = json!({"kind": "bind", "name": "", "source": "/s", "target": "/t", "read_only": true,
            "propagation": "", "copy": false, "size": null});
        for (key, value) in mounted.as_object().unwrap() {
            record[key] = value.clone();
        }
        let mounted: Mounted = serde_json::from_value(record).unwrap();
        assert_eq!(mount(&mounted).unwrap().options, want, "{name}");
    }
}

#[test]
fn an_image_is_mounted_by_its_id_and_read_only() {
    let record = json!({"kind": "image", "name": "", "source": "tools:1", "image": "sha256:1", "target": "/t",
        "read_only": true, "propagation": "", "copy": false, "size": null, "subpath": "bin"});
    let made = mount(&serde_json::from_value(record).unwrap()).unwrap();
    assert_eq!((made.source, made.image.as_deref(), made.read_only), (None, Some("sha256:1"), true));
    assert_eq!((made.subpath, made.options), (Some("bin".into()), vec!["rbind".into(), "rro".into()]));
}

#[test]
fn the_image_fills_in() {
    let image = RunConfig {
        env: vec!["A=1".into(), "B=1".into()],
        user: "app".into(),
        labels: [("x".into(), "image".into()), ("y".into(), "image".into())].into(),
        ..Default::default()
    };
    let own =
        Config { env: vec!["B=2".into()], labels: [("x".into(), "own".into())].into(), ..Default::default() };
    let config = with_image(own, &image);
    assert_eq!(config.env, ["B=2", "A=1"]);
    assert_eq!(
        (config.user.as_str(), config.labels["x"].as_str(), config.labels["y"].as_str()),
        ("app", "own", "image")
    );
}

#[test]
fn a_check_is_the_images_but_for_what_is_said() {
    let check = |test: &[&str], interval, retries| Healthcheck {
        test: test.iter().map(|word| (*word).to_owned()).collect(),
        interval,
        retries,
        timeout: 7,
        ..Healthcheck::default()
    };
    let image = RunConfig { healthcheck: Some(check(&["CMD", "x"], 5, 2)), ..Default::default() };
    for (name, own, want) in [
        ("nothing", None, check(&["CMD", "x"], 5, 2)),
        ("a number", Some(Healthcheck { retries: 9, ..Default::default() }), check(&["CMD", "x"], 5, 9)),
        ("another command", Some(check(&["CMD", "y"], 0, 0)), check(&["CMD", "y"], 5, 2)),
        ("none", Some(check(&["NONE"], 0, 0)), check(&["NONE"], 5, 2)),
    ] {
        let config = with_image(Config { healthcheck: own, ..Default::default() }, &image);
        assert_eq!(config.healthcheck, Some(want), "{name}");
    }
}

#[test]
fn limits() {
    let given = |limits| resources(&limits);
    let none = given(Limits::default());
    assert_eq!(none, Resources::default());
    let half = given(Limits { nano_cpus: 500_000_000, memory: 1 << 20, ..Default::default() });
    assert_eq!((half.cpu_quota, half.cpu_period), (Some(50_000), Some(100_000)));
    assert_eq!((half.memory_limit, half.memory_swap_limit), (Some(1 << 20), Some(2 << 20)));
    assert_eq!(given(Limits { pids_limit: Some(-1), ..Default::default() }).pids_limit, Some(-1));
}

#[test]
fn ports() {
    for (text, want) in [
        ("80/tcp", Some((80, Protocol::Tcp))),
        ("53/udp", Some((53, Protocol::Udp))),
        ("80", Some((80, Protocol::Tcp))),
        ("80/x", None),
        ("99999/tcp", None),
    ] {
        assert_eq!(port(text).ok(), want, "{text}");
    }
    let config =
        Config { exposed_ports: [("80/tcp".into(), serde_json::json!({}))].into(), ..Default::default() };
    let mut host = HostConfig { publish_all_ports: true, ..Default::default() };
    choose_ports(&config, &mut host, |_, _| Ok(4000)).unwrap();
    assert_eq!(host.port_bindings["80/tcp"].as_ref().unwrap()[0].host_port, "4000");
}
