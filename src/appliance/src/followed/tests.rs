use super::*;
use cluster::Authorizer;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_util::sync::DropGuard;

const HEAD: &str = "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthorizationConfiguration\nauthorizers:\n";
const ALLOW: &str = "- {type: AlwaysAllow, name: a}\n";
const DENY: &str = "- {type: AlwaysDeny, name: a}\n";
/// One that there is not.
const WRONG: &str = "- {type: AlwaysAsk, name: a}\n";

/// What is in force, told as it changes; `None` where a change is wrong.
struct Lab {
    dir: TempDir,
    path: PathBuf,
    told: UnboundedReceiver<Option<&'static str>>,
    _stop: DropGuard,
}

impl Lab {
    /// The file lies in a directory of its own, and says this; `others` lie beside it.
    fn new(authorizers: &str, others: &[(&str, &str)]) -> Self {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("config/authorization.yaml");
        fs::create_dir(dir.path().join("config")).unwrap();
        fs::write(&path, format!("{HEAD}{authorizers}")).unwrap();
        for (name, text) in others {
            fs::write(dir.path().join("config").join(name), text).unwrap();
        }
        Lab::follow(dir, path)
    }

    /// What is there already.
    fn follow(dir: TempDir, path: PathBuf) -> Self {
        let files = ApiServerFiles { authorization_config: Some(path.clone()), ..ApiServerFiles::default() };
        let mut seen = Seen::default();
        files.authorization(&mut seen).unwrap();
        let followed = Followed {
            what: "authorization configuration",
            files,
            read: ApiServerFiles::authorization,
            seen,
        };
        let (tell, told) = unbounded_channel();
        let stop = CancellationToken::new();
        let apply = move |changed: Option<Option<Vec<Authorizer>>>| {
            let first = changed.flatten().and_then(|all| all.into_iter().next());
            let _ = tell.send(first.map(|first| match first {
                Authorizer::AlwaysAllow => "allow",
                Authorizer::AlwaysDeny => "deny",
                Authorizer::Node => "node",
                Authorizer::Rbac => "rbac",
                Authorizer::Webhook(_) => "webhook",
            }));
        };
        tokio::spawn(followed.run(apply, stop.clone()));
        Lab { dir, path, told, _stop: stop.drop_guard() }
    }

    /// The whole text at once, in place of what is there.
    fn put(&self, path: &Path, text: &str) {
        let staged = self.dir.path().join("staged");
        fs::write(&staged, text).unwrap();
        fs::rename(&staged, path).unwrap();
    }

    fn config(&self, authorizers: &str) {
        self.put(&self.path, &format!("{HEAD}{authorizers}"));
    }

    async fn next(&mut self) -> Option<&'static str> {
        self.told.recv().await.unwrap()
    }
}

#[tokio::test]
async fn what_changes_is_in_force_and_what_is_wrong_changes_nothing() {
    let mut lab = Lab::new(ALLOW, &[]);
    for (name, text, want) in [
        ("another", DENY, Some("deny")),
        ("a wrong one", WRONG, None),
        ("one that is good again", ALLOW, Some("allow")),
        ("no YAML", "- {", None),
        ("the one that is in force", ALLOW, Some("allow")),
    ] {
        lab.config(text);
        assert_eq!(lab.next().await, want, "{name}");
    }
    // written in place it is read half written, perhaps, but when it is whole in any case
    fs::write(&lab.path, format!("{HEAD}{DENY}")).unwrap();
    while lab.next().await != Some("deny") {}
    // and what is written beside it is nothing to it
    lab.put(&lab.path.with_file_name("other"), "x");
    lab.config(DENY);
    lab.config(ALLOW);
    assert_eq!(lab.next().await, Some("allow"));
}

#[tokio::test]
async fn a_link_is_followed_to_where_it_leads() {
    let mut lab = Lab::new(ALLOW, &[]);
    let target = lab.dir.path().join("elsewhere/target.yaml");
    fs::create_dir(lab.dir.path().join("elsewhere")).unwrap();
    lab.put(&target, &format!("{HEAD}{DENY}"));
    let link = lab.dir.path().join("link");
    symlink(&target, &link).unwrap();
    fs::rename(&link, &lab.path).unwrap();
    assert_eq!(lab.next().await, Some("deny"));
    lab.put(&target, &format!("{HEAD}{ALLOW}"));
    assert_eq!(lab.next().await, Some("allow"));
}

#[tokio::test]
async fn a_directory_that_is_a_link_may_lead_elsewhere() {
    let dir = TempDir::new().unwrap();
    for (release, authorizers) in [("first", ALLOW), ("second", DENY)] {
        let release = dir.path().join(release);
        fs::create_dir(&release).unwrap();
        fs::write(release.join("authorization.yaml"), format!("{HEAD}{authorizers}")).unwrap();
    }
    let (current, next) = (dir.path().join("current"), dir.path().join("next"));
    symlink("first", &current).unwrap();
    let mut lab = Lab::follow(dir, current.join("authorization.yaml"));
    for (release, want) in [("second", "deny"), ("first", "allow"), ("second", "deny")] {
        symlink(release, &next).unwrap();
        fs::rename(&next, &current).unwrap();
        assert_eq!(lab.next().await, Some(want), "{release}");
    }
}

#[tokio::test]
async fn a_directory_that_goes_and_comes_back_is_followed_again() {
    let mut lab = Lab::new(ALLOW, &[]);
    let (dir, away) = (lab.path.parent().unwrap().to_owned(), lab.dir.path().join("away"));
    lab.config(DENY);
    assert_eq!(lab.next().await, Some("deny"));
    fs::rename(&dir, &away).unwrap();
    assert_eq!(lab.next().await, None, "it is not there");
    lab.put(&away.join("authorization.yaml"), &format!("{HEAD}{ALLOW}"));
    fs::rename(&away, &dir).unwrap();
    assert_eq!(lab.next().await, Some("allow"));
    lab.config(DENY);
    assert_eq!(lab.next().await, Some("deny"));
}

#[tokio::test]
async fn the_files_that_it_names_are_followed_too() {
    let kubeconfig = "clusters: [{name: w, cluster: {server: 'https://localhost:1/', insecure-skip-tls-verify: true}}]\n\
        users: [{name: u, user: {tokenFile: token}}]\n\
        contexts: [{name: w, context: {cluster: w, user: u}}]\ncurrent-context: w\n";
    let mut lab = Lab::new(ALLOW, &[("webhook.conf", kubeconfig), ("token", "first")]);
    let named = lab.path.with_file_name("webhook.conf");
    let webhook = format!(
        "- type: Webhook\n  name: w\n  webhook:\n    timeout: 3s\n    subjectAccessReviewVersion: v1\n    failurePolicy: Deny\n\
         \x20   connectionInfo: {{type: KubeConfigFile, kubeConfigFile: {}}}\n",
        named.display()
    );
    lab.put(&named.with_file_name("token"), "nobody has read the first");
    lab.config(&webhook);
    assert_eq!(lab.next().await, Some("webhook"));
    lab.put(&named.with_file_name("token"), "second");
    assert_eq!(lab.next().await, Some("webhook"), "a new token");
    lab.put(&named, "clusters: []");
    assert_eq!(lab.next().await, None, "no cluster any more");
    lab.put(&named.with_file_name("token"), "third");
    assert_eq!(lab.next().await, None, "what was not come to is tried again when it changes");
    lab.put(&named, kubeconfig);
    assert_eq!(lab.next().await, Some("webhook"));
}
