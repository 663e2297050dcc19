//! Downloads what a build or an add-on names by URL: no credentials, and an end to redirects, silence and size.

use super::exchange::{read_small, request};
use super::session::{redirect, resolve};
use super::transport::{Transport, body, parse_uri};
use crate::error::{ImageError, Result, doing};
use bytes::Bytes;
use http::Method;
use http_body_util::BodyExt;
use std::path::Path;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

const MAX_REDIRECTS: usize = 10;
/// A server that sends nothing for so long is given up.
const STALL: Duration = Duration::from_secs(60);
/// More than anybody adds to an image in one file; a server that never ends must not fill the disk.
const MAX_FILE: u64 = 64 << 30;

/// Downloads what ADD names, without any credentials.
pub(crate) async fn fetch(transport: &Transport, url: &str, to: &Path) -> Result<()> {
    let mut uri = parse_uri(url)?;
    for _ in 0..=MAX_REDIRECTS {
        let host = uri.authority().map(ToString::to_string).unwrap_or_default();
        let response = transport.send(request(Method::GET, &uri, body(Bytes::new()))?, &host).await?;
        if let Some(location) = redirect(&response) {
            uri = resolve(&uri, location)?;
            continue;
        }
        let status = response.status();
        if !status.is_success() {
            _ = read_small(response, 0).await;
            return Err(ImageError::Registry(format!("{url}: {status}")));
        }
        return write(response.into_body(), url, to).await;
    }
    Err(ImageError::Registry(format!("{url}: stopped after {MAX_REDIRECTS} redirects")))
}

async fn write(mut content: hyper::body::Incoming, url: &str, to: &Path) -> Result<()> {
    let mut file = tokio::fs::File::create(to).await.map_err(doing(format!("download {url}")))?;
    let mut length = 0;
    let broken = |why: String| ImageError::Registry(format!("download {url}: {why}"));
    loop {
        let frame = match tokio::time::timeout(STALL, content.frame()).await {
            Err(_) => return Err(broken(format!("nothing came for {} s", STALL.as_secs()))),
            Ok(None) => break,
            Ok(Some(Err(e))) => return Err(broken(e.to_string())),
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(data) = frame.into_data() else { continue };
        length += data.len() as u64;
        if length > MAX_FILE {
            return Err(broken(format!("more than {} GiB", MAX_FILE >> 30)));
        }
        file.write_all(&data).await.map_err(doing(format!("download {url}")))?;
    }
    file.flush().await.map_err(doing(format!("download {url}")))
}
