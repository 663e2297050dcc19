//! Layouts of before, as they are found, and what is left where a move was cut off.

use super::*;
use serde_json::json;

struct Machine(tempfile::TempDir);

impl Machine {
    fn new() -> Self {
        Machine(tempfile::tempdir().unwrap())
    }

    fn old(&self, profile: &str) -> Paths {
        old_paths(self.0.path(), &profile.parse().unwrap())
    }

    fn new_paths(&self, profile: &str) -> Paths {
        let paths = Paths::below(self.0.path(), &profile.parse().unwrap());
        std::fs::create_dir_all(&paths.state).unwrap();
        paths
    }

    fn find(&self, profile: &str) -> Option<Legacy> {
        Legacy::find_below(self.0.path(), &profile.parse().unwrap())
    }

    /// A cluster of before, with a container of Docker that has a volume.
    fn with_cluster(&self, profile: &str) -> Paths {
        let old = self.old(profile);
        let (sandbox, container) = ("ab".repeat(32), "cd".repeat(32));
        let directory = old.runtime().join("sandboxes").join(&sandbox).join("containers").join(&container);
        let volume = old.docker().join("volumes/data/_data");
        let of_docker = old.docker().join("containers").join(&container);
        for dir in
            [&directory, &volume, &of_docker.join("upper"), &old.store(), &old.certificates(), &old.run]
        {
            std::fs::create_dir_all(dir).unwrap();
        }
        Settings::beside(profile, &[]).save(&old).unwrap();
        std::fs::write(old.store().join("cluster.db"), "objects").unwrap();
        std::fs::write(volume.join("kept.json"), json!([old.state.join("docker/x")]).to_string()).unwrap();
        let record = json!({"log_path": old.state.join("kubelet/logs/0.log"), "cgroup": format!("{profile}/docker/{container}"),
            "source": "/etc/hosts", "deep": [{"path": volume}]});
        std::fs::write(directory.join("container.json"), record.to_string()).unwrap();
        std::fs::write(of_docker.join("record.json"), json!({"mounts": [{"source": volume}]}).to_string())
            .unwrap();
        std::fs::write(old.lock(), "7\n").unwrap();
        old
    }
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn another_program_s_directory_is_no_old_profile() {
    let machine = Machine::new();
    let old = machine.old("docker");
    for entry in ["containers", "volumes", "image", "network"] {
        std::fs::create_dir_all(old.state.join(entry)).unwrap();
    }
    assert!(machine.find("docker").is_none());
    std::fs::write(old.settings(), "{\"debug\": true}").unwrap();
    assert!(machine.find("docker").is_none(), "settings, but not ours");
}

#[test]
fn an_old_profile_is_moved_and_its_records_follow() {
    for profile in ["monopod", "other"] {
        let machine = Machine::new();
        let (old, new) = (machine.with_cluster(profile), machine.new_paths(profile));
        let said = machine.find(profile).unwrap().migrate(&new).unwrap();
        assert!(said.starts_with("moved ") && !said.contains("anew"), "{said}");
        assert_eq!(std::fs::read(new.store().join("cluster.db")).unwrap(), b"objects");
        assert!(Settings::load(&new).unwrap().is_some());
        let (sandbox, container) = ("ab".repeat(32), "cd".repeat(32));
        let volume = new.docker().join("volumes/data/_data");
        let record = read(
            &new.runtime()
                .join("sandboxes")
                .join(sandbox)
                .join("containers")
                .join(&container)
                .join("container.json"),
        );
        let want = json!({"log_path": new.state.join("kubelet/logs/0.log"), "cgroup": format!("monopod/{profile}/docker/{container}"),
            "source": "/etc/hosts", "deep": [{"path": volume}]});
        assert_eq!(record, want);
        let of_docker = read(&new.docker().join("containers").join(&container).join("record.json"));
        assert_eq!(of_docker, json!({"mounts": [{"source": volume}]}));
        assert_eq!(
            read(&volume.join("kept.json")),
            json!([old.state.join("docker/x")]),
            "users' files stay as they are"
        );
        assert!(machine.find(profile).is_none() && !old.lock().exists());
        assert_eq!(old.state.exists(), profile == "monopod", "there are the newer profiles");
    }
}

#[test]
fn a_move_that_was_cut_short_goes_on() {
    for stop_at in ["kubelet", "store", "settings.json"] {
        let machine = Machine::new();
        let (old, new) = (machine.with_cluster("monopod"), machine.new_paths("monopod"));
        let legacy = machine.find("monopod").unwrap();
        for entry in STATE.iter().take_while(|entry| **entry != stop_at) {
            move_to(&old.state.join(entry), &new.state.join(entry)).unwrap();
        }
        if stop_at == "settings.json" {
            legacy.rewrite_paths(&new).unwrap();
        }
        machine.find("monopod").expect(stop_at).migrate(&new).unwrap();
        assert!(Settings::load(&new).unwrap().is_some() && new.store().join("cluster.db").exists());
        let record = new.docker().join("containers").join("cd".repeat(32)).join("record.json");
        let want = new.docker().join("volumes/data/_data");
        assert_eq!(read(&record)["mounts"][0]["source"], json!(want), "{stop_at}");
    }
}

#[test]
fn nothing_is_moved_over_another_and_nothing_while_the_old_daemon_lives() {
    let machine = Machine::new();
    let (old, new) = (machine.with_cluster("other"), machine.new_paths("other"));
    let legacy = machine.find("other").unwrap();
    let held = lock::Lock::take(&old).unwrap().unwrap();
    assert!(matches!(legacy.migrate(&new), Err(LegacyError::Running)));
    assert!(matches!(legacy.remove(), Err(LegacyError::Running)));
    drop(held);
    std::fs::write(new.settings(), "a newer one").unwrap();
    assert!(matches!(legacy.migrate(&new), Err(LegacyError::Both { .. })));
    assert_eq!(std::fs::read(new.settings()).unwrap(), b"a newer one");
}

#[test]
fn what_is_removed_of_an_old_profile_is_ours_alone() {
    let machine = Machine::new();
    let old = machine.with_cluster("docker");
    std::fs::create_dir_all(old.state.join("volumes/precious")).unwrap();
    std::fs::write(old.run.join("containerd.sock"), "").unwrap();
    machine.find("docker").unwrap().remove().unwrap();
    let left =
        |path: &Path| std::fs::read_dir(path).unwrap().map(|e| e.unwrap().file_name()).collect::<Vec<_>>();
    assert_eq!((left(&old.state), left(&old.run)), (vec!["volumes".into()], vec!["containerd.sock".into()]));
}
