//! One line of a container's log.

/// Where the container wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStream {
    Stdout,
    Stderr,
}

/// One line of a log file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line<'a> {
    /// As it stands there.
    pub time: &'a str,
    pub stream: LogStream,
    /// False where the text goes on in the next line.
    pub is_whole: bool,
    pub text: &'a [u8],
}

/// `None` for what is no line of this format (a crash cut it).
pub fn parse(raw: &[u8]) -> Option<Line<'_>> {
    let mut parts = raw.splitn(4, |b| *b == b' ');
    let time = std::str::from_utf8(parts.next()?).ok()?;
    let stream = match parts.next()? {
        b"stdout" => LogStream::Stdout,
        b"stderr" => LogStream::Stderr,
        _ => return None,
    };
    // tags are separated by colons, the first says whether it is partial
    let is_whole = parts.next()?.split(|b| *b == b':').next()? != b"P";
    Some(Line { time, stream, is_whole, text: parts.next().unwrap_or_default() })
}

/// Whether a raw line ends a line of the container's output.
pub fn ends_a_line(raw: &[u8]) -> bool {
    parse(raw).is_none_or(|line| line.is_whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_a_log() {
        let line = |stream, is_whole, text: &'static str| {
            Some(Line { time: "2026Z", stream, is_whole, text: text.as_bytes() })
        };
        for (raw, want) in [
            ("2026Z stdout F one", line(LogStream::Stdout, true, "one")),
            ("2026Z stderr P two-", line(LogStream::Stderr, false, "two-")),
            ("2026Z stderr P:x two-", line(LogStream::Stderr, false, "two-")),
            ("2026Z stdout F  with  blanks ", line(LogStream::Stdout, true, " with  blanks ")),
            ("2026Z stdout F", line(LogStream::Stdout, true, "")),
            ("2026Z stdlog F x", None),
            ("cut off by a crash", None),
            ("2026Z stdout", None),
        ] {
            assert_eq!(parse(raw.as_bytes()), want, "{raw}");
            assert_eq!(ends_a_line(raw.as_bytes()), want.is_none_or(|line| line.is_whole), "{raw}");
        }
    }
}
