//! Why the store refused, what kind of refusal it is, and how an error passes through readers that know only `io::Error`.

use crate::printable::one_line;
use cri::CriError;
use std::fmt::Display;
use std::io;
use tokio::task::JoinError;

pub type Result<T, E = ImageError> = std::result::Result<T, E>;

/// Why the store refused. The text says what, which and why, in the words that Docker and containerd use where they
/// have some. `Clone`, because several pulls may wait for one download.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// Not an image reference at all.
    #[error("{0}")]
    InvalidName(String),
    #[error("no such image: {0}")]
    NotFound(String),
    /// The registry does not know the name, or will not say.
    #[error("{0}")]
    Unknown(String),
    /// The registry refused these credentials, or wants some.
    #[error("{0}")]
    Unauthorized(String),
    /// The network or the registry failed; may work later.
    #[error("{}", one_line(.0))]
    Registry(String),
    /// What came in is broken or hostile: a wrong digest, an escaping path, a bomb.
    #[error("{}", one_line(.0))]
    Refused(String),
    #[error("{0}")]
    InUse(String),
    #[error("{}: {}", one_line(.doing), one_line(.why))]
    Io { doing: String, why: String },
    #[error("{what}: {source}")]
    In { what: String, source: Box<ImageError> },
}

impl ImageError {
    /// `unpack layer 4b0a…: no space left on device`
    pub(crate) fn io(doing: impl Display, why: impl Display) -> Self {
        let why = why.to_string();
        let plain = [NO_SPACE, QUOTA].into_iter().find(|plain| why.to_ascii_lowercase().starts_with(plain));
        ImageError::Io { doing: doing.to_string(), why: plain.map_or(why, str::to_owned) }
    }

    /// Whether the disk, or a quota, has no more room.
    pub fn is_full_disk(&self) -> bool {
        matches!(self.root(), ImageError::Io { why, .. } if why == NO_SPACE || why == QUOTA)
    }

    /// Says what was being done; what kind of error it is stays.
    pub(crate) fn within(self, what: impl Display) -> Self {
        ImageError::In { what: what.to_string(), source: Box::new(self) }
    }

    /// The error without what was being done.
    pub fn root(&self) -> &ImageError {
        match self {
            ImageError::In { source, .. } => source.root(),
            other => other,
        }
    }
}

/// For `map_err`: turns an I/O error into one that says what was being done.
pub(crate) fn doing<E: Display>(what: impl Display) -> impl FnOnce(E) -> ImageError {
    move |why| ImageError::io(what, why)
}

/// In the kernel's words, without Rust's number.
const NO_SPACE: &str = "no space left on device";
const QUOTA: &str = "disk quota exceeded";

/// An [`ImageError`] that has to travel through a `Read`, and comes out of it whole.
pub(crate) fn through_io(error: ImageError) -> io::Error {
    io::Error::other(error)
}

pub(crate) fn out_of_io(what: &str, error: io::Error) -> ImageError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<ImageError>()) {
        Some(inner) => inner.clone(),
        None if error.raw_os_error().is_some() => ImageError::io(what, error),
        // anything else was said by a decoder or the tar reader about what it read
        None => ImageError::Refused(format!("{what}: {error}")),
    }
}

/// A bug of ours, met by work that was done where it may block.
impl From<JoinError> for ImageError {
    fn from(error: JoinError) -> Self {
        ImageError::io("work in the background", error)
    }
}

impl From<ImageError> for CriError {
    fn from(error: ImageError) -> CriError {
        let text = error.to_string();
        match error.root() {
            ImageError::InvalidName(_) => CriError::InvalidImageName(text),
            ImageError::NotFound(_) => CriError::NotFound(text),
            ImageError::Unauthorized(_) => CriError::Unauthorized(text),
            ImageError::Unknown(_) | ImageError::Registry(_) | ImageError::Refused(_) => {
                CriError::PullFailed(text)
            }
            ImageError::InUse(_) | ImageError::Io { .. } | ImageError::In { .. } => CriError::Failed(text),
        }
    }
}
