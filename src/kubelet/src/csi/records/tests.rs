use super::*;

fn data(step: Step) -> VolumeData {
    VolumeData {
        spec_name: "pvc-1".to_owned(),
        driver_name: "d.example".to_owned(),
        volume_handle: "h".to_owned(),
        volume_lifecycle_mode: "Persistent".to_owned(),
        step,
        boot_id: None,
    }
}

fn known(dir: &Path, data: VolumeData) -> Found {
    Found { dir: dir.to_owned(), form: Form::Filesystem, record: Record::Known(data) }
}

fn of_pod(pod: &Path, name: &str) -> PathBuf {
    Form::Filesystem.of_pod(pod).join(name)
}

#[tokio::test]
async fn what_is_written_is_found_until_it_is_removed() {
    let root = tempfile::tempdir().unwrap();
    let pod = root.path().join("pods/uid");
    let dir = of_pod(&pod, "pvc-1");
    assert!(dir.ends_with("pods/uid/volumes/kubernetes.io~csi/pvc-1"), "{}", dir.display());
    assert!(!has_volumes(&pod));
    write(&dir, &data(Step::Idle)).await.unwrap();
    assert!(!is_published(&pod, "pvc-1"));
    write(&dir, &data(Step::Ready)).await.unwrap();
    assert!(is_published(&pod, "pvc-1") && !is_published(&pod, "pvc-2"));
    fs::create_dir(dir.join("mount")).unwrap();
    let pods = root.path().join("pods");
    assert_eq!(all_of_pods(&pods).await.unwrap(), [known(&dir, data(Step::Ready))]);
    assert!(has_volumes(&pod));
    let place = Place { at: dir.join("mount"), dir: dir.clone() };
    // what a driver has left in there is nobody's to remove
    fs::write(dir.join("mount/file"), "x").unwrap();
    assert!(remove(&place).await.is_err());
    assert_eq!(read(&dir).await.unwrap(), Record::Known(data(Step::Ready)));
    fs::remove_file(dir.join("mount/file")).unwrap();
    remove(&place).await.unwrap();
    remove(&place).await.unwrap();
    assert_eq!((read(&dir).await.unwrap(), has_volumes(&pod)), (Record::Missing, false));
}

#[tokio::test]
async fn what_can_not_be_read_hides_no_other_volume() {
    let root = tempfile::tempdir().unwrap();
    let (pods, pod) = (root.path().join("pods"), root.path().join("pods/uid"));
    let whole = of_pod(&pod, "pvc-1");
    write(&whole, &data(Step::Ready)).await.unwrap();
    let larger = format!("\"{}\"", "x".repeat(usize::try_from(LARGEST).unwrap()));
    let broken: [(&str, &dyn Fn(&Path)); 5] = [
        ("half of it", &|file| fs::write(file, "{").unwrap()),
        ("empty", &|file| fs::write(file, "").unwrap()),
        ("larger than any", &|file| fs::write(file, &larger).unwrap()),
        ("a link", &|file| std::os::unix::fs::symlink(whole.join(FILE), file).unwrap()),
        ("a directory", &|file| fs::create_dir(file).unwrap()),
    ];
    for (name, make) in broken {
        let dir = of_pod(&pod, "other");
        fs::create_dir_all(&dir).unwrap();
        make(&dir.join(FILE));
        let mut all = all_of_pods(&pods).await.unwrap();
        all.sort_by(|one, other| one.dir.cmp(&other.dir));
        let unreadable = Found { dir: dir.clone(), form: Form::Filesystem, record: Record::Unreadable };
        assert_eq!(all, [unreadable, known(&whole, data(Step::Ready))], "{name}");
        fs::remove_dir_all(&dir).unwrap();
    }
    // a directory whose record is gone is a volume's as well
    fs::create_dir_all(of_pod(&root.path().join("pods/other"), "pvc-1").join("mount")).unwrap();
    assert!(has_volumes(&root.path().join("pods/other")));
}

#[tokio::test]
async fn devices_are_found_beside_file_systems() {
    let root = tempfile::tempdir().unwrap();
    let pod = root.path().join("pods/uid");
    let of_pod = Form::Block.published(root.path(), &pod, "pvc-1");
    let of_node = Form::Block.staged(root.path(), "d.example", "h", "pvc-1");
    let other = Form::Filesystem.staged(root.path(), "d.example", "g", "pvc-2");
    for place in [&of_pod, &of_node, &other] {
        write(&place.dir, &data(Step::Ready)).await.unwrap();
    }
    assert!(has_volumes(&pod) && is_published(&pod, "pvc-1"));
    let device = |dir: &Path| Found { form: Form::Block, ..known(dir, data(Step::Ready)) };
    let pods = all_of_pods(&root.path().join("pods")).await.unwrap();
    assert_eq!(pods, [device(&of_pod.dir)]);
    assert_eq!(pods[0].pod_dir(), Some(pod.as_path()));
    assert_eq!(pods[0].published(root.path()), of_pod);
    let nodes = all_of_node(root.path()).await.unwrap();
    assert_eq!(nodes, [known(&other.dir, data(Step::Ready)), device(&of_node.dir)]);
    // the driver has left a file there
    fs::create_dir_all(of_pod.at.parent().unwrap()).unwrap();
    fs::write(&of_pod.at, "").unwrap();
    remove(&of_pod).await.unwrap();
    remove_empty(of_pod.at.parent().unwrap()).await.unwrap();
    remove_empty(of_pod.at.parent().unwrap()).await.unwrap();
    assert!(!has_volumes(&pod) && !of_pod.at.exists());
}

#[tokio::test]
async fn what_was_ready_before_the_machine_started_is_not_any_more() {
    let root = tempfile::tempdir().unwrap();
    let of = |step, boot_id: &str| VolumeData { boot_id: Some(boot_id.to_owned()), ..data(step) };
    let now = boot_id().unwrap();
    let cases = [
        ("this time", of(Step::Ready, &now), Step::Ready),
        ("before", of(Step::Ready, "before"), Step::Begun),
        ("refused before", of(Step::Idle, "before"), Step::Idle),
        ("it can be seen", data(Step::Ready), Step::Ready),
    ];
    let dir = Form::Block.published(root.path(), &root.path().join("pods/uid"), "pvc-1").dir;
    for (name, stored, want) in cases {
        write(&dir, &stored).await.unwrap();
        assert_eq!(read(&dir).await.unwrap().known().unwrap().step, want, "{name}");
        let was_published = stored.step == Step::Ready;
        assert_eq!(is_published(&root.path().join("pods/uid"), "pvc-1"), was_published, "{name}");
    }
}

#[tokio::test]
async fn upstreams_own_files_are_read() {
    let root = tempfile::tempdir().unwrap();
    let theirs = r#"{"driverName":"d","volumeHandle":"h","specVolID":"pvc","nodeName":"n","attachmentID":"csi-x","volumeLifecycleMode":"Ephemeral"}"#;
    fs::write(root.path().join(FILE), theirs).unwrap();
    let Record::Known(read) = read(root.path()).await.unwrap() else { panic!("it is read") };
    assert!(read.is_ephemeral());
    assert_eq!(read.step, Step::Begun, "nobody knows better");
}
