//! The headers by which a client says what it takes, and what it has already, whatever it is that is offered (RFC 9110, sections
//! 12.5 and 13.1.2).

/// One alternative of an `Accept` header.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Clause<'a> {
    pub(super) media: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
    quality: f32,
}

impl Clause<'_> {
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    pub(super) fn takes(&self, media: &str) -> bool {
        match self.media.strip_suffix("/*") {
            Some("*") => true,
            Some(kind) => media.strip_prefix(kind).is_some_and(|rest| rest.starts_with('/')),
            None => self.media.eq_ignore_ascii_case(media),
        }
    }

    /// 2 for one media type, less for a range of them.
    fn precision(&self) -> u8 {
        match self.media.strip_suffix("/*") {
            Some("*") => 0,
            Some(_) => 1,
            None => 2,
        }
    }
}

/// The header's alternatives, the dearest first, of equals the more precise ones, then in their order (RFC 9110, section 12.5.1, and
/// upstream's `goautoneg`). An empty header takes all.
pub(super) fn clauses(accept: &str) -> Vec<Clause<'_>> {
    let accept = if accept.trim().is_empty() { "*/*" } else { accept };
    let mut clauses: Vec<Clause<'_>> =
        accept.split(',').filter_map(clause).filter(|c| c.quality > 0.0).collect();
    clauses.sort_by(|a, b| {
        let by_quality = b.quality.total_cmp(&a.quality);
        by_quality.then_with(|| b.precision().cmp(&a.precision()))
    });
    clauses
}

fn clause(text: &str) -> Option<Clause<'_>> {
    let mut parts = text.split(';').map(str::trim);
    let media = parts.next().filter(|media| !media.is_empty())?;
    let parameters: Vec<(&str, &str)> = parts
        .filter_map(|p| p.split_once('='))
        .map(|(k, v)| (k.trim(), v.trim().trim_matches('"')))
        .collect();
    let quality = parameters.iter().find(|(name, _)| *name == "q").and_then(|(_, value)| value.parse().ok());
    Some(Clause { media, parameters, quality: quality.unwrap_or(1.0) })
}

/// The offer that the client likes best; among equals the first offer.
pub(crate) fn first_of<'o>(accept: &str, offers: &[&'o str]) -> Option<&'o str> {
    clauses(accept).iter().find_map(|clause| offers.iter().find(|offer| clause.takes(offer)).copied())
}

/// `Accept-Encoding` has the form of `Accept`, but `*` stands for what is not named (RFC 9110, section 12.5.3), and nothing is taken
/// where the header is not there.
pub(crate) fn takes_gzip(accept_encoding: &str) -> bool {
    let quality_of = |coding: &str| {
        let mut codings = accept_encoding.split(',').filter_map(clause);
        codings.find(|known| known.media.eq_ignore_ascii_case(coding)).map(|known| known.quality)
    };
    quality_of("gzip").or_else(|| quality_of("*")).is_some_and(|quality| quality > 0.0)
}

/// Whether the client has the entity already, as its `If-None-Match` says.
pub(crate) fn is_known(if_none_match: &str, etag: &str) -> bool {
    if_none_match
        .split(',')
        .map(str::trim)
        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_is_chosen_by_the_client() {
        let (json, proto) = ("application/json", "application/x@v1.0+protobuf");
        let cases = [
            ("", Some(json)),
            ("*/*", Some(json)),
            ("application/*", Some(json)),
            ("application/x@v1.0+protobuf", Some(proto)),
            ("application/json;q=0.3, application/x@v1.0+protobuf;q=0.9", Some(proto)),
            ("application/json;q=0", None),
            ("text/html", None),
        ];
        for (accept, want) in cases {
            assert_eq!(first_of(accept, &[json, proto]), want, "{accept:?}");
        }
    }

    #[test]
    fn gzip_is_taken_where_it_is_named() {
        for (header, want) in [
            ("", false),
            ("gzip", true),
            ("GZIP", true),
            ("gzip;q=0", false),
            ("gzip; q=0.000", false),
            ("br, gzip;q=0.1", true),
            ("identity", false),
            ("*", true),
            ("*;q=0", false),
            ("identity, *;q=0.1", true),
            ("gzip;q=0, *", false),
            ("*, gzip;q=0", false),
            ("*;q=0, gzip", true),
        ] {
            assert_eq!(takes_gzip(header), want, "{header:?}");
        }
    }
}
