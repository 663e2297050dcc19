//! What Docker's own engine (28.5, the classic builder) made of the same Dockerfiles, seen with `docker inspect`,
//! `docker history` and in the layers of `docker save`.

use super::*;
use serde_json::{Value, json};
use tar::EntryType;

/// Configuration and history, the newest last and without hashes.
fn facts(lab: &Lab) -> (Value, Vec<(String, bool)>) {
    let document = lab.t.store.details("made").unwrap().document;
    let history = document.history.iter().map(|item| {
        let words: Vec<&str> = item.created_by.split(' ').collect();
        let shown = words.iter().map(|word| match word.split_once(':') {
            Some((kind @ ("file" | "dir" | "multi"), hash)) if hash.len() == 64 => format!("{kind}:HASH"),
            _ => (*word).to_owned(),
        });
        (shown.collect::<Vec<_>>().join(" "), item.empty_layer)
    });
    (serde_json::to_value(&document.config).unwrap(), history.collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn configurations_and_histories() {
    let lab = Lab::new().await;
    let file = "FROM base\nLABEL a=b \"c d\"=\"e f\" g='h'\nLABEL multi=\"x \\\ny\" z=1\nEXPOSE 80 443/tcp 53/UDP 7000-7002\n\
                USER web\nVOLUME /v1 /v2\nVOLUME [\"/v3\", \"/v 4\"]\nSTOPSIGNAL 9\n\
                HEALTHCHECK --interval=5s --timeout=1m --start-period=1h --retries=40 CMD [\"a\",\"b\"]\n\
                SHELL [\"/bin/sh\",\"-e\",\"-c\"]\nENTRYPOINT top -b\nCMD []\nMAINTAINER me <x@y>\nONBUILD RUN touch /t\n";
    lab.build(file, Tar::new()).await.unwrap();
    let (config, history) = facts(&lab);
    assert_eq!(
        config,
        json!({
            "User": "web",
            "ExposedPorts": {"443/tcp": {}, "53/udp": {}, "7000/tcp": {}, "7001/tcp": {}, "7002/tcp": {}, "80/tcp": {}},
            "Env": ["PATH=/bin"],
            "Entrypoint": ["/bin/sh", "-e", "-c", "top -b"],
            "Cmd": [],
            "Volumes": {"/v 4": {}, "/v1": {}, "/v2": {}, "/v3": {}},
            "WorkingDir": "",
            "Labels": {"a": "b", "c d": "e f", "g": "h", "multi": "x y", "z": "1"},
            "StopSignal": "9",
            "Healthcheck": {
                "Test": ["CMD", "a", "b"],
                "Interval": 5_000_000_000u64,
                "Timeout": 60_000_000_000u64,
                "StartPeriod": 3_600_000_000_000u64,
                "Retries": 40
            },
            "OnBuild": ["RUN touch /t"],
            "Shell": ["/bin/sh", "-e", "-c"]
        })
    );
    let lines: Vec<&str> = history.iter().map(|(line, _)| line.as_str()).collect();
    assert_eq!(
        lines,
        [
            "/bin/sh -c #(nop)  LABEL a=b c d=e f g=h",
            "/bin/sh -c #(nop)  LABEL multi=x y z=1",
            "/bin/sh -c #(nop)  EXPOSE 443/tcp 53/UDP 7000-7002 80",
            "/bin/sh -c #(nop)  USER web",
            "/bin/sh -c #(nop)  VOLUME [/v1 /v2]",
            "/bin/sh -c #(nop)  VOLUME [/v3 /v 4]",
            "/bin/sh -c #(nop)  STOPSIGNAL 9",
            "/bin/sh -c #(nop)  HEALTHCHECK &{[\"CMD\" \"a\" \"b\"] \"5s\" \"1m0s\" \"1h0m0s\" \"0s\" '('}",
            "/bin/sh -e -c #(nop)  SHELL [/bin/sh -e -c]",
            "/bin/sh -e -c #(nop)  ENTRYPOINT [\"/bin/sh\" \"-e\" \"-c\" \"top -b\"]",
            "/bin/sh -e -c #(nop)  CMD []",
            "/bin/sh -e -c #(nop)  MAINTAINER me <x@y>",
            "/bin/sh -e -c #(nop)  ONBUILD RUN touch /t",
        ]
    );
    assert!(history.iter().all(|(_, empty)| *empty));
    let author = lab.t.store.details("made").unwrap().document.history.pop().unwrap().author;
    assert_eq!(author, "me <x@y>");
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_and_commands() {
    let lab = Lab::new().await;
    let file = "FROM base\nARG A=1\nARG B\nENV X=$A Y=\"q $A\" Z='$A' W=a\\ b\nENV OLD some  value $A\nRUN nothing\nENV A=2\n\
                ENV C=${A:-z} D=${NONE:-dflt} E=${A:+alt}\nCMD [\"a\", \"b\\\"c\"]\nRUN touch f\nENTRYPOINT x\n";
    let args = [("B".to_owned(), Some("bee".to_owned()))].into();
    lab.build_with(Tar::new().file("Dockerfile", file), BuildOptions { args, ..options() }).await.unwrap();
    let (config, history) = facts(&lab);
    assert_eq!(
        config["Env"],
        json!([
            "PATH=/bin",
            "X=1",
            "Y=q 1",
            "Z=$A",
            "W=a b",
            "OLD=some  value 1",
            "A=2",
            "C=2",
            "D=dflt",
            "E=alt"
        ])
    );
    assert_eq!(
        (&config["Cmd"], &config["Entrypoint"]),
        (&json!(["a", "b\"c"]), &json!(["/bin/sh", "-c", "x"]))
    );
    let want = [
        ("/bin/sh -c #(nop)  ARG A=1", true),
        ("/bin/sh -c #(nop)  ARG B", true),
        ("/bin/sh -c #(nop)  ENV X=1 Y=q 1 Z=$A W=a b", true),
        ("/bin/sh -c #(nop)  ENV OLD=some  value 1", true),
        ("|2 A=1 B=bee /bin/sh -c nothing", true),
        ("/bin/sh -c #(nop)  ENV A=2", true),
        ("/bin/sh -c #(nop)  ENV C=2 D=dflt E=alt", true),
        ("/bin/sh -c #(nop)  CMD [\"a\" \"b\\\"c\"]", true),
        ("|1 B=bee /bin/sh -c touch f", false),
        ("/bin/sh -c #(nop)  ENTRYPOINT [\"/bin/sh\" \"-c\" \"x\"]", true),
    ];
    assert_eq!(history, want.map(|(line, empty)| (line.to_owned(), empty)));
    lab.build("FROM scratch\nCOPY a /a\n", Tar::new().file("a", "a")).await.unwrap();
    assert_eq!(
        facts(&lab).0["Env"],
        json!(["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"])
    );
}

/// Mode and owner of what the built image has at these paths.
fn seen(lab: &Lab, paths: &[&str]) -> Vec<String> {
    let described = |path: &&str| {
        let meta = std::fs::symlink_metadata(lab.find(path).unwrap_or_else(|| panic!("no {path}"))).unwrap();
        format!("{path} {:o} {}:{}", meta.mode() & 0o7777, meta.uid(), meta.gid())
    };
    paths.iter().map(described).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn modes_and_owners_of_copies() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: owners need root");
        return;
    }
    let lab = Lab::new().await;
    let owned = |tar: Tar, kind, path: &str, mode| {
        tar.with(kind, path, "", b"", |header| {
            header.set_mode(mode);
            header.set_uid(7);
            header.set_gid(8);
        })
    };
    let archive =
        owned(owned(Tar::new(), EntryType::Directory, "./", 0o700), EntryType::Regular, "./in", 0o600);
    let context = Tar::new()
        .file("a", "a")
        .with(EntryType::Directory, "d/s", "", b"", |header| header.set_mode(0o700))
        .file("d/s/f", "f")
        .file("t.tgz", gzip(&archive.bytes()));
    let file = "FROM base\nCOPY d/* /dd/\nCOPY d /d2\nCOPY a /x/y/a\nADD t.tgz /t\nADD --chown=web t.tgz /t2/\n\
                COPY --chown=web a /own/sub/a\nCOPY --chown=101:staff d /own2\nCOPY --chmod=4750 a /m\nCOPY . /run\n";
    lab.build(file, context).await.unwrap();
    assert_eq!(
        seen(
            &lab,
            &[
                "dd",
                "d2",
                "d2/s",
                "x/y",
                "t",
                "t/in",
                "t2",
                "t2/in",
                "own/sub",
                "own/sub/a",
                "own2",
                "own2/s",
                "m",
                "run"
            ]
        ),
        [
            "dd 755 0:0",
            "d2 755 0:0",
            "d2/s 700 0:0",
            "x/y 755 0:0",
            "t 755 0:0",
            "t/in 600 7:8",
            "t2 755 101:102",
            "t2/in 600 101:102",
            "own/sub 755 101:102",
            "own/sub/a 755 101:102",
            "own2 755 101:50",
            "own2/s 700 101:50",
            "m 4750 0:0",
            "run 755 0:0",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_brings_the_attributes_of_its_files() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: capabilities of files need root");
        return;
    }
    let lab = Lab::new().await;
    // CAP_NET_BIND_SERVICE, as setcap writes it
    let capability: &[u8] = &[1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let archive = Tar::new()
        .pax(&[("SCHILY.xattr.security.capability", capability)])
        .file("serve", "x")
        .file("plain", "y");
    lab.build("FROM base\nADD t.tar /t/\n", Tar::new().file("t.tar", archive.bytes())).await.unwrap();
    let kept = |path: &str| crate::upper::attributes(&lab.find(path).unwrap()).unwrap();
    assert_eq!(kept("t/serve"), [("security.capability".to_owned(), capability.to_vec())]);
    assert_eq!(kept("t/plain"), []);
}
