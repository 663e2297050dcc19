//! The dashboard in a real browser: every view, live changes, a log, a terminal.

mod common;

use common::appliance;

#[test]
fn a_browser_sees_the_cluster_live() {
    let Some(at) = appliance("dashboard") else { return };
    at.load_busybox();
    let line = "echo hello from the log; sleep 3600";
    at.kubectl(&["run", "shell", "--image=busybox:1", "--command", "--", "sh", "-c", line]).ok("run");
    at.kubectl(&["wait", "--for=condition=Ready", "pod/shell", "--timeout=60s"]).ok("wait");
    let url = at.monopod(&["dashboard", "--url"]).ok("dashboard --url");
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web/e2e.mjs");
    let pictures = at.home().join("pictures");
    let mut node = at.command("node");
    let done =
        node.arg(script).args([url.trim(), pictures.to_str().unwrap(), "default/shell"]).output().unwrap();
    common::Answer(done).ok("the browser");
    let refused = at.shell(&format!("curl -sS -o /dev/null -w '%{{http_code}}' {}", url.trim()));
    assert_ne!(refused.ok("the link again"), "303", "a link opens one browser");
}

#[test]
fn a_link_that_others_read_opens_only_the_browser_of_who_asked() {
    let Some(at) = appliance("dashboard-of") else { return };
    let dashboard = "\"$MONOPOD_BIN\" -p e2e-dashboard-of dashboard";
    let url = at.shell(&format!("SUDO_UID=65533 {dashboard} --url")).ok("dashboard --url");
    let code_for = |user: u32| {
        let curl = "curl -sS -o /dev/null -w '%{http_code}'";
        // from a directory that everybody may be in
        let line =
            format!("cd / && setpriv --reuid {user} --regid {user} --clear-groups {curl} '{}'", url.trim());
        at.shell(&line).ok("curl").trim().to_owned()
    };
    assert_eq!(code_for(65534), "403", "another user");
    assert_eq!(code_for(65533), "303", "the link is still good for its own");
    assert_eq!(code_for(65533), "403", "it is good once");
    // a browser shows the cookie to whatever listens at another port of 127.0.0.1
    let url = at.shell(&format!("SUDO_UID=65533 {dashboard} --url")).ok("dashboard --url");
    let (address, _) = url.trim().rsplit_once("/login").unwrap();
    let curl_as = |user: u32, rest: &str| {
        at.shell(&format!("cd / && setpriv --reuid {user} --regid {user} --clear-groups curl -sS {rest}"))
    };
    let head = curl_as(65533, &format!("-D - -o /dev/null '{}'", url.trim())).ok("the link");
    let cookie = head.lines().find_map(|line| line.strip_prefix("set-cookie: ")?.split(';').next()).unwrap();
    for (user, want) in [(65533, "200"), (65534, "401"), (0, "200")] {
        let rest = format!("-o /dev/null -w '%{{http_code}}' -H 'cookie: {cookie}' {address}/api/v1/secrets");
        assert_eq!(curl_as(user, &rest).ok("the cookie").trim(), want, "{user}");
    }
    let told = at.shell(&format!("DISPLAY= WAYLAND_DISPLAY= {dashboard}"));
    assert!(told.err().contains("open it yourself"), "{}", told.err());
}
