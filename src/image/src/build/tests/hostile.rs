//! Contexts and Dockerfiles that mean no good.

use super::*;
use tar::EntryType;

#[tokio::test(flavor = "multi_thread")]
async fn what_leads_out_of_the_context_finds_nothing() {
    let lab = Lab::new().await;
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret"), "outside").unwrap();
    let secret = outside.path().join("secret").display().to_string();
    let context = || {
        Tar::new()
            .entry(EntryType::Symlink, "link", &secret, b"")
            .entry(EntryType::Symlink, "up", "../../../../../../../../../../etc", b"")
            .directory("d")
            .entry(EntryType::Symlink, "d/loop", "loop", b"")
    };
    for (case, file, want) in [
        ("a link", "FROM base\nCOPY link /x\n", "file not found in build context"),
        ("through a link", "FROM base\nCOPY up/hostname /x\n", "file not found in build context"),
        ("a loop", "FROM base\nCOPY d/loop /x\n", "too many levels of symbolic links"),
        (
            "a mounted link",
            "FROM base\nRUN --mount=source=link,target=/x y\n",
            "stat link: file does not exist",
        ),
    ] {
        let why = lab.build(file, context()).await.expect_err(case).to_string();
        assert!(why.contains(want), "{case}: {why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dockerfile_is_a_file() {
    let lab = Lab::new().await;
    let text = b"FROM base\n";
    for (case, context, want) in [
        ("a directory", Tar::new().directory("Dockerfile"), "Cannot locate specified Dockerfile: Dockerfile"),
        (
            "a link out",
            Tar::new().entry(EntryType::Symlink, "Dockerfile", "/etc/hostname", b""),
            "Cannot locate specified Dockerfile: Dockerfile",
        ),
        (
            "a pipe",
            Tar::new().entry(EntryType::Fifo, "Dockerfile", "", b""),
            "Cannot locate specified Dockerfile: Dockerfile",
        ),
        ("empty", Tar::new().file("Dockerfile", ""), "The Dockerfile (Dockerfile) cannot be empty"),
    ] {
        let why = lab.build_with(context, options()).await.expect_err(case).to_string();
        assert_eq!(why, want, "{case}");
    }
    let inside = Tar::new().file("real", text).entry(EntryType::Symlink, "Dockerfile", "real", b"");
    lab.build_with(inside, options()).await.unwrap();
    let ignored = Tar::new().file("Dockerfile", text).file(".dockerignore", "*\n");
    lab.build_with(ignored, options()).await.unwrap();
    let bad = Tar::new().file("Dockerfile", text).file(".dockerignore", "a[\n");
    let why = lab.build_with(bad, options()).await.unwrap_err().to_string();
    assert!(why.contains(".dockerignore"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_of_two_with_one_name_counts_and_garbage_is_refused() {
    let lab = Lab::new().await;
    let file = "FROM base\nCOPY a /\n";
    lab.build(file, Tar::new().file("a", "first").file("a", "second")).await.unwrap();
    assert_eq!(lab.read("a"), "second");
    for (case, bytes) in [
        ("garbage", b"this is no archive at all, and long enough to be one: ".repeat(20)),
        ("torn", Tar::new().file("Dockerfile", file).file("a", "a".repeat(4000)).torn()[..2000].to_vec()),
        ("a packed one that is torn", gzip(&Tar::new().file("Dockerfile", file).bytes())[..40].to_vec()),
    ] {
        let context = BuildContext::Tar(Box::new(Cursor::new(bytes)));
        let why = lab.build_context(context, options()).await.expect_err(case).to_string();
        assert!(why.contains("build context"), "{case}: {why}");
        assert_eq!(std::fs::read_dir(lab.t.dir.path().join("tmp")).unwrap().count(), 0, "{case}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_is_nearly_all_headers_is_not_added() {
    let lab = Lab::new().await;
    let bomb = Tar::new().entry(EntryType::XHeader, "pax", "", &vec![0; 3 << 20]).file("x", "").bytes();
    let context = Tar::new().file("t.tgz", gzip(&bomb));
    let why = lab.build("FROM base\nADD t.tgz /t/\n", context).await.unwrap_err().to_string();
    assert!(why.contains("archive: more than 2 MiB of headers"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_in_the_place_of_a_file_stops_no_build() {
    let lab = Lab::new().await;
    let pipe = |path| Tar::new().entry(EntryType::Fifo, path, "", b"");
    lab.build("FROM base\nADD pipe f /x/\n", pipe("pipe").file("f", "text")).await.unwrap();
    assert_eq!((lab.find("/x/pipe"), lab.read("/x/f").as_str()), (None, "text"));
    let piped = docker_archive(&["piped"], &[pipe("etc/passwd").bytes()]);
    lab.t.store.load(Cursor::new(piped)).await.unwrap();
    let file = "FROM piped\nCOPY --chown=web f /x\n";
    let why = lab.build(file, Tar::new().file("f", "text")).await.unwrap_err().to_string();
    assert!(why.contains("no such user: web"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dockerfile_takes_neither_for_ever_nor_all_memory() {
    let lab = Lab::new().await;
    let (a, stars) = ("a".repeat(60_000), format!("{}b", "*a".repeat(20_000)));
    let (steps, bytes) = ("its patterns take more than", "its variables hold more than");
    let in_stage = |instruction: String| format!("FROM base\nARG a={a}\n{instruction}\n");
    for (case, file, want) in [
        ("before the first stage", format!("ARG a={a}\nARG b=${{a##{stars}}}\nFROM base\n"), steps),
        ("the name of an image", format!("ARG a={a}\nFROM ${{a#{stars}}}\n"), steps),
        ("ARG", in_stage(format!("ARG b=${{a##{stars}}}")), steps),
        ("ENV", in_stage(format!("ENV b=${{a/{stars}/}}")), steps),
        ("EXPOSE", in_stage(format!("EXPOSE ${{a//a{stars}/}}")), steps),
        ("WORKDIR", in_stage(format!("WORKDIR ${{a#{stars}}}")), steps),
        ("COPY", in_stage(format!("COPY ${{a##{stars}}} /x")), steps),
        ("a text", in_stage(format!("COPY <<f /x\n${{a##{stars}}}\nf")), steps),
        ("--exclude", in_stage(format!("COPY --exclude=${{a##{stars}}} . /x/")), steps),
        ("a mount", in_stage(format!("RUN --mount=type=bind,target=/m,source=${{a#{stars}}} x")), steps),
        ("what grows", in_stage(format!("LABEL b=${{a//a/{a}}}")), bytes),
    ] {
        let why = lab.build(&file, Tar::new()).await.expect_err(case).to_string();
        assert!(why.contains(want), "{case}: {}", &why[why.len().saturating_sub(200)..]);
    }
    // each line is small, and brings a megabyte
    let lines: String =
        (0..100).map(|number| format!("LABEL b{number}=${{a//a/xxxxxxxxxxxxxxxx}}\n")).collect();
    let why = lab.build(&in_stage(lines), Tar::new()).await.unwrap_err().to_string();
    assert!(why.contains("the image configuration holds more than 8388608 bytes"), "{why}");
    let lines: String =
        (0..100).map(|number| format!("ARG b{number}=${{a//a/xxxxxxxxxxxxxxxx}}\n")).collect();
    let why = lab.build(&format!("ARG a={a}\n{lines}FROM base\n"), Tar::new()).await.unwrap_err().to_string();
    assert!(why.contains("the variables hold more than 16777216 bytes"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn patterns_of_files_have_bounds() {
    let lab = Lab::new().await;
    let nested = || Tar::new().file(&format!("{}x", "d/".repeat(40)), "deep");
    lab.build("FROM base\nCOPY **/**/**/**/**/**/x /y/\n", nested()).await.unwrap();
    assert_eq!(lab.read("y/x"), "deep");
    let ignore = |text: &str| Tar::new().file(".dockerignore", text);
    for (case, context, want) in [
        ("lines", ignore(&"a\n".repeat(10_001)), ".dockerignore: it holds more than 10000 patterns"),
        ("bytes", ignore(&"[a]".repeat(400_000)), ".dockerignore: its patterns hold more than 1048576 bytes"),
    ] {
        let why = lab.build("FROM base\nCOPY . /x/\n", context).await.expect_err(case).to_string();
        assert!(why.contains(want), "{case}: {why}");
    }
    lab.build("FROM base\nCOPY . /x/\n", ignore(&"[a]".repeat(300_000))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_directory_is_copied_for_a_build_that_nobody_waits_for() {
    let lab = Lab::new().await;
    let from = tempfile::tempdir().unwrap();
    std::fs::write(from.path().join("x"), "").unwrap();
    let copied = |gone: bool| {
        let (store, from) = (lab.t.store.inner.clone(), from.path().to_owned());
        let token = tokio_util::sync::CancellationToken::new();
        if gone {
            token.cancel();
        }
        blocking(move || directory::copy(&store, &from, &ignore::Ignore::default(), &[], &token))
    };
    assert!(copied(false).await.unwrap().path().join("x").exists());
    let why = copied(true).await.unwrap_err().to_string();
    assert!(why.contains("the build was given up"), "{why}");
}

#[tokio::test]
async fn words_are_read_beside_those_who_answer_requests() {
    let words = words::Words::new('\\', BTreeMap::new(), &tokio_util::sync::CancellationToken::new());
    let thread = words.read(|_| Ok(std::thread::current().id())).await.unwrap();
    assert_ne!(thread, std::thread::current().id());
}

#[tokio::test(flavor = "multi_thread")]
async fn directories_too_deep_in_each_other_are_not_copied() {
    let lab = Lab::new().await;
    let path = |levels: usize| "d/".repeat(levels) + "f";
    let context = |levels| Tar::new().pax(&[("path", path(levels).as_bytes())]).file("x", "deep");
    lab.build("FROM base\nCOPY . /x/\n", context(trees::MAX_DEPTH - 1)).await.unwrap();
    assert_eq!(lab.read(&format!("/x/{}", path(trees::MAX_DEPTH - 1))), "deep");
    let why = lab.build("FROM base\nCOPY . /x/\n", context(1900)).await.unwrap_err().to_string();
    assert!(why.contains("more than 256 directories in each other"), "{why}");
    // to look for them is no copy
    lab.build("FROM base\nCOPY **/f /x/\n", context(300)).await.unwrap();
    assert_eq!(lab.read("/x/f"), "deep");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_gives_nothing_from_outside_of_it() {
    let lab = Lab::new().await;
    let why = lab
        .build("FROM base\nRUN --mount=type=cache,target=/c,source=../../x y\n", Tar::new())
        .await
        .unwrap_err()
        .to_string();
    assert!(why.contains("leads out of the cache"), "{why}");
}

/// Steps share a cache: what one of them left there leads no other one out of it.
#[tokio::test(flavor = "multi_thread")]
async fn links_in_a_cache_lead_nobody_out_of_it() {
    let lab = Lab::new().await;
    let outside = tempfile::tempdir().unwrap();
    let run = |source: &str| format!("FROM base\nRUN --mount=type=cache,id=x,target=/c{source} x{source}\n");
    let last = |lab: &Lab| lab.runner.0.lock().unwrap().pop().unwrap().mounts.remove(0).source;
    lab.build(&run(""), Tar::new()).await.unwrap();
    let MountSource::Host(cache) = last(&lab) else { panic!("the cache itself is mounted") };
    std::os::unix::fs::symlink(outside.path(), cache.join("evil")).unwrap();
    std::os::unix::fs::symlink("../..", cache.join("up")).unwrap();
    for source in ["evil", "evil/new", "up", "up/new"] {
        let why = lab.build(&run(&format!(",source={source}")), Tar::new()).await.unwrap_err().to_string();
        assert!(why.contains(&format!("source {source:?} leads out of the cache")), "{why}");
    }
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
    assert_eq!(lab.ran(), 0, "none of them ran");
    lab.build(&run(",source=/sub/deep"), Tar::new()).await.unwrap();
    assert_eq!(last(&lab), MountSource::Part { base: cache.clone(), part: "sub/deep".into() });
    assert!(cache.join("sub/deep").is_dir());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_padding_of_the_last_file_may_be_missing() {
    let lab = Lab::new().await;
    let mut bytes = Tar::new().file("Dockerfile", "FROM base\nCOPY a /\n").file("a", "1234567").torn();
    bytes.truncate(bytes.len() - 512 + 7);
    let context = BuildContext::Tar(Box::new(Cursor::new(bytes)));
    lab.build_context(context, options()).await.unwrap();
    assert_eq!(lab.read("a"), "1234567");
}
