//! Links inside a page. Only the start tags whose links change are written anew; all else passes byte by byte. Pure.

use html5gum::{DefaultEmitter, StartTag, Token, Tokenizer};

/// Which attributes of which elements are links, by HTML 4's index of attributes and the living standard's.
const LINKS: &[(&str, &[&str])] = &[
    ("a", &["href"]),
    ("applet", &["codebase"]),
    ("area", &["href"]),
    ("audio", &["src"]),
    ("base", &["href"]),
    ("blockquote", &["cite"]),
    ("body", &["background"]),
    ("button", &["formaction"]),
    ("command", &["icon"]),
    ("del", &["cite"]),
    ("embed", &["src"]),
    ("form", &["action"]),
    ("frame", &["longdesc", "src"]),
    ("head", &["profile"]),
    ("html", &["manifest"]),
    ("iframe", &["longdesc", "src"]),
    ("img", &["longdesc", "src", "usemap"]),
    ("input", &["src", "usemap", "formaction"]),
    ("ins", &["cite"]),
    ("link", &["href"]),
    ("object", &["classid", "codebase", "data", "usemap"]),
    ("q", &["cite"]),
    ("script", &["src"]),
    ("source", &["src"]),
    ("video", &["poster", "src"]),
];

/// The page with its links as `change` makes them; `None` where it would have more bytes than `most`.
pub(super) fn rewrite(page: &[u8], most: usize, change: impl Fn(&str) -> String) -> Option<Vec<u8>> {
    let mut emitter = DefaultEmitter::<usize>::new_with_span();
    // what stands in a script is no tag
    emitter.naively_switch_states(true);
    let mut written = Vec::with_capacity(page.len() + 256);
    let mut done = 0;
    for token in Tokenizer::new_with_emitter(page, emitter) {
        let Ok(Token::StartTag(mut tag)) = token else { continue };
        let (start, end) = (tag.span.start, tag.span.end);
        // a tokenizer that has lost its place changes nothing
        if start < done || end > page.len() || !change_links(&mut tag, &change) {
            continue;
        }
        written.extend_from_slice(&page[done..start]);
        write(&tag, &mut written);
        done = end;
        if written.len() > most {
            return None;
        }
    }
    written.extend_from_slice(&page[done..]);
    (written.len() <= most).then_some(written)
}

/// Says whether one is another now.
fn change_links(tag: &mut StartTag<usize>, change: &impl Fn(&str) -> String) -> bool {
    let known = LINKS.iter().find(|(element, _)| element.as_bytes() == tag.name.as_slice());
    let Some((_, attributes)) = known else { return false };
    let mut changed = false;
    for (name, value) in &mut tag.attributes {
        if !attributes.iter().any(|attribute| attribute.as_bytes() == name.as_slice()) {
            continue;
        }
        let Ok(link) = std::str::from_utf8(&value.value) else { continue };
        let new = change(link);
        if new != link {
            value.value = new.into_bytes().into();
            changed = true;
        }
    }
    changed
}

fn write(tag: &StartTag<usize>, to: &mut Vec<u8>) {
    to.push(b'<');
    to.extend_from_slice(&tag.name);
    for (name, value) in &tag.attributes {
        to.push(b' ');
        to.extend_from_slice(name);
        to.extend_from_slice(b"=\"");
        for byte in value.value.iter() {
            match byte {
                b'&' => to.extend_from_slice(b"&amp;"),
                b'"' => to.extend_from_slice(b"&#34;"),
                b'<' => to.extend_from_slice(b"&lt;"),
                b'>' => to.extend_from_slice(b"&gt;"),
                byte => to.push(*byte),
            }
        }
        to.push(b'"');
    }
    if tag.self_closing {
        to.push(b'/');
    }
    to.push(b'>');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_links_change() {
        let cases = [
            ("a link", r#"<p>x<a href="/y">z</a>"#, r#"<p>x<a href="/P/y">z</a>"#),
            ("no quotes", "<a href=/y>z</a>", r#"<a href="/P/y">z</a>"#),
            ("capitals", "<A HREF='/y'>z</A>", r#"<a href="/P/y">z</A>"#),
            ("others stay as they are", "<IMG  alt='a'   src=b.png >", "<IMG  alt='a'   src=b.png >"),
            (
                "all attributes are kept",
                r#"<img alt="a &amp; b &quot;c&quot;" src="/b.png?x=1&amp;y=2" hidden>"#,
                r#"<img alt="a &amp; b &#34;c&#34;" hidden="" src="/P/b.png?x=1&amp;y=2">"#,
            ),
            ("an unknown attribute", r#"<a data-href="/y">"#, r#"<a data-href="/y">"#),
            ("an unknown element", r#"<my-a href="/y">"#, r#"<my-a href="/y">"#),
            ("self-closing", r#"<link href="/y"/>"#, r#"<link href="/P/y"/>"#),
            ("in a script", r#"<script>"<a href='/y'>"</script>"#, r#"<script>"<a href='/y'>"</script>"#),
            ("of a script", r#"<script src="/y"></script>"#, r#"<script src="/P/y"></script>"#),
            ("in a comment", "<!-- <a href='/y'> -->", "<!-- <a href='/y'> -->"),
            ("in a textarea", "<textarea><a href='/y'></textarea>", "<textarea><a href='/y'></textarea>"),
            ("cut off", "<a href='/y'>x<a href='/z", r#"<a href="/P/y">x<a href='/z"#),
            ("more than ASCII", "<p>grün</p><a href=\"/ü\">ß</a>", "<p>grün</p><a href=\"/P/ü\">ß</a>"),
            ("nothing", "", ""),
        ];
        let change = |link: &str| match link.starts_with('/') {
            true => format!("/P{link}"),
            false => link.to_owned(),
        };
        for (name, page, want) in cases {
            let got = rewrite(page.as_bytes(), 1000, change).unwrap();
            assert_eq!(String::from_utf8_lossy(&got), want, "{name}");
        }
    }

    #[test]
    fn a_page_without_links_to_change_is_the_same() {
        let page: Vec<u8> = (0..=255u8).cycle().take(4096).collect();
        assert_eq!(rewrite(&page, page.len(), str::to_owned), Some(page));
    }

    #[test]
    fn a_page_that_becomes_too_large_is_none() {
        let change = |link: &str| format!("{}{link}", "x".repeat(100));
        let page = "<a href=y>".repeat(10);
        let whole = rewrite(page.as_bytes(), usize::MAX, change).unwrap();
        assert_eq!(whole.len(), 10 * "<a href=\"y\">".len() + 1000);
        assert_eq!(rewrite(page.as_bytes(), whole.len(), change), Some(whole.clone()));
        assert_eq!(rewrite(page.as_bytes(), whole.len() - 1, change), None);
    }
}
