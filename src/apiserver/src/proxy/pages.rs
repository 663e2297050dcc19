//! Pages that pass with their links led through the proxy. Whoever is behind the proxy writes them: of a page, of what it becomes, and
//! of how many are worked on, there is no more than the daemon bears. What is more passes as it is, with its links.

use super::html;
use super::links::Origin;
use crate::{rendering, responses};
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use http::response::Parts;
use http::{HeaderMap, HeaderValue, header};
use std::error::Error;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use warp::reply::Response;

/// Of a page whose links are looked at. While it is, a tag of nothing but attributes takes some thirty times its size.
const LARGEST_PAGE: usize = 2 << 20;
/// Of what it becomes: a link of a byte becomes as long as the path to the proxy, and a client may write that as long as a request.
const LARGEST_REWRITTEN: usize = 4 * LARGEST_PAGE;
/// Pages that are held at a time, until their clients have them.
const MOST_AT_ONCE: usize = 8;
/// For a place among them.
const PATIENCE: Duration = Duration::from_secs(5);
/// A backend that takes longer holds a place that others want.
const WHOLE_WITHIN: Duration = Duration::from_secs(10);
/// A client is handed pieces that are copies: the page is held no longer than its place.
const PIECE: usize = 64 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    Plain,
    Gzip,
}

/// The places for pages.
#[derive(Clone)]
pub(crate) struct Pages {
    places: Arc<Semaphore>,
    /// One is looked at at a time.
    turn: Arc<Semaphore>,
}

impl Default for Pages {
    fn default() -> Self {
        Pages { places: Arc::new(Semaphore::new(MOST_AT_ONCE)), turn: Arc::new(Semaphore::new(1)) }
    }
}

impl Pages {
    /// The page of which `rest` is the body, with its links led through the proxy where it is one that is looked at.
    pub(super) async fn pass<S, E>(
        &self,
        mut head: Parts,
        mut rest: S,
        packing: Packing,
        origin: &Origin,
    ) -> Response
    where
        S: Stream<Item = Result<Bytes, E>> + Send + Unpin + 'static,
        E: Error + Send + Sync + 'static,
    {
        let Ok(Ok(place)) = timeout(PATIENCE, self.places.clone().acquire_owned()).await else {
            return with_body(head, rest);
        };
        let mut page = BytesMut::new();
        let collected = timeout(WHOLE_WITHIN, collect(&mut rest, &mut page)).await;
        let page = page.freeze();
        let rewritten = match &collected {
            Ok(Ok(true)) => self.rewritten(&head, &page, packing, origin).await,
            _ => None,
        };
        let Some(rewritten) = rewritten else {
            // as it came, and as it breaks off
            let broken = match collected {
                Ok(Err(error)) => Some(Err(error)),
                _ => None,
            };
            let seen = pieces(page, place).map(Ok).chain(futures::stream::iter(broken));
            return with_body(head, seen.chain(rest));
        };
        head.headers.remove(header::CONTENT_ENCODING);
        head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(rewritten.len()));
        with_body(head, pieces(rewritten, place).map(Ok::<_, std::io::Error>))
    }

    /// `None` for what is not to be changed.
    async fn rewritten(
        &self,
        head: &Parts,
        page: &Bytes,
        packing: Packing,
        origin: &Origin,
    ) -> Option<Bytes> {
        let turn = self.turn.clone().acquire_owned().await.ok()?;
        let (page, origin) = (page.clone(), origin.clone());
        let work = move || {
            let _turn = turn;
            let page = match packing {
                Packing::Plain => page,
                Packing::Gzip => Bytes::from(unpacked(&page)?),
            };
            html::rewrite(&page, LARGEST_REWRITTEN, |link| origin.through_proxy(link)).map(Bytes::from)
        };
        rendering::run(head, move |_| work()).await.ok()?
    }
}

/// How a page is packed; `None` for what is no page, is too large, or packed in a way that is not undone here.
pub(super) fn packing(headers: &HeaderMap) -> Option<Packing> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = text(header::CONTENT_TYPE).split(';').next().unwrap_or_default().trim();
    let is_large = text(header::CONTENT_LENGTH).parse::<usize>().is_ok_and(|length| length > LARGEST_PAGE);
    if media != "text/html" || is_large {
        return None;
    }
    match text(header::CONTENT_ENCODING) {
        "" => Some(Packing::Plain),
        "gzip" => Some(Packing::Gzip),
        _ => None,
    }
}

/// Says whether the page is whole: no more of it is taken than is looked at.
async fn collect<S, E>(rest: &mut S, page: &mut BytesMut) -> Result<bool, E>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    while page.len() <= LARGEST_PAGE {
        match rest.next().await {
            Some(chunk) => page.extend_from_slice(&chunk?),
            None => return Ok(true),
        }
    }
    Ok(false)
}

/// `None` for what is no gzip, or unpacks to more than a page.
fn unpacked(packed: &[u8]) -> Option<Vec<u8>> {
    let mut page = Vec::new();
    let mut reader = flate2::read::MultiGzDecoder::new(packed).take(LARGEST_PAGE as u64 + 1);
    reader.read_to_end(&mut page).ok()?;
    (page.len() <= LARGEST_PAGE).then_some(page)
}

/// The place is somebody else's when all have been taken.
fn pieces(mut whole: Bytes, place: OwnedSemaphorePermit) -> impl Stream<Item = Bytes> + Send + 'static {
    futures::stream::iter(std::iter::from_fn(move || {
        let _place = &place;
        let piece = whole.split_to(whole.len().min(PIECE));
        (!piece.is_empty()).then(|| Bytes::copy_from_slice(&piece))
    }))
}

pub(super) fn with_body<S, E>(head: Parts, body: S) -> Response
where
    S: Stream<Item = Result<Bytes, E>> + Send + 'static,
    E: Error + Send + Sync + 'static,
{
    let mut response = responses::body(body);
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers;
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;
    use http_body_util::BodyExt;
    use std::io;

    const PREFIX: &str = "/api/v1/namespaces/a/pods/b/proxy";

    fn origin(prefix: &str) -> Origin {
        Origin { prefix: prefix.to_owned(), backend: "10.1.0.5:80".to_owned(), host: "h".to_owned() }
    }

    fn head() -> Parts {
        http::Response::new(()).into_parts().0
    }

    fn whole(page: &str) -> impl Stream<Item = Result<Bytes, io::Error>> + Send + Unpin + use<> {
        let chunks: Vec<_> =
            page.as_bytes().chunks(1000).map(|part| Ok(Bytes::copy_from_slice(part))).collect();
        stream::iter(chunks)
    }

    async fn read(response: Response) -> String {
        let body = response.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn links_lead_through_the_proxy_where_the_page_does_not_become_too_large() {
        let link = "<a href=/>";
        let long = format!("/{}{PREFIX}", "/".repeat(60_000));
        for (name, links, prefix, is_rewritten) in [
            ("one link", 1, PREFIX, true),
            ("many links", 10_000, PREFIX, true),
            ("so many that they are too much", 200_000, PREFIX, false),
            ("a path as long as a request", 1000, long.as_str(), false),
            ("too large a page", LARGEST_PAGE / link.len() + 1, PREFIX, false),
        ] {
            let page = link.repeat(links);
            let passed = Pages::default().pass(head(), whole(&page), Packing::Plain, &origin(prefix)).await;
            let got = read(passed).await;
            assert_eq!(got == page, !is_rewritten, "{name}: {} bytes", got.len());
            assert_eq!(got.matches("<a ").count(), links, "{name}");
            assert!(!is_rewritten || got.starts_with(&format!("<a href=\"{PREFIX}/\">")), "{name}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_that_does_not_end_holds_up_no_other() {
        let pages = Pages::default();
        let endless =
            || stream::iter([Ok::<_, io::Error>(Bytes::from("<a href=/>"))]).chain(stream::pending());
        let mut held = Vec::new();
        for _ in 0..MOST_AT_ONCE {
            held.push(pages.pass(head(), endless(), Packing::Plain, &origin(PREFIX)).await);
        }
        // all places are taken by what nobody reads
        let passed = pages.pass(head(), whole("<a href=/>"), Packing::Plain, &origin(PREFIX)).await;
        assert_eq!(read(passed).await, "<a href=/>");
        drop(held);
        let passed = pages.pass(head(), whole("<a href=/>"), Packing::Plain, &origin(PREFIX)).await;
        assert_eq!(read(passed).await, format!("<a href=\"{PREFIX}/\">"));
    }

    #[tokio::test]
    async fn what_breaks_off_passes_as_far_as_it_came() {
        let broken = [Ok(Bytes::from("<a href=/>")), Err(io::Error::from(io::ErrorKind::ConnectionReset))];
        let passed =
            Pages::default().pass(head(), stream::iter(broken), Packing::Plain, &origin(PREFIX)).await;
        let mut body = passed.into_body();
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(first, "<a href=/>");
        assert!(body.frame().await.unwrap().is_err());
    }
}
