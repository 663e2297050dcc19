//! The compressed block of names and values (SPDY/3.1, section 2.6.10). One zlib stream runs through all blocks of a
//! direction, so a block can be read only after all before it.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use std::sync::LazyLock;

/// No block of a client of ours comes near: what inflates to more is an attack.
const LARGEST_BLOCK: usize = 64 * 1024;

/// Names are lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Headers(pub(crate) Vec<(String, String)>);

impl Headers {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeaderError {
    #[error("header block: {0}")]
    Zlib(String),
    #[error("header block: inflates to more than {LARGEST_BLOCK} bytes")]
    TooLarge,
    #[error("header block: broken off")]
    Short,
}

pub(crate) struct Inflater(Decompress);
pub(crate) struct Deflater(Compress);

impl Inflater {
    pub(crate) fn new() -> Self {
        Inflater(Decompress::new(true))
    }

    pub(crate) fn block(&mut self, mut packed: &[u8]) -> Result<Headers, HeaderError> {
        let bad = |e: &dyn std::fmt::Display| HeaderError::Zlib(e.to_string());
        let mut plain = Vec::with_capacity(1024);
        loop {
            let before = self.0.total_in();
            let status = match self.0.decompress_vec(packed, &mut plain, FlushDecompress::Sync) {
                Ok(status) => status,
                Err(e) if e.needs_dictionary().is_some() => {
                    self.0.set_dictionary(&DICTIONARY).map_err(|e| bad(&e))?;
                    Status::Ok
                }
                Err(e) => return Err(bad(&e)),
            };
            packed = &packed[(self.0.total_in() - before) as usize..];
            let full = plain.len() == plain.capacity();
            match status {
                Status::StreamEnd => break,
                _ if packed.is_empty() && !full => break,
                Status::BufError if !full => return Err(HeaderError::Short),
                _ if plain.len() > LARGEST_BLOCK => return Err(HeaderError::TooLarge),
                _ if full => plain.reserve(plain.len()),
                _ => {}
            }
        }
        parse(&plain)
    }
}

impl Deflater {
    pub(crate) fn new() -> Result<Self, HeaderError> {
        let mut deflate = Compress::new(Compression::fast(), true);
        deflate.set_dictionary(&DICTIONARY).map_err(|e| HeaderError::Zlib(e.to_string()))?;
        Ok(Deflater(deflate))
    }

    pub(crate) fn block(&mut self, headers: &Headers) -> Result<Vec<u8>, HeaderError> {
        let plain = write(headers);
        let mut rest = plain.as_slice();
        let mut packed = Vec::with_capacity(plain.len() + 64);
        loop {
            let before = self.0.total_in();
            self.0
                .compress_vec(rest, &mut packed, FlushCompress::Sync)
                .map_err(|e| HeaderError::Zlib(e.to_string()))?;
            rest = &rest[(self.0.total_in() - before) as usize..];
            if rest.is_empty() && packed.len() < packed.capacity() {
                return Ok(packed);
            }
            packed.reserve(packed.len().max(64));
        }
    }
}

fn parse(mut plain: &[u8]) -> Result<Headers, HeaderError> {
    let count = number(&mut plain)?;
    let mut headers = Vec::new();
    for _ in 0..count {
        let name = text(&mut plain)?.to_ascii_lowercase();
        headers.push((name, text(&mut plain)?));
    }
    Ok(Headers(headers))
}

fn number(plain: &mut &[u8]) -> Result<u32, HeaderError> {
    let (head, rest) = plain.split_first_chunk::<4>().ok_or(HeaderError::Short)?;
    *plain = rest;
    Ok(u32::from_be_bytes(*head))
}

fn text(plain: &mut &[u8]) -> Result<String, HeaderError> {
    let length = number(plain)? as usize;
    let (text, rest) = plain.split_at_checked(length).ok_or(HeaderError::Short)?;
    *plain = rest;
    Ok(String::from_utf8_lossy(text).into_owned())
}

fn write(headers: &Headers) -> Vec<u8> {
    let mut plain = Vec::new();
    plain.extend_from_slice(&(headers.0.len() as u32).to_be_bytes());
    for text in headers.0.iter().flat_map(|(name, value)| [name, value]) {
        plain.extend_from_slice(&(text.len() as u32).to_be_bytes());
        plain.extend_from_slice(text.as_bytes());
    }
    plain
}

/// Both ends begin with it in their window: words, each led by its length as in a block, then bare text.
static DICTIONARY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut dictionary = Vec::with_capacity(1423);
    for word in WORDS {
        dictionary.extend_from_slice(&(word.len() as u32).to_be_bytes());
        dictionary.extend_from_slice(word.as_bytes());
    }
    dictionary.extend_from_slice(TAIL.as_bytes());
    dictionary
});

#[rustfmt::skip]
const WORDS: &[&str] = &[
    "options", "head", "post", "put", "delete", "trace", "accept", "accept-charset", "accept-encoding",
    "accept-language", "accept-ranges", "age", "allow", "authorization", "cache-control", "connection", "content-base",
    "content-encoding", "content-language", "content-length", "content-location", "content-md5", "content-range",
    "content-type", "date", "etag", "expect", "expires", "from", "host", "if-match", "if-modified-since",
    "if-none-match", "if-range", "if-unmodified-since", "last-modified", "location", "max-forwards", "pragma",
    "proxy-authenticate", "proxy-authorization", "range", "referer", "retry-after", "server", "te", "trailer",
    "transfer-encoding", "upgrade", "user-agent", "vary", "via", "warning", "www-authenticate", "method", "get",
    "status", "200 OK", "version", "HTTP/1.1", "url", "public", "set-cookie", "keep-alive", "origin",
];

const TAIL: &str = "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505\
    203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden\
    404 Not Found500 Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug \
    Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,\
    application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdch\
    charset=utf-8charset=iso-8859-1,utf-,*,enq=0.";

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> Headers {
        Headers(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
    }

    /// RFC 1950's checksum, by which both ends name the dictionary.
    fn adler32(bytes: &[u8]) -> u32 {
        let (a, b) = bytes.iter().fold((1u32, 0u32), |(a, b), byte| {
            let a = (a + u32::from(*byte)) % 65521;
            (a, (b + a) % 65521)
        });
        b << 16 | a
    }

    #[test]
    fn the_dictionary_is_the_one_of_spdy_3() {
        assert_eq!(DICTIONARY.len(), 1423);
        assert_eq!(adler32(&DICTIONARY), 0xe3c6_a7c2);
    }

    #[test]
    fn blocks_come_back_in_their_order() {
        let (mut deflate, mut inflate) = (Deflater::new().unwrap(), Inflater::new());
        let long = "x".repeat(20_000);
        for block in [
            headers(&[("streamtype", "error"), ("port", "8080"), ("requestid", "0")]),
            headers(&[("streamtype", "data"), ("port", "8080"), ("requestid", "0")]),
            headers(&[]),
            headers(&[("long", &long)]),
            headers(&[("streamtype", "data")]),
        ] {
            let packed = deflate.block(&block).unwrap();
            assert_eq!(inflate.block(&packed).unwrap(), block);
        }
    }

    #[test]
    fn a_bomb_is_not_inflated() {
        let bomb = headers(&[("a", &"\0".repeat(LARGEST_BLOCK * 16))]);
        let packed = Deflater::new().unwrap().block(&bomb).unwrap();
        assert!(packed.len() < LARGEST_BLOCK);
        assert_eq!(Inflater::new().block(&packed), Err(HeaderError::TooLarge));
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(matches!(Inflater::new().block(b"not zlib"), Err(HeaderError::Zlib(_))));
        assert_eq!(parse(&[0, 0, 0, 1, 0, 0, 0, 9, b'x']), Err(HeaderError::Short));
        assert_eq!(parse(&[0xff, 0xff, 0xff, 0xff]), Err(HeaderError::Short));
    }
}
