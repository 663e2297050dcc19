//! Where files come from, beside a context that the client sends: URLs, contexts with a name, directories of this machine.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_url_is_downloaded_and_not_unpacked() {
    let lab = Lab::new().await;
    let server = crate::testing::registry::FakeRegistry::start().await;
    let archive = gzip(&Tar::new().file("x", "x").bytes());
    let digest = server.put_blob(archive.clone());
    let url = format!("http://{}/v2/a/blobs/{digest}", server.host);
    lab.build(&format!("FROM scratch\nADD {url} /d/\n"), Tar::new()).await.unwrap();
    let file = lab.find(&format!("d/{digest}")).unwrap();
    assert!(std::fs::read(&file).unwrap() == archive);
    assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    for (url, want) in [
        (format!("http://{}/v2/a/blobs/none", server.host), "404"),
        (format!("http://{}/", server.host), "cannot determine filename"),
        (format!("http://{}/none.git", server.host), "git fetch"),
    ] {
        let why =
            lab.build(&format!("FROM scratch\nADD {url} /d/\n"), Tar::new()).await.unwrap_err().to_string();
        assert!(why.contains(want), "{url}: {why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_context_with_a_name_is_fetched() {
    let lab = Lab::new().await;
    let server = crate::testing::registry::FakeRegistry::start().await;
    let blob = |bytes: Vec<u8>| format!("http://{}/v2/a/blobs/{}", server.host, server.put_blob(bytes));
    let fetched = lab.t.store.fetch_context(&blob(gzip(&Tar::new().file("f", "far").bytes())), None).await;
    let named = NamedContext::Directory(Arc::new(fetched.unwrap()));
    let options = BuildOptions { named_contexts: [("docs".to_owned(), named)].into(), ..options() };
    let file = "FROM base\nCOPY --from=docs f /f\n";
    lab.build_with(Tar::new().file("Dockerfile", file), options).await.unwrap();
    assert_eq!(lab.read("f"), "far");
    for (url, want) in [
        (blob(b"no archive".to_vec()), "neither an archive nor a repository"),
        (format!("http://{}/none.git", server.host), "git fetch"),
    ] {
        let why = lab.t.store.fetch_context(&url, None).await.unwrap_err().to_string();
        assert!(why.contains(want), "{url}: {why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_of_the_machine_is_a_context_by_all_means() {
    let lab = Lab::new().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    for (file, text) in [
        ("Dockerfile", "FROM base\nCOPY . /app/\n"),
        (".dockerignore", "secret\nmodules\n!modules/kept\n*ile\n"),
        ("secret", "x"),
        ("modules/kept", "y"),
        ("modules/left/out", "z"),
        ("kept", "y"),
    ] {
        std::fs::create_dir_all(path.join(file).parent().unwrap()).unwrap();
        std::fs::write(path.join(file), text).unwrap();
    }
    let build = |path: PathBuf| {
        let options = BuildOptions { tags: vec!["made".into()], ..BuildOptions::default() };
        lab.screen.0.lock().unwrap().clear();
        lab.build_context(BuildContext::Directory(path), options)
    };
    build(path.to_owned()).await.unwrap();
    assert_eq!(lab.read("app/kept"), "y");
    assert_eq!((lab.find("app/secret"), lab.find("app/Dockerfile")), (None, None));
    assert_eq!((lab.read("app/modules/kept"), lab.find("app/modules/left")), ("y".to_owned(), None));
    assert!(!lab.screen().contains("Using cache"), "{}", lab.screen());
    build(path.to_owned()).await.unwrap();
    assert!(lab.screen().contains("Using cache"), "{}", lab.screen());
    let error = build(path.join("nowhere")).await.unwrap_err();
    assert!(error.to_string().contains("nowhere"), "{error}");
}
