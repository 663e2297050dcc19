//! Interim answers (RFC 9110, 15.2). A server may send any number of them before its answer, and the library looks at all that have come
//! without a break: a pod or a registry that went on with them held every other part of the process up.

use std::io;

/// For one request; Go's clients take five. Each is as much work as a request, and has fourteen bytes.
const MOST: usize = 32;
/// How the first line of one begins, as far as its status tells that it is one.
const BEGINNING: usize = b"HTTP/1.1 1".len();

/// What a server has said to a request so far.
#[derive(Default)]
pub struct Interim {
    count: usize,
    at: At,
}

enum At {
    /// In a line, of whose beginning this has come. Of which head a line is does not count: what is left of an answer that came before all
    /// was sent may stand in front. No field has a `/` in its name, so none begins as an answer does.
    Line(Vec<u8>),
    /// From here on the server may say as much as it likes.
    Answer,
}

impl Default for At {
    fn default() -> Self {
        At::Line(Vec::with_capacity(BEGINNING))
    }
}

impl Interim {
    /// Whether the answer itself has begun.
    pub fn is_over(&self) -> bool {
        matches!(self.at, At::Answer)
    }

    /// # Errors
    /// There are too many.
    pub fn hear(&mut self, bytes: &[u8]) -> io::Result<()> {
        for &byte in bytes {
            match (&mut self.at, byte) {
                (At::Answer, _) => return Ok(()),
                (At::Line(line), b'\n') => line.clear(),
                (At::Line(line), _) if line.len() < BEGINNING => {
                    line.push(byte);
                    if line.len() == BEGINNING && line.starts_with(b"HTTP/1.") {
                        match line.ends_with(b" 1") {
                            true => self.count += 1,
                            false => self.at = At::Answer,
                        }
                    }
                }
                (At::Line(_), _) => {}
            }
            if self.count > MOST {
                return Err(too_much());
            }
        }
        Ok(())
    }
}

pub(crate) fn too_much() -> io::Error {
    io::Error::other("it says too much before it answers")
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERIM: &str = "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n";
    const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n";

    #[test]
    fn interim_answers_are_counted_until_there_is_one() {
        let few = INTERIM.repeat(MOST);
        for (name, said, want) in [
            ("at once", ANSWER.to_owned(), Some(true)),
            ("nothing", String::new(), Some(false)),
            ("after a few", format!("{few}{ANSWER}"), Some(true)),
            ("after too many", format!("{few}{INTERIM}{ANSWER}"), None),
            ("without fields", "HTTP/1.0 100 \n\n".repeat(MOST + 1), None),
            ("with empty lines between", format!("{INTERIM}\r\n").repeat(MOST + 1), None),
            ("what only looks like some", format!("{ANSWER}{}", INTERIM.repeat(MOST * 2)), Some(true)),
            ("what is no answer", "hello, there\r\n".repeat(MOST * 2), Some(false)),
            ("behind what is left of an answer", format!("H{}", INTERIM.repeat(MOST + 2)), None),
            ("an answer behind it", format!("H\r\n{few}{ANSWER}"), Some(true)),
        ] {
            for size in [1, 7, 1000] {
                let mut heard = Interim::default();
                let all = said.as_bytes().chunks(size).try_for_each(|piece| heard.hear(piece));
                assert_eq!(all.ok().map(|()| heard.is_over()), want, "{name} by {size}");
            }
        }
    }
}
