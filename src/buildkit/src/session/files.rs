//! Directories of the client: the build context, named contexts, the Dockerfile.

use super::Session;
use super::transfer::Transfer;
use crate::meter::Meter;
use crate::proto::session::Packet;
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;
use tokio_util::io::StreamReader;
use tonic::metadata::{MetadataKey, MetadataValue};
use tonic::{Request, Status};

const METHOD: &str = "/moby.filesync.v1.FileSync/DiffCopy";
/// Pieces of the tar that wait for their reader.
const PENDING: usize = 16;
/// Of a Dockerfile and what belongs to it.
const MAX_SMALL: u64 = 16 << 20;
/// As many links as Linux follows.
const MAX_LINKS: usize = 40;

/// Which files of which directory.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Wanted {
    /// The name that the client knows the directory by: `context`, `dockerfile`.
    pub(crate) directory: String,
    /// As `.dockerignore` has them.
    pub(crate) exclude: Vec<String>,
    /// Only these, and what links lead to from them.
    pub(crate) follow: Vec<String>,
}

impl Wanted {
    fn request<T>(&self, body: T) -> Result<Request<T>, Status> {
        let mut request = Request::new(body);
        let lists = [
            ("dir-name", std::slice::from_ref(&self.directory)),
            ("exclude-patterns", &self.exclude[..]),
            ("followpaths", &self.follow[..]),
        ];
        for (key, values) in lists {
            let is_encoded = values.iter().any(|value| !value.is_ascii());
            for value in values {
                let value = match is_encoded {
                    true => utf8_percent_encode(value, NON_ALPHANUMERIC).to_string(),
                    false => value.clone(),
                };
                request.metadata_mut().append(key, text(value)?);
            }
            if is_encoded {
                let key = MetadataKey::from_bytes(format!("{key}-encoded").as_bytes());
                let key = key.map_err(|e| Status::internal(e.to_string()))?;
                request.metadata_mut().insert(key, MetadataValue::from_static("1"));
            }
        }
        Ok(request)
    }
}

fn text(value: String) -> Result<MetadataValue<tonic::metadata::Ascii>, Status> {
    MetadataValue::try_from(&value)
        .map_err(|_| Status::invalid_argument(format!("{value:?} can not be said to the client")))
}

/// The files as a tar, as they come.
pub(crate) async fn receive(
    session: Arc<Session>,
    wanted: &Wanted,
    meter: Arc<Meter>,
) -> Result<impl AsyncRead + Send + Unpin + 'static, Status> {
    if !session.offers(METHOD) {
        return Err(Status::failed_precondition("no local sources enabled"));
    }
    let (ask, asked) = mpsc::unbounded_channel();
    let asked = stream::unfold(asked, |mut asked| async move { Some((asked.recv().await?, asked)) });
    let answers = session.talk::<Packet, Packet>(METHOD, wanted.request(asked)?).await?;
    let (give, given) = mpsc::channel(PENDING);
    tokio::spawn(async move {
        let carried = tokio::select! {
            carried = carry(answers, ask, &give, &meter) => carried,
            // whoever wanted the files went away: so does the stream
            () = give.closed() => return,
        };
        match carried {
            Ok(()) => meter.whole(),
            Err(why) => {
                meter.failed(&why);
                let _ = give.send(Err(io::Error::other(why))).await;
            }
        }
    });
    let given = stream::unfold(given, |mut given| async move { Some((given.recv().await?, given)) });
    Ok(StreamReader::new(Box::pin(given)))
}

async fn carry(
    answers: impl Stream<Item = Result<Packet, Status>>,
    ask: mpsc::UnboundedSender<Packet>,
    give: &mpsc::Sender<io::Result<Bytes>>,
    meter: &Meter,
) -> Result<(), String> {
    let mut transfer = Transfer::default();
    let mut answers = std::pin::pin!(answers);
    while let Some(packet) = answers.next().await {
        let packet = packet.map_err(|status| status.message().to_owned())?;
        meter.add(prost::Message::encoded_len(&packet) as u64);
        let out = transfer.take(packet)?;
        for packet in out.packets {
            // a client that is gone is noticed above
            let _ = ask.send(packet);
        }
        for piece in out.tar {
            if give.send(Ok(piece)).await.is_err() {
                return Ok(());
            }
        }
        if out.is_whole {
            return Ok(());
        }
    }
    Err("the client went away in the middle of its files".to_owned())
}

/// Some small files, by their names; what is not there is missing.
pub(crate) async fn small(
    session: Arc<Session>,
    wanted: &Wanted,
    meter: Arc<Meter>,
) -> Result<BTreeMap<String, Vec<u8>>, Status> {
    let mut tar = Vec::new();
    let files = receive(session, wanted, meter).await?;
    let read = files.take(MAX_SMALL).read_to_end(&mut tar).await;
    read.map_err(|e| Status::unknown(e.to_string()))?;
    pick(&tar, &wanted.follow).map_err(|e| Status::unknown(format!("read {}: {e}", wanted.directory)))
}

enum Found {
    File(Vec<u8>),
    Link(String),
}

fn pick(tar: &[u8], names: &[String]) -> io::Result<BTreeMap<String, Vec<u8>>> {
    let mut found: BTreeMap<String, Found> = BTreeMap::new();
    for entry in tar::Archive::new(tar).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.to_string_lossy().into_owned();
        match entry.header().entry_type() {
            tar::EntryType::Regular => {
                let mut content = Vec::new();
                entry.read_to_end(&mut content)?;
                found.insert(path, Found::File(content));
            }
            tar::EntryType::Symlink | tar::EntryType::Link => {
                let is_hard = entry.header().entry_type() == tar::EntryType::Link;
                let target = entry.link_name()?.map(|target| target.to_string_lossy().into_owned());
                let target = target.unwrap_or_default();
                let target = if is_hard { target } else { beside(&path, &target) };
                found.insert(path, Found::Link(target));
            }
            _ => {}
        }
    }
    let contents = names.iter().filter_map(|name| Some((name.clone(), follow(&found, name)?.to_vec())));
    Ok(contents.collect())
}

fn follow<'f>(found: &'f BTreeMap<String, Found>, name: &str) -> Option<&'f [u8]> {
    let mut name = name.strip_prefix("./").unwrap_or(name);
    for _ in 0..MAX_LINKS {
        match found.get(name)? {
            Found::File(content) => return Some(content),
            Found::Link(target) => name = target,
        }
    }
    None
}

/// What a link in a directory leads to, the directory being the root of everything.
fn beside(link: &str, target: &str) -> String {
    let directory = link.rsplit_once('/').map_or("", |(directory, _)| directory);
    let start = if target.starts_with('/') { "" } else { directory };
    let mut names: Vec<&str> = Vec::new();
    for name in start.split('/').chain(target.split('/')) {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    names.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_inside_of_the_directory() {
        for (link, target, want) in [
            ("Dockerfile", "real", "real"),
            ("a/Dockerfile", "../b/real", "b/real"),
            ("Dockerfile", "../../etc/passwd", "etc/passwd"),
            ("a/b", "/top", "top"),
        ] {
            assert_eq!(beside(link, target), want, "{link} -> {target}");
        }
        let file = |text: &str| Found::File(text.as_bytes().to_vec());
        let found = BTreeMap::from([
            ("x".to_owned(), Found::Link("y".into())),
            ("y".to_owned(), file("content")),
            ("loop".to_owned(), Found::Link("loop".into())),
        ]);
        assert_eq!(follow(&found, "x"), Some(&b"content"[..]));
        assert_eq!(follow(&found, "./y"), Some(&b"content"[..]));
        assert_eq!((follow(&found, "loop"), follow(&found, "none")), (None, None));
    }

    #[test]
    fn what_is_wanted_is_said_in_the_metadata() {
        let wanted = Wanted {
            directory: "context".into(),
            exclude: vec!["a".into(), "ä b".into()],
            ..Wanted::default()
        };
        let request = wanted.request(()).unwrap();
        let all = |key: &str| {
            request.metadata().get_all(key).iter().map(|v| v.to_str().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(all("dir-name"), ["context"]);
        assert_eq!(all("exclude-patterns"), ["a", "%C3%A4%20b"]);
        assert_eq!((all("exclude-patterns-encoded"), all("dir-name-encoded")), (vec!["1"], vec![]));
    }
}
