//! How somebody connects to a pod, a service or a node: the parameters of the request as the objects that upstream's API has for
//! them (core/v1). Policies and webhooks are asked about these and may change them, and by these the connection is made: what is
//! judged is what is done. As upstream encodes them: what is empty or false is left out.

use crate::request::Request;
use api::Status;
use serde::{Deserialize, Serialize};

/// `PodAttachOptions`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct AttachOptions {
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) stdin: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) stdout: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) stderr: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) tty: bool,
    /// Empty is the only one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) container: String,
}

/// `PodExecOptions`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ExecOptions {
    #[serde(flatten)]
    pub(crate) streams: AttachOptions,
    pub(crate) command: Vec<String>,
}

/// `PodPortForwardOptions`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ForwardOptions {
    /// Only WebSockets without SPDY name them before they connect.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) ports: Vec<u16>,
}

/// `PodProxyOptions`, `ServiceProxyOptions`, `NodeProxyOptions`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ProxyOptions {
    /// Decoded.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) path: String,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

impl AttachOptions {
    /// # Errors
    /// `BadRequest` for a flag that is no boolean.
    pub(crate) fn of(request: &Request) -> Result<Self, Status> {
        Ok(AttachOptions {
            stdin: request.flag("stdin")?,
            stdout: request.flag("stdout")?,
            stderr: request.flag("stderr")?,
            tty: request.flag("tty")?,
            container: request.parameter("container").unwrap_or_default().to_owned(),
        })
    }
}

impl ExecOptions {
    /// # Errors
    /// As [`AttachOptions::of`].
    pub(crate) fn of(request: &Request) -> Result<Self, Status> {
        let command = request.values("command").into_iter().map(str::to_owned).collect();
        Ok(ExecOptions { streams: AttachOptions::of(request)?, command })
    }
}

impl ForwardOptions {
    /// `?ports=80,443` and `?ports=80&ports=443`
    ///
    /// # Errors
    /// `BadRequest` for what is no port.
    pub(crate) fn of(request: &Request) -> Result<Self, Status> {
        let numbers = request.values("ports").into_iter().flat_map(|ports| ports.split(','));
        let port = |text: &str| match text.parse() {
            Ok(port @ 1..) => Ok(port),
            _ => Err(Status::bad_request(format!("{text:?} is not a valid port"))),
        };
        Ok(ForwardOptions { ports: numbers.map(port).collect::<Result<_, _>>()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn parameters_are_options_as_upstream_encodes_them() {
        let exec = |request: &Request| ExecOptions::of(request).map(|options| json!(options));
        let attach = |request: &Request| AttachOptions::of(request).map(|options| json!(options));
        let forward = |request: &Request| ForwardOptions::of(request).map(|options| json!(options));
        type Read<'a> = &'a dyn Fn(&Request) -> Result<Value, Status>;
        let cases: [(Read<'_>, &str, Value); 10] = [
            (
                &exec,
                "command=sh&command=-c&stdin=true&tty=0",
                json!({"stdin": true, "command": ["sh", "-c"]}),
            ),
            (&exec, "command=sh&stdin=True&tty=1", json!({"stdin": true, "tty": true, "command": ["sh"]})),
            (
                &exec,
                "command=sh&stdin&container=c",
                json!({"stdin": true, "container": "c", "command": ["sh"]}),
            ),
            (&exec, "command=sh&stdin=yes", json!(400)),
            (&attach, "stdout=1&command=sh", json!({"stdout": true})),
            (&attach, "stderr=0&container=", json!({})),
            (&forward, "", json!({})),
            (&forward, "ports=80,81&ports=443", json!({"ports": [80, 81, 443]})),
            (&forward, "ports=80&ports=x", json!(400)),
            (&forward, "ports=0", json!(400)),
        ];
        for (read, query, want) in cases {
            let options = read(&Request::for_tests("GET", "/", query, Vec::new()));
            assert_eq!(options.unwrap_or_else(|status| json!(status.code)), want, "{query}");
        }
    }

    #[test]
    fn options_are_read_as_they_are_written() {
        let changed = json!({"kind": "PodExecOptions", "apiVersion": "v1", "tty": true, "command": ["ls"], "unknown": 1});
        let options: ExecOptions = serde_json::from_value(changed).unwrap();
        assert_eq!(json!(options), json!({"tty": true, "command": ["ls"]}));
        assert!(serde_json::from_value::<ExecOptions>(json!({"command": "ls"})).is_err());
        assert!(serde_json::from_value::<ForwardOptions>(json!({"ports": [70_000]})).is_err());
    }
}
