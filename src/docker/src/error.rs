//! What went wrong, as Docker's clients want to hear it: a status and `{"message": …}`.

use cri::CriError;
use http::StatusCode;
use image::{BuildError, ImageError};
use std::fmt::Display;
use tokio::task::JoinError;

pub(crate) type Result<T, E = ApiError> = std::result::Result<T, E>;

#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
}

impl ApiError {
    fn new(status: StatusCode, message: impl Display) -> Self {
        ApiError { status, message: message.to_string() }
    }

    pub(crate) fn bad(message: impl Display) -> Self {
        ApiError::new(StatusCode::BAD_REQUEST, message)
    }

    pub(crate) fn not_found(message: impl Display) -> Self {
        ApiError::new(StatusCode::NOT_FOUND, message)
    }

    pub(crate) fn conflict(message: impl Display) -> Self {
        ApiError::new(StatusCode::CONFLICT, message)
    }

    pub(crate) fn forbidden(message: impl Display) -> Self {
        ApiError::new(StatusCode::FORBIDDEN, message)
    }

    pub(crate) fn failed(doing: impl Display, why: impl Display) -> Self {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, format_args!("{doing}: {why}"))
    }

    pub(crate) fn internal(message: impl Display) -> Self {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    pub(crate) fn not_implemented(message: impl Display) -> Self {
        ApiError::new(StatusCode::NOT_IMPLEMENTED, message)
    }

    pub(crate) fn no_container(name: &str) -> Self {
        ApiError::not_found(format_args!("No such container: {name}"))
    }
}

/// A bug of ours, met by work that was done where it may block.
impl From<JoinError> for ApiError {
    fn from(error: JoinError) -> ApiError {
        ApiError::failed("the engine's own fault", error)
    }
}

impl From<CriError> for ApiError {
    fn from(error: CriError) -> Self {
        let status = match &error {
            CriError::NotFound(_) => StatusCode::NOT_FOUND,
            CriError::AlreadyExists(_) => StatusCode::CONFLICT,
            CriError::Invalid(_) | CriError::InvalidImageName(_) => StatusCode::BAD_REQUEST,
            CriError::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            CriError::PullFailed(_)
            | CriError::DeadlineExceeded(_)
            | CriError::CommandTimedOut { .. }
            | CriError::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        ApiError::new(status, error)
    }
}

impl From<ImageError> for ApiError {
    fn from(error: ImageError) -> Self {
        let (status, message) = match error.root() {
            ImageError::NotFound(name) => (StatusCode::NOT_FOUND, format!("No such image: {name}")),
            ImageError::InvalidName(why) => (StatusCode::BAD_REQUEST, words_for_name(why).to_owned()),
            ImageError::Unknown(_) => (StatusCode::NOT_FOUND, error.to_string()),
            ImageError::Unauthorized(_) => (StatusCode::UNAUTHORIZED, error.to_string()),
            ImageError::InUse(_) => (StatusCode::CONFLICT, format!("conflict: {error}")),
            ImageError::Refused(_) => (StatusCode::BAD_REQUEST, error.to_string()),
            _ => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        };
        ApiError { status, message }
    }
}

/// Docker tells no more of what is wrong with a name than this.
fn words_for_name(why: &str) -> &str {
    const FORMAT: &str = "invalid reference format";
    match why.strip_prefix(FORMAT).map(|rest| rest.trim_start_matches(": ")) {
        Some(rest) if rest.starts_with("tag ") => "invalid tag format",
        Some(rest) if rest.starts_with("repository name must not be more than") => rest,
        Some(rest) if rest.ends_with("must be lowercase") => why,
        Some(_) => FORMAT,
        None => why,
    }
}

impl From<BuildError> for ApiError {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Image(error) => error.into(),
            BuildError::Runtime(error) => error.into(),
            BuildError::Parse { .. } | BuildError::NoTarget(_) => ApiError::bad(error),
            _ => ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::ImageRef;

    #[test]
    fn a_target_that_is_not_there_is_the_client_s_fault() {
        let refusal = ApiError::from(BuildError::NoTarget("none".to_owned()));
        let want = (400, "target stage \"none\" could not be found");
        assert_eq!((refusal.status.as_u16(), refusal.message.as_str()), want);
    }

    #[test]
    fn what_is_wrong_with_a_name() {
        let (long, hex) = ("a".repeat(256), "ab".repeat(32));
        let hex_words =
            format!("invalid repository name ({hex}), cannot specify 64-byte hexadecimal strings");
        for (name, want) in [
            ("Busybox", "invalid reference format: repository name (library/Busybox) must be lowercase"),
            ("a b", "invalid reference format"),
            ("", "invalid reference format"),
            ("a--", "invalid reference format"),
            ("busybox:-x", "invalid tag format"),
            (&format!("busybox:{}", "x".repeat(129)), "invalid tag format"),
            (&long, "repository name must not be more than 255 characters"),
            (&hex, &hex_words),
        ] {
            let refusal = ApiError::from(ImageRef::parse(name).unwrap_err());
            assert_eq!((refusal.status.as_u16(), refusal.message.as_str()), (400, want), "{name}");
        }
    }
}
