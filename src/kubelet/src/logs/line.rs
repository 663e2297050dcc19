//! What the user asked for, out of the lines of a log.

use cri::LogOptions;
use cri::logs::parse;
use jiff::Timestamp;

/// Turns raw lines into what the user asked for.
#[derive(Debug)]
pub struct Printer {
    timestamps: bool,
    since: Option<Timestamp>,
    left: Option<u64>,
    at_line_start: bool,
}

impl Printer {
    pub fn new(options: &LogOptions) -> Self {
        Printer {
            timestamps: options.timestamps,
            since: options.since,
            left: options.limit_bytes,
            at_line_start: true,
        }
    }

    /// As many bytes as were asked for are printed.
    pub fn is_done(&self) -> bool {
        self.left == Some(0)
    }

    pub fn print(&mut self, raw: &[u8], out: &mut Vec<u8>) {
        let Some(line) = parse(raw) else { return };
        if let Some(since) = self.since {
            match line.time.parse::<Timestamp>() {
                Ok(at) if at >= since => self.since = None,
                _ => return,
            }
        }
        let from = out.len();
        if self.timestamps && self.at_line_start {
            out.extend_from_slice(line.time.as_bytes());
            out.push(b' ');
        }
        out.extend_from_slice(line.text);
        if line.is_whole {
            out.push(b'\n');
        }
        self.at_line_start = line.is_whole;
        if let Some(left) = &mut self.left {
            let most = usize::try_from(*left).unwrap_or(usize::MAX);
            out.truncate(from.saturating_add(most));
            *left -= (out.len() - from) as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAW: &[&str] = &[
        "2026-01-01T00:00:01.5Z stdout F one",
        "2026-01-01T00:00:02Z stderr P two-",
        "cut off by a crash",
        "2026-01-01T00:00:03Z stderr F parts",
        "2026-01-01T00:00:04Z stdout F ",
        "2026-01-01T00:00:05Z stdout F with  blanks ",
    ];

    #[test]
    fn what_is_printed() {
        let since = |text: &str| Some(text.parse().unwrap());
        let all = LogOptions::default;
        let cases = [
            ("all", all(), "one\ntwo-parts\n\nwith  blanks \n"),
            (
                "timestamps once a line",
                LogOptions { timestamps: true, limit_bytes: Some(62), ..all() },
                "2026-01-01T00:00:01.5Z one\n2026-01-01T00:00:02Z two-parts\n2026",
            ),
            ("since", LogOptions { since: since("2026-01-01T00:00:04Z"), ..all() }, "\nwith  blanks \n"),
            ("since later", LogOptions { since: since("2027-01-01T00:00:00Z"), ..all() }, ""),
            ("so many bytes", LogOptions { limit_bytes: Some(6), ..all() }, "one\ntw"),
            ("none", LogOptions { limit_bytes: Some(0), ..all() }, ""),
        ];
        for (name, options, want) in cases {
            let mut printer = Printer::new(&options);
            let mut out = Vec::new();
            for raw in RAW {
                printer.print(raw.as_bytes(), &mut out);
            }
            assert_eq!(String::from_utf8_lossy(&out), want, "{name}");
        }
    }
}
