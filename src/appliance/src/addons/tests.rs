use super::*;

const ADDON: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: extra}\ndata: {k: v}\n---\n\
    apiVersion: v1\nkind: Namespace\nmetadata: {name: extra}\n---\n---\n\
    {apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Secret, metadata: {name: s}}]}\n";

fn names(objects: &[AddonObject]) -> Vec<String> {
    objects.iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_wrong_with_a_text_is_said_for_each_document() {
    let cases = [
        ("", vec!["x: there is no manifest in it"]),
        (
            "kind: Pod\n---\nmetadata: {name: a}\n",
            vec![
                "x, document 1: apiVersion, metadata.name is missing",
                "x, document 2: apiVersion, kind is missing",
            ],
        ),
        ("[1]", vec!["x, document 1: apiVersion, kind, metadata.name is missing"]),
    ];
    for (text, want) in cases {
        assert_eq!(
            parse("x", text).map(|m| m.len()),
            Err(want.iter().map(|w| (*w).to_owned()).collect()),
            "{text}"
        );
    }
    let faults = parse("x", "a: {").unwrap_err();
    assert!(faults.len() == 1 && faults[0].starts_with("x, document 1: "), "{faults:?}");
    assert_eq!(parse("x", ADDON).unwrap().len(), 3);
}

#[test]
fn files_of_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    assert!(read(&path.join("none")).unwrap_err()[0].contains("No such file"));
    assert!(read(path).unwrap_err()[0].contains("there is no manifest in it"));
    std::fs::write(path.join("b.yaml"), ADDON).unwrap();
    std::fs::write(path.join("a.json"), r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}}"#)
        .unwrap();
    std::fs::write(path.join("README.md"), "kind: no manifest").unwrap();
    let found = read(path).unwrap();
    assert!(found.len() == 4 && found[0].place.ends_with("a.json, document 1"), "{found:?}");
    std::fs::write(path.join("c.yml"), "kind: Pod\n").unwrap();
    std::fs::write(path.join("d.yml"), "{").unwrap();
    assert_eq!(read(path).unwrap_err().len(), 2, "the faults of all files are said");
    std::fs::write(path.join("kustomization.yaml"), "").unwrap();
    assert!(read(path).unwrap_err()[0].contains("kubectl kustomize"));
}

#[tokio::test]
async fn an_addon_comes_changes_and_goes() {
    let cluster = testkit::cluster(testkit::config()).await;
    let dir = tempfile::tempdir().unwrap();
    let enabled = EnabledAddons::at(dir.path().join("addons.json"));
    let enable = async |text: &str| enable(&cluster, &enabled, "x", "/x", parse("x", text).unwrap()).await;
    let made = enable(ADDON).await.unwrap();
    assert_eq!(names(&made), ["Namespace extra", "ConfigMap extra/a", "Secret default/s"]);
    assert!(made.iter().all(|object| exists(&cluster, object)));
    assert!(!enabled.read().unwrap()["x"].incomplete);
    // what is there is taken back to what the manifests say; what they say no more goes
    enable("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n").await.unwrap();
    assert!(!exists(&cluster, &made[1]) && exists(&cluster, &made[2]));
    let gone = disable(&cluster, &enabled, "x").await.unwrap();
    assert_eq!(names(&gone), ["Secret default/s"]);
    assert!(!exists(&cluster, &made[2]) && enabled.read().unwrap().is_empty());
    assert!(matches!(disable(&cluster, &enabled, "x").await, Err(AddonError::Unknown(_))));
}

#[tokio::test(start_paused = true)]
async fn what_comes_with_the_program_is_valid() {
    let cluster = testkit::cluster(testkit::config()).await;
    let dir = tempfile::tempdir().unwrap();
    let enabled = EnabledAddons::at(dir.path().join("addons.json"));
    let manifests = parse("x", bundled("volumesnapshots").unwrap()).unwrap();
    let error = enable(&cluster, &enabled, "x", "volumesnapshots", manifests).await.unwrap_err();
    // no controller is here that would have the kinds served, and so there is nothing of them
    let AddonError::BrokeOff { applied, at, .. } = error else { panic!("{error}") };
    assert_eq!((at.kind.as_str(), at.name.as_str()), ("VolumeSnapshotClass", "standard"));
    assert_eq!(applied.len(), 3);
    assert!(is_bundled_addon("volumesnapshots") && !is_bundled_addon("nonsense"));
}

#[tokio::test]
async fn where_something_is_wrong_nothing_is_applied() {
    let cluster = testkit::cluster(testkit::config()).await;
    let dir = tempfile::tempdir().unwrap();
    let enabled = EnabledAddons::at(dir.path().join("addons.json"));
    let good = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: good}\n---\n";
    let cases = [
        (
            "unknown kind",
            "apiVersion: v1\nkind: Nonsense\nmetadata: {name: a}\n",
            "no kind \"Nonsense\" is served",
        ),
        ("unknown field", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndatum: {}\n", "datum"),
        ("bad name", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: A_}\n", "metadata.name"),
        (
            "no namespace",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: no}\n",
            "not found",
        ),
        (
            "somebody else's",
            "apiVersion: v1\nkind: Service\nmetadata: {name: kubernetes}\n",
            "is there already",
        ),
    ];
    for (name, bad, want) in cases {
        let manifests = parse("x", &format!("{good}{bad}")).unwrap();
        let error = enable(&cluster, &enabled, "x", "/x", manifests).await.unwrap_err();
        let said = error.to_string();
        assert!(matches!(error, AddonError::Faults(_)) && said.contains(want), "{name}: {said}");
        assert!(said.starts_with("nothing was applied") && enabled.read().unwrap().is_empty(), "{name}");
    }
    let object = object_of(&cluster, &parse("x", good).unwrap()[0].value);
    assert!(!exists(&cluster, &object));
    enable(&cluster, &enabled, "x", "/x", parse("x", good).unwrap()).await.unwrap();
    let other = enable(&cluster, &enabled, "x", "/y", parse("x", good).unwrap()).await.unwrap_err();
    assert!(other.to_string().contains("enabled from /x"), "{other}");
}

#[tokio::test(start_paused = true)]
async fn what_breaks_off_is_said_and_can_be_disabled() {
    let cluster = testkit::cluster(testkit::config()).await;
    let dir = tempfile::tempdir().unwrap();
    let enabled = EnabledAddons::at(dir.path().join("addons.json"));
    // it can not be tried before its namespace is there, and is refused then
    let text = "apiVersion: v1\nkind: Namespace\nmetadata: {name: extra}\n---\n\
        apiVersion: v1\nkind: ConfigMap\nmetadata: {name: A_, namespace: extra}\n";
    let error = enable(&cluster, &enabled, "x", "/x", parse("x", text).unwrap()).await.unwrap_err();
    let said = error.to_string();
    assert!(said.contains("applied before it") && said.contains("Namespace extra"), "{said}");
    assert!(enabled.read().unwrap()["x"].incomplete);
    assert_eq!(disable(&cluster, &enabled, "x").await.unwrap().len(), 2);
}
