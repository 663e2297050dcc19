//! Logs of containers: files of lines `<RFC 3339> stdout F <text>`, which the runtime writes and all who show logs read.
//! What is a line, where the last ones begin ([`tail`]), and who waits for more ([`Watcher`]).

mod line;
mod tail;
mod watcher;

pub use line::{Line, LogStream, ends_a_line, parse};
pub use tail::{RawLine, Tail, TailSearch, tail};
pub use watcher::Watcher;
