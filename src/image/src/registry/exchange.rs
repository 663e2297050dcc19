//! One request and one small answer: what sessions, token servers and logins have in common.

use super::transport::Body;
use crate::error::{ImageError, Result};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, Uri};
use http_body_util::{BodyExt, LengthLimitError};
use hyper::body::Incoming;
use std::time::Duration;

/// Error pages and tokens are small; what is longer is cut off.
pub(super) const MAX_ANSWER: usize = 1 << 20;
/// For small bodies as a whole.
const SMALL_BODY: Duration = Duration::from_secs(60);

pub(super) fn request(method: Method, uri: &Uri, body: Body) -> Result<Request<Body>> {
    let request = Request::builder().method(method).uri(uri.clone()).body(body);
    request.map_err(|e| ImageError::Registry(format!("{uri}: {e}")))
}

pub(super) async fn read_small(response: Response<Incoming>, max: usize) -> Result<Bytes> {
    let limited = http_body_util::Limited::new(response.into_body(), max);
    match tokio::time::timeout(SMALL_BODY, limited.collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(e)) if e.is::<LengthLimitError>() => {
            Err(ImageError::Refused(format!("the registry's answer is larger than {max} bytes")))
        }
        Ok(Err(e)) => Err(ImageError::Registry(format!("read answer of the registry: {e}"))),
        Err(_) => Err(ImageError::Registry(format!(
            "read answer of the registry: not whole after {} s",
            SMALL_BODY.as_secs()
        ))),
    }
}

pub(super) fn basic(username: &str, password: &str) -> Result<HeaderValue> {
    secret(&format!("Basic {}", BASE64_STANDARD.encode(format!("{username}:{password}"))))
}

pub(super) fn bearer(token: &str) -> Result<HeaderValue> {
    secret(&format!("Bearer {token}"))
}

fn secret(text: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(text).map_err(|_| {
        // the value stays out of the error
        ImageError::Unauthorized("credentials hold characters that no header can carry".into())
    })?;
    value.set_sensitive(true);
    Ok(value)
}
