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
