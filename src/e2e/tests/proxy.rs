//! The API proxy with real clients: `kubectl get --raw`, `kubectl proxy`, and what a browser behind it does.

mod common;

use common::lab::MACHINE;
use common::{Appliance, appliance};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};

const WEB: &str = "
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {terminationGracePeriodSeconds: 1, containers: [{name: c, image: monopod/kubia, ports: [{name: http, containerPort: 8080}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: nobody}
spec: {selector: {app: nothing}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: byhand}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Endpoints
metadata: {name: byhand}
subsets: [{addresses: [{ip: 203.0.113.2}], ports: [{port: 80}]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader}
rules: [{apiGroups: [''], resources: [services/proxy], resourceNames: ['web:http'], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader}
subjects: [{kind: User, name: jane, apiGroup: rbac.authorization.k8s.io}]
roleRef: {kind: Role, name: reader, apiGroup: rbac.authorization.k8s.io}
";

const HERE: &str = "/api/v1/namespaces/default";

#[test]
fn pods_and_services_are_reached_through_the_api_server() {
    let Some(at) = appliance("proxy-raw") else { return };
    at.kubectl_with(&["create"], WEB).ok("create");
    at.kubectl(&["wait", "--for=condition=Ready", "pod/web", "--timeout=60s"]).ok("wait");
    // without a probe it is ready before it listens
    let ip = at.kubectl(&["get", "pod", "web", "-o", "jsonpath={.status.podIP}"]).ok("ip");
    at.until_hit(&format!("{ip}:8080"), 1);
    at.until_some(&[
        "get",
        "endpointslices",
        "-l",
        "kubernetes.io/service-name=web",
        "-o",
        "jsonpath={.items[*].endpoints[?(@.conditions.ready==true)].addresses[0]}",
    ]);
    for path in [
        "pods/web/proxy/",
        "pods/web:8080/proxy/any/path?and=query",
        // sent to the path with a slash, which kubectl follows
        "pods/web:8080/proxy",
        "pods/http:web:8080/proxy/",
        "services/web:http/proxy/",
        "services/web:80/proxy/",
        "services/http:web:http/proxy/",
    ] {
        let answer = at.kubectl(&["get", "--raw", &format!("{HERE}/{path}")]).ok(path);
        assert_eq!(answer.trim(), "You've hit web", "{path}");
    }
    let refused = format!("error trying to reach service: dial tcp {ip}:1: connect: connection refused");
    for (path, words) in [
        ("services/nobody/proxy/", "no endpoints available for service \"nobody\""),
        ("services/byhand:80/proxy/", "no endpoints available for service \"byhand:80\""),
        ("services/web:81/proxy/", "no service port 81 found for service \"web\""),
        ("services/missing/proxy/", "services \"missing\" not found"),
        ("pods/missing/proxy/", "pods \"missing\" not found"),
        ("pods/ftp:web:80/proxy/", "invalid pod request \"ftp:web:80\""),
        ("pods/web:1/proxy/", &refused),
    ] {
        let said = at.kubectl(&["get", "--raw", &format!("{HERE}/{path}")]).refused(path);
        assert!(said.contains(words), "{path}: {said}");
    }
    // a status that somebody has written leads nobody to the machine's own addresses
    let patch = r#"{"status":{"podIP":"127.0.0.1","podIPs":[{"ip":"127.0.0.1"}]}}"#;
    let idle = "apiVersion: v1\nkind: Pod\nmetadata: {name: idle}\nspec: {nodeName: nowhere, containers: [{name: c, image: x}]}\n";
    at.kubectl_with(&["create"], idle).ok("idle");
    at.kubectl(&["patch", "pod", "idle", "--subresource=status", "--type=merge", "-p", patch]).ok("patch");
    let said = at.kubectl(&["get", "--raw", &format!("{HERE}/pods/idle:8443/proxy/")]).refused("loopback");
    assert!(said.contains("address not allowed"), "{said}");
    // by the verb, and by the name as the path has it
    let raw = |verb: &str, path: &str| {
        at.kubectl_with(&[verb, "--as=jane", "--raw", &format!("{HERE}/{path}")], "x: y\n")
    };
    let get = |path: &str| at.kubectl(&["get", "--as=jane", "--raw", &format!("{HERE}/{path}")]);
    assert_eq!(get("services/web:http/proxy/").ok("get").trim(), "You've hit web");
    let said = get("services/web:80/proxy/").refused("another name");
    assert!(said.contains("cannot get resource \"services/proxy\""), "{said}");
    let said = raw("create", "services/web:http/proxy/").refused("another verb");
    assert!(said.contains("cannot create resource \"services/proxy\""), "{said}");
    let listed = at.kubectl(&["get", "--raw", "/api/v1"]).ok("discovery");
    for part in ["pods/proxy", "services/proxy", "nodes/proxy"] {
        assert!(listed.contains(&format!("\"{part}\"")), "{part}");
    }
    assert!(at.kubectl(&["cluster-info"]).ok("cluster-info").contains("/services/kube-dns:"));
}

/// Tells what it was asked; leads elsewhere, shows a page or changes the protocol where it is asked to.
fn backend() -> u16 {
    let listener = TcpListener::bind((MACHINE, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream));
        }
    });
    port
}

fn serve(stream: TcpStream) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            return;
        }
    }
    let lower = head.to_lowercase();
    let value =
        |name: &str| lower.lines().find_map(|line| line.strip_prefix(name)).map(|v| v.trim().to_owned());
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    if value("upgrade:").as_deref() == Some("echo") {
        stream
            .write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
            .unwrap();
        let mut said = [0; 5];
        reader.read_exact(&mut said).unwrap();
        stream.write_all(&said).unwrap();
        return;
    }
    let mut body = Vec::new();
    if let Some(length) = value("content-length:") {
        body.resize(length.parse().unwrap(), 0);
        reader.read_exact(&mut body).unwrap();
    } else if value("transfer-encoding:").as_deref() == Some("chunked") {
        loop {
            let mut size = String::new();
            reader.read_line(&mut size).unwrap();
            let size = usize::from_str_radix(size.trim(), 16).unwrap();
            let mut chunk = vec![0; size + 2];
            reader.read_exact(&mut chunk).unwrap();
            body.extend_from_slice(&chunk[..size]);
            if size == 0 {
                break;
            }
        }
    }
    let answer = |status: &str, more: &str, body: &[u8]| {
        let head =
            format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{more}Connection: close\r\n\r\n", body.len());
        [head.as_bytes(), body].concat()
    };
    let answer = match path.as_str() {
        "/moved" => answer("302 Found", "Location: /elsewhere\r\n", b""),
        "/page" => {
            answer("200 OK", "Content-Type: text/html\r\n", b"<a href=\"/next\">next</a> <a href=\"b\">b</a>")
        }
        "/teapot" => answer("418 I'm a teapot", "X-Mine: 1\r\nAccess-Control-Allow-Origin: *\r\n", b"short"),
        _ => answer("200 OK", "Content-Type: text/plain\r\n", &[head.as_bytes(), &body].concat()),
    };
    let _ = stream.write_all(&answer);
}

/// `kubectl proxy` on a port of its own; ended with the test.
struct Proxied(Child, String);

impl Proxied {
    fn start(at: &Appliance) -> Self {
        let mut command = at.command(&at.kubectl_path());
        command.args(["proxy", "--port=0"]).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().rsplit(' ').next().unwrap_or_default().to_owned();
        assert!(address.starts_with("127.0.0.1:"), "{line}");
        Proxied(child, address)
    }
}

impl Drop for Proxied {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn every_method_passes_and_nothing_of_the_clients_credentials() {
    let Some(at) = appliance("proxy-all") else { return };
    let port = backend();
    let node = at.kubectl(&["get", "nodes", "-o", "jsonpath={.items[0].metadata.name}"]).ok("node");
    let proxied = Proxied::start(&at);
    let through = format!("/api/v1/nodes/{node}:{port}/proxy");
    let url = format!("http://{}{through}", proxied.1);
    let curl = |arguments: &str| at.shell(&format!("curl -sS --max-time 20 {arguments}")).ok(arguments);
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let told = curl(&format!("-X {method} -H 'Cookie: a=b' -d 'the body' '{url}/a/b/c/?q=1&r=%20'"));
        assert!(told.starts_with(&format!("{method} /a/b/c/?q=1&r=%20 HTTP/1.1\r\n")), "{told}");
        assert!(told.ends_with("\r\n\r\nthe body") && told.to_lowercase().contains("cookie: a=b"), "{told}");
    }
    assert!(curl(&format!("-I '{url}/page'")).contains("200 OK"));
    // what only the API server should see; kubectl's own certificate is none of the backend's business either
    let token = at.kubectl(&["create", "token", "default"]).ok("token");
    let config = std::fs::read_to_string(at.kubeconfig()).unwrap();
    let server =
        config.lines().find_map(|line| line.trim().strip_prefix("server: ")).unwrap().trim_matches('"');
    at.kubectl(&[
        "create",
        "clusterrolebinding",
        "all",
        "--clusterrole=cluster-admin",
        "--serviceaccount=default:default",
    ])
    .ok("bind");
    let told = curl(&format!(
        "-k --http2 -H 'Authorization: Bearer {}' -H 'Impersonate-User: jane' -H 'Impersonate-Group: system:masters' -H 'X-Mine: 1' '{server}{through}/x%2Fy//z'",
        token.trim()
    ));
    let lower = told.to_lowercase();
    assert!(lower.contains("x-mine: 1") && told.starts_with("GET /x%2Fy//z HTTP/1.1"), "{told}");
    assert!(!lower.contains("authorization") && !lower.contains("impersonate"), "{told}");
    // over HTTP/2 it is no header of the client's, and Go's servers refuse who sends none
    let host = server.strip_prefix("https://").unwrap();
    assert!(lower.contains(&format!("\r\nhost: {host}\r\n")), "{told}");
    // a large body, in pieces, both ways
    let large = at.home().join("large");
    std::fs::write(&large, vec![b'x'; 20 << 20]).unwrap();
    let size = curl(&format!(
        "-T {} -H 'Transfer-Encoding: chunked' -H 'Expect:' -o /dev/null -w '%{{size_download}}' '{url}/large'",
        large.display()
    ));
    assert!(size.parse::<usize>().unwrap() > 20 << 20, "{size}");
    // the answer is the backend's own
    let told = curl(&format!("-i '{url}/teapot'"));
    assert!(told.starts_with("HTTP/1.1 418") && told.to_lowercase().contains("x-mine: 1"), "{told}");
    assert!(told.ends_with("short") && !told.to_lowercase().contains("access-control"), "{told}");
    // links stay behind the proxy
    let moved = curl(&format!("-o /dev/null -w '%{{redirect_url}}' '{url}/moved'"));
    assert_eq!(moved, format!("{url}/elsewhere"));
    let page = curl(&format!("'{url}/page'"));
    assert_eq!(page, format!("<a href=\"{through}/next\">next</a> <a href=\"b\">b</a>"));
    assert_eq!(
        curl(&format!("-o /dev/null -w '%{{http_code}} %{{redirect_url}}' '{url}?a=b'")),
        format!("301 {url}/?a=b")
    );
    // another protocol
    let mut stream = TcpStream::connect(&proxied.1).unwrap();
    let ask = format!(
        "GET {through}/socket HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n",
        proxied.1
    );
    stream.write_all(ask.as_bytes()).unwrap();
    let mut head = String::new();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
    }
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    stream.write_all(b"hello").unwrap();
    let mut echoed = String::new();
    reader.read_to_string(&mut echoed).unwrap();
    assert_eq!(echoed, "hello");
    let told = curl(&format!("-H 'Connection: Upgrade' -H 'Upgrade: other' '{url}/page'"));
    assert!(told.contains("invalid upgrade response: status code 200"), "{told}");
}
