//! The HTTP request of a probe or a hook: one GET, certificates not checked (upstream's probes do not check them either).

use api::KubernetesVersion;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::header::{ACCEPT, HOST, HeaderName, HeaderValue, LOCATION, USER_AGENT};
use hyper::{Request, Response, Uri};
use k8s_openapi::api::core::v1::HTTPGetAction;
use rustls_pki_types::ServerName;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// How a probe calls itself, as upstream's do.
pub(crate) static PROBE_AGENT: LazyLock<HeaderValue> = LazyLock::new(|| {
    let KubernetesVersion { major, minor, .. } = api::KUBERNETES_VERSION;
    HeaderValue::from_str(&format!("kube-probe/{major}.{minor}")).expect("numbers")
});

const LONGEST_BODY: usize = 10 << 10; // upstream's maxRespBodyLength
const MOST_REDIRECTS: usize = 10; // Go's

/// What to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Get {
    pub https: bool,
    pub host: String,
    pub port: u16,
    pub path: String,
    pub headers: Vec<(String, String)>,
}

pub(crate) struct Answer {
    pub status: u16,
    pub body: Bytes,
}

impl Get {
    /// `host` and `port` are where the container is, unless the action names another host.
    pub fn new(action: &HTTPGetAction, host: &str, port: u16) -> Self {
        let host = action.host.as_deref().filter(|h| !h.is_empty()).unwrap_or(host);
        let path = action.path.as_deref().unwrap_or("/");
        let headers = action.http_headers.iter().flatten().map(|h| (h.name.clone(), h.value.clone()));
        Get {
            https: action.scheme.as_deref().is_some_and(|s| s.eq_ignore_ascii_case("https")),
            host: host.to_owned(),
            port,
            path: if path.starts_with('/') { path.to_owned() } else { format!("/{path}") },
            headers: headers.collect(),
        }
    }

    pub fn url(&self) -> String {
        let scheme = if self.https { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority(), self.path)
    }

    fn authority(&self) -> String {
        authority(&self.host, self.port)
    }

    fn request(&self) -> Result<Request<Empty<Bytes>>, String> {
        let mut request = Request::get(self.path.as_str())
            .body(Empty::new())
            .map_err(|e| format!("parse \"{}\": {e}", self.url()))?;
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, PROBE_AGENT.clone());
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        let host = HeaderValue::from_str(&self.authority()).map_err(|e| e.to_string())?;
        headers.insert(HOST, host);
        for (name, value) in &self.headers {
            let name: HeaderName = name.parse().map_err(|e| format!("header {name}: {e}"))?;
            let value = HeaderValue::from_str(value).map_err(|e| format!("header {name}: {e}"))?;
            headers.insert(name, value);
        }
        Ok(request)
    }

    /// Where a redirect leads, if it stays on the host.
    fn redirected(&self, location: &str) -> Option<Get> {
        if location.starts_with('/') && !location.starts_with("//") {
            return Some(Get { path: location.to_owned(), ..self.clone() });
        }
        let uri: Uri = location.parse().ok()?;
        let https = uri.scheme_str()? == "https";
        let same_host = uri.host()? == self.host;
        let path = uri.path_and_query().map_or("/", |p| p.as_str()).to_owned();
        let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
        same_host.then(|| Get { https, port, path, ..self.clone() })
    }
}

pub(crate) fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Follows redirects on the same host; one that leads elsewhere is the answer.
///
/// # Errors
/// As Go's client words them.
pub(crate) async fn get(what: &Get, timeout: Duration) -> Result<Answer, String> {
    let url = what.url();
    match tokio::time::timeout(timeout, follow(what)).await {
        Ok(answer) => answer.map_err(|why| format!("Get \"{url}\": {why}")),
        Err(_) => Err(format!(
            "Get \"{url}\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        )),
    }
}

async fn follow(what: &Get) -> Result<Answer, String> {
    let mut at = what.clone();
    for _ in 0..MOST_REDIRECTS {
        let response = send(&at).await?;
        let status = response.status();
        let location = response.headers().get(LOCATION).and_then(|l| l.to_str().ok());
        match location.filter(|_| status.is_redirection()).and_then(|l| at.redirected(l)) {
            Some(next) => at = next,
            None => return read(response).await,
        }
    }
    Err(format!("stopped after {MOST_REDIRECTS} redirects"))
}

async fn read(response: Response<hyper::body::Incoming>) -> Result<Answer, String> {
    let status = response.status().as_u16();
    let limited = Limited::new(response.into_body(), LONGEST_BODY);
    // a body that is longer, or breaks off, does not change what the status says
    let body = limited.collect().await.map(|b| b.to_bytes()).unwrap_or_default();
    Ok(Answer { status, body })
}

async fn send(what: &Get) -> Result<Response<hyper::body::Incoming>, String> {
    let stream = dial(&what.host, what.port).await?;
    let request = what.request()?;
    if what.https {
        let name = ServerName::try_from(what.host.clone()).map_err(|e| e.to_string())?;
        let connector = tokio_rustls::TlsConnector::from(ANY_CERTIFICATE.clone());
        exchange(connector.connect(name, stream).await.map_err(|e| e.to_string())?, request).await
    } else {
        exchange(stream, request).await
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Empty<Bytes>>,
) -> Result<Response<hyper::body::Incoming>, String> {
    let (mut sender, connection, answered) =
        listener::ask_once(stream).await.map_err(|e: hyper::Error| e.to_string())?;
    tokio::spawn(connection);
    let answer = sender.send_request(request).await.map_err(|error| why(&error))?;
    answered.note();
    Ok(answer)
}

/// What lies behind the client's general words.
pub(crate) fn why(error: &hyper::Error) -> String {
    if error.is_incomplete_message() {
        return "EOF".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    match cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error) {
        Some(code) => nix::errno::Errno::from_raw(code).desc().to_lowercase(),
        None => cause.to_string(),
    }
}

/// A TCP connection, or why there is none in Go's words.
///
/// # Errors
/// `dial tcp 10.244.0.7:80: connect: connection refused`
pub(crate) async fn dial(host: &str, port: u16) -> Result<TcpStream, String> {
    TcpStream::connect((host, port)).await.map_err(|error| {
        let why = match error.raw_os_error() {
            Some(code) => nix::errno::Errno::from_raw(code).desc().to_lowercase(),
            None => error.to_string(),
        };
        format!("dial tcp {}: connect: {why}", authority(host, port))
    })
}

/// A pod's certificate is its own affair: the probe asks whether it answers.
static ANY_CERTIFICATE: LazyLock<Arc<rustls::ClientConfig>> =
    LazyLock::new(|| Arc::new(tls::trusting_anyone()));

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn serve(answers: &'static [&'static str]) -> Get {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut buffer = [0; 1024];
                let _ = stream.read(&mut buffer).await.unwrap();
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        Get { https: false, host: "127.0.0.1".into(), port, path: "/x".into(), headers: Vec::new() }
    }

    #[tokio::test]
    async fn answers_and_redirects() {
        let cases: [(&str, &[&str], u16, &str); 3] = [
            ("plain", &["HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"], 200, "ok"),
            (
                "followed on the host",
                &[
                    "HTTP/1.1 302 Found\r\nlocation: /y\r\ncontent-length: 0\r\n\r\n",
                    "HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n",
                ],
                503,
                "",
            ),
            (
                "not to another host",
                &["HTTP/1.1 302 Found\r\nlocation: http://example.invalid/\r\ncontent-length: 0\r\n\r\n"],
                302,
                "",
            ),
        ];
        for (name, answers, status, body) in cases {
            let what = serve(answers).await;
            let got = get(&what, Duration::from_secs(5)).await.unwrap();
            assert_eq!((got.status, &got.body[..]), (status, body.as_bytes()), "{name}");
        }
    }

    #[tokio::test]
    async fn a_port_that_nobody_listens_on_is_refused_in_gos_words() {
        let mut what = serve(&[]).await;
        // the listener went with its task
        tokio::task::yield_now().await;
        what.path = "/".into();
        let why = get(&what, Duration::from_secs(5)).await.err().unwrap();
        let port = what.port;
        assert_eq!(
            why,
            format!(
                "Get \"http://127.0.0.1:{port}/\": dial tcp 127.0.0.1:{port}: connect: connection refused"
            )
        );
    }
}
