//! How often a request came by here. A slice that somebody wrote may name the very address at which ingresses are served: each
//! request would then be one of the next, until all that may be open are open. Pure.

use http::{HeaderMap, HeaderName, HeaderValue};

/// RFC 8586, which is about the same.
const HEADER: HeaderName = HeaderName::from_static("cdn-loop");
const NAME: &str = "monopod";
/// A pod behind one host may ask another host for something with its client's headers, and that one a third.
const MOST: usize = 8;

/// It has come by too often.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Endless;

pub(crate) fn add_one(headers: &mut HeaderMap) -> Result<(), Endless> {
    let values = headers.get_all(HEADER).iter().filter_map(|value| value.to_str().ok());
    let names = values.flat_map(|value| value.split(',')).filter_map(|one| one.split(';').next());
    if names.filter(|name| name.trim().eq_ignore_ascii_case(NAME)).count() >= MOST {
        return Err(Endless);
    }
    headers.append(HEADER, HeaderValue::from_static(NAME));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_comes_by_a_few_times() {
        let mut headers = HeaderMap::new();
        headers.append(HEADER, HeaderValue::from_static("other, monopods;a=b"));
        for _ in 0..MOST {
            assert_eq!(add_one(&mut headers), Ok(()));
        }
        assert_eq!(add_one(&mut headers), Err(Endless));
        headers.insert(HEADER, HeaderValue::from_static("a, Monopod;v=1,monopod,monopod, monopod"));
        headers.append(HEADER, HeaderValue::from_static("monopod,monopod,monopod"));
        assert_eq!(add_one(&mut headers), Ok(()));
        assert_eq!(add_one(&mut headers), Err(Endless));
    }
}
