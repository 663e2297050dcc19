//! A build context that comes as an archive: `docker build - < context.tar`.

use super::Session;
use crate::meter::Meter;
use crate::proto::session::BytesMessage;
use crate::sent;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use std::io;
use std::sync::Arc;
use tokio::io::AsyncRead;
use tokio::sync::oneshot;
use tonic::metadata::MetadataValue;
use tonic::{Request, Status};

const METHOD: &str = "/moby.upload.v1.Upload/Pull";

/// Where the client said that its archive is: `http://buildkit-session/…`. Anything else is a real address.
pub(crate) fn is_upload(url: &str) -> bool {
    host_and_path(url).is_some_and(|(host, _)| host == "buildkit-session")
}

fn host_and_path(url: &str) -> Option<(&str, &str)> {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"))?;
    Some(rest.find('/').map_or((rest, ""), |at| rest.split_at(at)))
}

pub(crate) async fn pull(
    session: Arc<Session>,
    url: &str,
    meter: Arc<Meter>,
) -> Result<impl AsyncRead + Send + Unpin + 'static, Status> {
    let (host, path) =
        host_and_path(url).ok_or_else(|| Status::invalid_argument(format!("no upload: {url}")))?;
    let value =
        |text: &str| MetadataValue::try_from(text).map_err(|e| Status::invalid_argument(e.to_string()));
    // the client sends as long as nothing comes from here; the stream ends when the archive was read
    let (open, nothing) = oneshot::channel::<BytesMessage>();
    let mut request = Request::new(stream::once(nothing).filter_map(|end| std::future::ready(end.ok())));
    request.metadata_mut().insert("urlpath", value(path)?);
    request.metadata_mut().insert("urlhost", value(host)?);
    let pieces = session.talk::<_, BytesMessage>(METHOD, request).await?;
    let pieces = pieces.map_ok(|piece| Bytes::from(piece.data)).map_err(io::Error::other);
    let pieces = pieces.chain(stream::once(async move { end(open) }).filter_map(std::future::ready));
    Ok(sent::reader(pieces.boxed(), meter))
}

/// After the last piece.
fn end(open: oneshot::Sender<BytesMessage>) -> Option<io::Result<Bytes>> {
    drop(open);
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (url, want) in [
            ("http://buildkit-session/abc", true),
            ("https://buildkit-session/abc", true),
            ("http://example.com/buildkit-session", false),
            ("git@github.com:a/b", false),
            ("buildkit-session/abc", false),
        ] {
            assert_eq!(is_upload(url), want, "{url}");
        }
    }
}
