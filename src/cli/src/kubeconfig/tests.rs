//! A user's file with the entries of others in it, before and after.

use super::*;
use std::os::unix::fs::MetadataExt;

fn entry(name: &str) -> Entry {
    let text = |t: &str| t.to_owned();
    Entry {
        name: text(name),
        server: text("https://127.0.0.1:8443"),
        ca_pem: text("CA"),
        certificate_pem: text("CERT"),
        key_pem: text("KEY"),
    }
}

#[test]
fn what_others_wrote_stays() {
    let directory = tempfile::tempdir().unwrap();
    let config = Kubeconfig::at(directory.path().join("config"));
    std::fs::write(
        config.path(),
        "clusters:\n- name: other\n  cluster: {server: https://x}\ncurrent-context: other\nusers: []\n",
    )
    .unwrap();
    config.merge(&entry("monopod")).unwrap();
    config.merge(&entry("monopod")).unwrap();
    let text = std::fs::read_to_string(config.path()).unwrap();
    assert_eq!(text.matches("name: monopod").count(), 3, "{text}");
    assert_eq!(config.find("monopod").unwrap().key_pem, "KEY");
    config.remove("monopod").unwrap();
    let text = std::fs::read_to_string(config.path()).unwrap();
    assert!(text.contains("name: other") && !text.contains("monopod"), "{text}");
}

#[test]
fn a_context_keeps_the_namespace_that_it_was_given() {
    let directory = tempfile::tempdir().unwrap();
    let config = Kubeconfig::at(directory.path().join("config"));
    assert_eq!(config.namespace("a"), "default", "there is no file");
    config.use_namespace("a", "dev").unwrap();
    assert!(!config.path().exists(), "there is no context to give it to");
    for name in ["a", "b"] {
        config.merge(&entry(name)).unwrap();
        assert_eq!(config.namespace(name), "default");
    }
    config.use_namespace("a", "dev").unwrap();
    config.merge(&entry("a")).unwrap();
    assert_eq!([config.namespace("a"), config.namespace("b")], ["dev", "default"]);
    assert_eq!(config.find("a").unwrap().key_pem, "KEY");
    config.remove("a").unwrap();
    config.merge(&entry("a")).unwrap();
    assert_eq!(config.namespace("a"), "default", "it is another cluster's");
}

#[test]
fn who_takes_the_current_context_out_leaves_none() {
    let directory = tempfile::tempdir().unwrap();
    let config = Kubeconfig::at(directory.path().join("config"));
    assert!(!config.lacks_current_context(), "there is no file");
    config.merge(&entry("a")).unwrap();
    config.merge(&entry("b")).unwrap();
    assert!(!config.lacks_current_context());
    config.remove("b").unwrap();
    assert!(config.lacks_current_context(), "a is there, and nothing leads to it");
    config.remove("a").unwrap();
    assert!(!config.lacks_current_context(), "there is none to choose");
}

#[test]
fn what_others_have_put_beside_it_is_not_written_to() {
    let directory = tempfile::tempdir().unwrap();
    let config = Kubeconfig::at(directory.path().join("config"));
    let planted = directory.path().join("config.monopod-new");
    std::os::unix::fs::symlink(directory.path().join("elsewhere"), &planted).unwrap();
    config.merge(&entry("a")).unwrap();
    assert!(!directory.path().join("elsewhere").exists());
    let mode = std::fs::metadata(config.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let names = std::fs::read_dir(directory.path()).unwrap().flatten().map(|entry| entry.file_name());
    let mut names: Vec<_> = names.collect();
    names.sort();
    assert_eq!(names, ["config", "config.monopod-new"], "nothing of its own is left");
}

#[test]
fn a_link_leads_to_nothing_that_is_not_its_owners() {
    let Some(user) = user_files::testing::nobody() else { return };
    let (home, own) = (user_files::testing::home_of(&user), tempfile::tempdir().unwrap());
    std::fs::set_permissions(own.path(), Permissions::from_mode(0o755)).unwrap();
    let secret = own.path().join("secret");
    std::fs::write(&secret, "password: x\n").unwrap();
    std::fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
    let path = home.path().join("config");
    std::os::unix::fs::symlink(&secret, &path).unwrap();
    let config = Kubeconfig { path: path.clone(), owner: Some(user.clone()) };
    let refused = config.merge(&entry("a")).unwrap_err().to_string();
    assert!(refused.contains("with the rights of nobody"), "{refused}");
    assert!(failures::is(&config.merge(&entry("a")).unwrap_err(), failures::KUBECONFIG_OWNER));
    assert!(config.remove("a").is_err());
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "password: x\n");
    let meta = secret.metadata().unwrap();
    assert_eq!((meta.uid(), meta.mode() & 0o777), (0, 0o600), "it is root's as before");

    std::fs::remove_file(&path).unwrap();
    let config = Kubeconfig { path: home.path().join(".kube/config"), owner: Some(user) };
    config.merge(&entry("a")).unwrap();
    for made in [config.path(), config.path().parent().unwrap()] {
        let owner = made.metadata().unwrap().uid();
        assert_eq!(owner, home.path().metadata().unwrap().uid(), "{}", made.display());
    }
}

/// As `sudo kubectl` leaves `~/.kube` behind.
#[test]
fn where_its_owner_may_only_read_there_is_nothing_to_take_out() {
    let Some(user) = user_files::testing::nobody() else { return };
    let home = user_files::testing::home_of(&user);
    std::fs::create_dir(home.path().join(".kube")).unwrap();
    std::fs::set_permissions(home.path().join(".kube"), Permissions::from_mode(0o755)).unwrap();
    let path = home.path().join(".kube/config");
    std::fs::write(&path, "clusters:\n- name: other\n").unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let config = Kubeconfig { path, owner: Some(user) };
    let refused = config.merge(&entry("a")).unwrap_err();
    assert!(failures::is(&refused, failures::KUBECONFIG_OWNER), "{refused}");
    config.remove("a").unwrap();
    assert!(failures::is(&config.remove("other").unwrap_err(), failures::KUBECONFIG_OWNER));
}

#[test]
fn what_is_no_file_is_not_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let config = Kubeconfig::at(directory.path().join("config"));
    nix::unistd::mkfifo(config.path(), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let refused = config.merge(&entry("a")).unwrap_err().to_string();
    assert!(refused.ends_with("it is no regular file"), "{refused}");
    let config = Kubeconfig::at(PathBuf::from("/dev/zero"));
    assert!(config.merge(&entry("a")).is_err() && config.current_context().is_none());
}

#[test]
fn a_directory_that_it_makes_is_the_users_alone() {
    let directory = tempfile::tempdir().unwrap();
    let config = Kubeconfig::at(directory.path().join("new/config"));
    config.merge(&entry("a")).unwrap();
    let mode = std::fs::metadata(directory.path().join("new")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn a_file_of_its_own_goes_with_its_last_entry() {
    let directory = tempfile::tempdir().unwrap();
    let config = Kubeconfig::at(directory.path().join("new/config"));
    config.merge(&entry("a")).unwrap();
    config.remove("b").unwrap();
    assert!(config.path().exists());
    config.remove("a").unwrap();
    assert!(!config.path().exists());
}

#[test]
fn a_file_that_is_no_kubeconfig_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let config = Kubeconfig::at(directory.path().join("config"));
    std::fs::write(config.path(), "- just\n- a list\n").unwrap();
    assert!(config.merge(&entry("a")).is_err());
    assert_eq!(std::fs::read_to_string(config.path()).unwrap(), "- just\n- a list\n");
}
