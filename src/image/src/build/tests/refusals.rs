//! What fails and what is told of it, by each of the two builders.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn where_the_two_builders_differ_each_keeps_its_own_rules() {
    let lab = Lab::new().await;
    let (classic, buildkit) = (Dialect::Classic, Dialect::BuildKit);
    let wildcards = "FROM base\nCOPY a.json yarn.lock* none*.json ./to/\n";
    for (case, dialect, file, want) in [
        ("a pattern beside a file", classic, wildcards, None),
        ("a pattern beside a file", buildkit, wildcards, None),
        ("a pattern alone", classic, "FROM base\nCOPY none* /to/\n", Some("no source files were specified")),
        ("a pattern alone", buildkit, "FROM base\nCOPY none* /to/\n", None),
        (
            "patterns alone",
            classic,
            "FROM base\nCOPY none* no* /to/\n",
            Some("no source files were specified"),
        ),
        (
            "of another stage",
            classic,
            "FROM base AS one\nCOPY a.json /x/\nFROM base\nCOPY --from=one /x/a.json /x/n* /to/\n",
            None,
        ),
        (
            "a name is no pattern",
            buildkit,
            "FROM base\nCOPY a.json none /to/\n",
            Some("stat none: file does not exist"),
        ),
        (
            "out of the context",
            classic,
            "FROM base\nCOPY ../a.json /to/\n",
            Some("forbidden path outside the build context"),
        ),
        ("out of the context", buildkit, "FROM base\nCOPY ../a.json /to/\n", None),
        (
            "several without a slash",
            classic,
            "FROM base\nCOPY a.json b.json /to\n",
            Some("must be a directory and end with a /"),
        ),
        ("several without a slash", buildkit, "FROM base\nCOPY a.json b.json /to\n", None),
        (
            "onto a link",
            classic,
            "FROM base\nCOPY links /\nCOPY rootfs /\n",
            Some("cannot copy to non-directory: /bin"),
        ),
        (
            "onto a link",
            buildkit,
            "FROM base\nCOPY links /\nCOPY rootfs /\n",
            Some("cannot copy to non-directory: /bin"),
        ),
        (
            "the machine's network",
            buildkit,
            "FROM base\nRUN --network=host x\n",
            Some("network.host is not allowed"),
        ),
        (
            "the machine's network",
            classic,
            "FROM base\nRUN --network=host x\n",
            Some("network.host is not allowed"),
        ),
    ] {
        let context = Tar::new()
            .file("Dockerfile", file)
            .file("a.json", "a")
            .file("b.json", "b")
            .directory("links")
            .entry(tar::EntryType::Symlink, "links/bin", "usr/bin", b"")
            .directory("rootfs")
            .directory("rootfs/bin")
            .file("rootfs/bin/x", "x");
        let options = BuildOptions { dialect, no_cache: true, ..options() };
        let built = lab.build_with(context, options).await.map(drop).map_err(|e| e.to_string());
        match (want, built) {
            (None, built) => assert_eq!(built, Ok(()), "{case} {dialect:?}"),
            (Some(want), built) => {
                let why = built.expect_err(case);
                assert!(why.contains(want), "{case} {dialect:?}: {why}");
            }
        }
    }
    for granted in [
        BuildOptions { may_use_host_network: true, ..options() },
        BuildOptions {
            run: RunSettings { network: Some("host".into()), ..RunSettings::default() },
            ..options()
        },
    ] {
        let context = Tar::new().file("Dockerfile", "FROM base\nRUN --network=host x\n");
        lab.build_with(context, granted).await.expect("the client said so");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_says_why_and_leaves_nothing() {
    let lab = Lab::new().await;
    let before = lab.t.store.images();
    for (case, file, want) in [
        (
            "a command",
            "FROM base\nRUN fail 7\n",
            "The command '/bin/sh -c fail 7' returned a non-zero code: 7",
        ),
        (
            "no such file",
            "FROM base\nCOPY none /\n",
            "COPY failed: file not found in build context or excluded by .dockerignore: stat none: file does not exist",
        ),
        ("outside", "FROM base\nCOPY ../etc /\n", "forbidden path outside the build context"),
        ("several into a file", "FROM base\nCOPY a b /x\n", "must be a directory and end with a /"),
        (
            "a mistake",
            "FROM base\nFOO\n",
            "dockerfile parse error on line 2: unknown instruction: FOO (did you mean FROM?)",
        ),
        ("no user", "FROM base\nCOPY --chown=nobody-here a /\n", "nobody-here"),
        (
            "a user that chown(2) would take for nobody",
            "FROM base\nCOPY --chown=4294967295 a /\n",
            "user 4294967295: uids and gids must be in range 0-2147483647",
        ),
        (
            "such a group",
            "FROM base\nCOPY --chown=1:-1 a /\n",
            "group -1: uids and gids must be in range 0-2147483647",
        ),
        (
            "such an owner of a working directory",
            "FROM base\nUSER 4294967296\nWORKDIR /w\n",
            "user 4294967296: uids and gids must be in range 0-2147483647",
        ),
        (
            "such an owner of a mount",
            "FROM base\nRUN --mount=type=cache,target=/c,uid=4294967295 x\n",
            "invalid value 4294967295 for uid",
        ),
        ("no base", "FROM 127.0.0.1:1/none\n", "connection refused"),
        ("no stage", "FROM base\nEXPOSE 99999\n", "Invalid containerPort: 99999"),
        (
            "a bad mount",
            "FROM base\nRUN --mount=type=ssh,required x\n",
            "no SSH key \"default\" forwarded from the client",
        ),
    ] {
        let context = Tar::new().file("a", "a").file("b", "b");
        let why = lab.build(file, context).await.expect_err(case).to_string();
        assert!(why.contains(want), "{case}: {why}");
        assert_eq!(lab.t.store.images(), before, "{case}");
        let left = std::fs::read_dir(lab.t.dir.path().join("tmp")).unwrap().count();
        assert_eq!(left, 0, "{case}");
    }
    let hostile = Tar::new().file("../x", "x").file("Dockerfile", "FROM base\n");
    let why = lab.build_with(hostile, BuildOptions::default()).await.unwrap_err().to_string();
    assert!(why.contains("climbs out"), "{why}");
    let why =
        lab.build_with(Tar::new().file("a", ""), BuildOptions::default()).await.unwrap_err().to_string();
    assert_eq!(why, "Cannot locate specified Dockerfile: Dockerfile");
}
