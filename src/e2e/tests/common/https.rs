//! A server of the test's own on the host, in Python, with a certificate that its own authority has signed.

use super::Appliance;
use std::fs;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// Runs until it is dropped.
pub struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Serves what a script's class `Handler` says, at the port; the certificate is for localhost and the names given. With the
/// authority as a `caBundle`. More arguments are the script's own (`sys.argv[4:]`).
pub fn serve(
    cluster: &Appliance,
    handler: &str,
    port: u16,
    names: &[&str],
    more: &[&str],
) -> (Server, String) {
    let home = cluster.home().to_owned();
    let names: String = names.iter().map(|name| format!(",DNS:{name}")).collect();
    let script = format!(
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test-ca -keyout ca.key -out ca.crt &&
        openssl req -newkey rsa:2048 -nodes -subj /CN=test -keyout server.key -out server.csr &&
        printf 'subjectAltName=DNS:localhost,IP:127.0.0.1{names}' > san &&
        openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile san -out server.crt &&
        base64 -w0 ca.crt"
    );
    let made = Command::new("sh").args(["-c", &script]).current_dir(&home).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let bundle = String::from_utf8(made.stdout).unwrap();
    fs::write(home.join("server.py"), format!("{BEFORE}\n{handler}\n{AFTER}")).unwrap();
    let child = Command::new("python3")
        .args(["server.py", "server.crt", "server.key", &port.to_string()])
        .args(more)
        .current_dir(&home)
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let server = Server(child);
    for _ in 0..600 {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return (server, bundle);
        }
        sleep(Duration::from_millis(100));
    }
    panic!("the server does not listen");
}

/// A Service of that name, and a pod behind it that only carries connections on to the host's port: what TLS says is the server's.
pub fn relay(namespace: &str, name: &str, port: u16) -> String {
    RELAY.replace("NAMESPACE", namespace).replace("NAME", name).replace("PORT", &port.to_string())
}

const RELAY: &str = r#"
apiVersion: v1
kind: Service
metadata: {name: NAME, namespace: NAMESPACE}
spec: {selector: {app: NAME}, ports: [{port: 443, targetPort: 8443}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: NAME, namespace: NAMESPACE}
spec:
  selector: {matchLabels: {app: NAME}}
  template:
    metadata: {labels: {app: NAME}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: NAME
        image: busybox:1
        imagePullPolicy: Never
        command: [sh, -c, 'exec nc -ll -p 8443 -e nc $HOST PORT']
        env: [{name: HOST, valueFrom: {fieldRef: {fieldPath: status.hostIP}}}]
        readinessProbe: {tcpSocket: {port: 8443}, periodSeconds: 1}
"#;

const BEFORE: &str = r#"
import http.server, json, ssl, sys
class Json(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def body(self):
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))
    def answer(self, value, code=200):
        answer = json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
    def log_message(self, *_): pass
"#;

const AFTER: &str = r#"
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
if len(sys.argv) > 4:
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_verify_locations(sys.argv[4])
server = http.server.ThreadingHTTPServer(("0.0.0.0", int(sys.argv[3])), Handler)
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
"#;
