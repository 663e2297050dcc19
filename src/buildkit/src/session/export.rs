//! Results that go to the client: a tar into a file of its, or files into a directory.

use super::Session;
use super::packing::go_mode;
use crate::proto::session::{BytesMessage, Packet, PacketType, Stat};
use futures::{StreamExt, stream};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;
use tokio_util::io::ReaderStream;
use tonic::metadata::MetadataValue;
use tonic::{Request, Status};

const METHOD: &str = "/moby.filesync.v1.FileSend/DiffCopy";
const CHUNK: usize = 128 << 10;
/// Packets that wait for the client.
const PENDING: usize = 32;

fn request<T>(exporter: usize, body: T) -> Request<T> {
    let mut request = Request::new(body);
    request.metadata_mut().insert("buildkit-attachable-exporter-id", MetadataValue::from(exporter as u64));
    request
}

fn check(session: &Session) -> Result<(), Status> {
    match session.offers(METHOD) {
        true => Ok(()),
        false => Err(Status::failed_precondition(format!("method {METHOD} not supported by the client"))),
    }
}

/// `exporter` is its place in the request.
pub(crate) async fn file(
    session: &Session,
    exporter: usize,
    from: impl AsyncRead + Send + 'static,
) -> Result<(), Status> {
    check(session)?;
    // what can not be read any more is its writer's to tell
    let pieces = ReaderStream::with_capacity(from, CHUNK)
        .scan((), |(), read| std::future::ready(read.ok().map(|data| BytesMessage { data: data.to_vec() })));
    let mut answers = session.talk::<_, BytesMessage>(METHOD, request(exporter, pieces)).await?;
    // the client says nothing but that it is done
    while answers.message().await?.is_some() {}
    Ok(())
}

/// One file of a directory to be sent: parents first, names in order.
pub(crate) struct Item {
    /// From the directory on.
    pub(crate) path: String,
    /// Where it lies.
    pub(crate) source: PathBuf,
}

/// fsutil's protocol as its sender.
pub(crate) async fn directory(
    session: Arc<Session>,
    exporter: usize,
    items: Vec<Item>,
) -> Result<(), Status> {
    check(&session)?;
    let (give, given) = mpsc::channel(PENDING);
    let given = stream::unfold(given, |mut given| async move { Some((given.recv().await?, given)) });
    let answers = session.talk::<Packet, Packet>(METHOD, request(exporter, given));
    let told = async {
        for item in &items {
            let stat = stat(item).map_err(|e| Status::unknown(format!("{}: {e}", item.path)))?;
            let packet = Packet { stat: Some(stat), ..Packet::new(PacketType::Stat) };
            send(&give, packet).await?;
        }
        send(&give, Packet::new(PacketType::Stat)).await
    };
    let (answers, told) = tokio::join!(answers, told);
    let mut answers = answers?;
    told?;
    while let Some(packet) = answers.message().await? {
        match PacketType::try_from(packet.r#type) {
            Ok(PacketType::Req) => content(&give, packet.id, &items).await?,
            Ok(PacketType::Fin) => {
                send(&give, Packet::new(PacketType::Fin)).await?;
                drop(give);
                while answers.message().await?.is_some() {}
                return Ok(());
            }
            Ok(PacketType::Err) => {
                let why = String::from_utf8_lossy(&packet.data).into_owned();
                return Err(Status::unknown(format!("error from receiver: {why}")));
            }
            _ => return Err(Status::unknown("unexpected packet from receiver")),
        }
    }
    Err(Status::unavailable("the client went away in the middle of its files"))
}

async fn send(give: &mpsc::Sender<Packet>, packet: Packet) -> Result<(), Status> {
    give.send(packet).await.map_err(|_| Status::unavailable("the client went away"))
}

async fn content(give: &mpsc::Sender<Packet>, id: u32, items: &[Item]) -> Result<(), Status> {
    let item = usize::try_from(id).ok().and_then(|at| items.get(at));
    let item = item.ok_or_else(|| Status::unknown(format!("invalid file id {id}")))?;
    let failed = |e: io::Error| Status::unknown(format!("{}: {e}", item.path));
    let mut file = tokio::fs::File::open(&item.source).await.map_err(failed)?;
    loop {
        let mut data = bytes::BytesMut::with_capacity(CHUNK);
        let read = file.read_buf(&mut data).await.map_err(failed)?;
        // an empty piece is the end
        send(give, Packet { id, data: data.freeze(), ..Packet::new(PacketType::Data) }).await?;
        if read == 0 {
            return Ok(());
        }
    }
}

pub(crate) fn stat(item: &Item) -> io::Result<Stat> {
    let meta = std::fs::symlink_metadata(&item.source)?;
    let linkname = match meta.is_symlink() {
        true => std::fs::read_link(&item.source)?.to_string_lossy().into_owned(),
        false => String::new(),
    };
    Ok(Stat {
        path: item.path.clone(),
        mode: go_mode(meta.mode()),
        uid: meta.uid(),
        gid: meta.gid(),
        size: if meta.is_file() { meta.size() as i64 } else { 0 },
        mod_time: meta.mtime().saturating_mul(1_000_000_000).saturating_add(meta.mtime_nsec()),
        linkname,
        ..Stat::default()
    })
}
