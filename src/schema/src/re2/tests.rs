use super::*;

fn compiled(pattern: &str) -> Pattern {
    Pattern::compile(pattern, LARGEST).unwrap_or_else(|why| panic!("{pattern}: {why}"))
}

/// Each with what of the text it finds first, from the left.
#[test]
fn patterns_mean_what_go_means() {
    let cases: [(&str, &str, Option<&str>); 108] = [
        // what both read alike
        ("", "x", Some("")),
        ("a|b", "cb", Some("b")),
        ("ab|a|", "ab", Some("ab")),
        ("^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "my-name", Some("my-name")),
        ("^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "my-name-", None),
        ("a{2}", "aaa", Some("aa")),
        ("a{2,}?", "aaa", Some("aa")),
        ("a{0}b", "ab", Some("b")),
        ("(a+)(b+)?", "aac", Some("aa")),
        ("é+", "aéé", Some("éé")),
        // a class with a plain hyphen behind a set
        (r"[\w-.]+", "a-b.c d", Some("a-b.c")),
        (r"^[\w.-]+$", "a-b.c", Some("a-b.c")),
        (r"[a-]+", "-a-", Some("-a-")),
        (r"[-a]+", "-a-", Some("-a-")),
        (r"[+--]+", "+,-.", Some("+,-")),
        (r"[a-b-c]+", "a-cb", Some("a-cb")),
        // brackets and operators are plain within a class
        ("[a[b]", "[", Some("[")),
        ("[[ab]+", "[a]", Some("[a")),
        ("[a&&b]+", "a&b", Some("a&b")),
        ("[a~~b]+", "~", Some("~")),
        ("[]a]+", "]a", Some("]a")),
        ("[^]a]+", "]b", Some("b")),
        ("[a^]+", "^a", Some("^a")),
        // ASCII
        (r"\d+", "٣4", Some("4")),
        (r"\w+", "éa_1", Some("a_1")),
        (r"\s+", "\u{a0}\u{b} \t", Some(" \t")),
        (r"\D", "4٣", Some("٣")),
        (r"\W", "aé", Some("é")),
        (r"\S", " \u{b}", Some("\u{b}")),
        (r"[\D]", "4a", Some("a")),
        (r"[^\D]", "a4", Some("4")),
        (r"[^\w\s]+", "a é", Some("é")),
        (r"\bb", "éb", Some("b")),
        (r"\Bb", "ab éb", Some("b")),
        (r"\Bb", "éb", None),
        ("[[:alpha:]]+", "1éab", Some("ab")),
        ("[[:^alpha:]]+", "a1é", Some("1é")),
        ("[[:word:]-]+", "a_-", Some("a_-")),
        ("[[:space:]]", "\u{b}", Some("\u{b}")),
        ("[[:punct:]]+", "a_[!", Some("_[!")),
        ("[[:xdigit:]]+", "gF0", Some("F0")),
        ("[[:ascii:]]", "é~", Some("~")),
        ("[[:blank:][:digit:]]+", "\n\t 1", Some("\t 1")),
        ("[[:print:]]+", "\u{7f}a ~", Some("a ~")),
        ("[[:graph:]]+", " a~ ", Some("a~")),
        ("[[:cntrl:]]", "a\u{7f}", Some("\u{7f}")),
        ("[[:a]+", "[:a", Some("[:a")),
        // quoted
        (r"\Qa.b*\E+", "a.b**", Some("a.b**")),
        (r"\Q[a](b", "[a](b", Some("[a](b")),
        (r"a\Q\E*", "aaa", Some("aaa")),
        (r"a*\Q\E*", "aaa", Some("aaa")),
        (r"\Q\n\E", r"\n", Some(r"\n")),
        // Unicode
        (r"\pN+", "a٣Ⅷ", Some("٣Ⅷ")),
        (r"\p{L}+", "1éß", Some("éß")),
        (r"\PL+", "é12", Some("12")),
        (r"[\pL-]+", "a-é", Some("a-é")),
        (r"[^\pL]+", "a-1é", Some("-1")),
        (r"\p{^L}+", "é12", Some("12")),
        (r"\P{^L}+", "1é", Some("é")),
        (r"\p{Greek}+", "aλμ", Some("λμ")),
        (r"\P{Greek}+", "λab", Some("ab")),
        (r"\p{Han}", "x漢", Some("漢")),
        (r"\p{Old_Italic}", "\u{10300}", Some("\u{10300}")),
        (r"\p{upper case-let_ter}", "aB", Some("B")),
        (r"\p{LC}+", "1ab", Some("ab")),
        (r"\p{Any}", "\n", Some("\n")),
        (r"\p{^Any}", "a", None),
        (r"\p{ASCII}", "éa", Some("a")),
        (r"\p{Assigned}", "\u{378}a", Some("a")),
        (r"\p{Cn}", "a\u{378}", Some("\u{378}")),
        (r"\p{Cs}", "a", None),
        (r"\P{Cs}", "a", Some("a")),
        // escapes
        (r"\a\f\t\n\r\v", "\u{7}\u{c}\t\n\r\u{b}", Some("\u{7}\u{c}\t\n\r\u{b}")),
        (r"\101\x42\x{43}", "ABC", Some("ABC")),
        (r"\0", "\0", Some("\0")),
        (r"\1234", "S4", Some("S4")),
        (r"\777", "\u{1ff}", Some("\u{1ff}")),
        (r"[\012-\015]", "\r", Some("\r")),
        (r"[\x{61}-\x63]+", "zabcd", Some("abc")),
        (r"\x{10FFFF}", "\u{10ffff}", Some("\u{10ffff}")),
        (r"\.\*\/\-\_\#\&\~\ \@", "a.*/-_#&~ @", Some(".*/-_#&~ @")),
        (r"[\]\[\-\\^]+", r"a]-[\^", Some(r"]-[\^")),
        (r"\x{D800}|a", "a", Some("a")),
        (r"[\x{D800}-\x{DFFF}]", "a", None),
        (r"[^\x{D800}]", "a", Some("a")),
        (r"[\x{D000}-\x{E000}]", "\u{e000}", Some("\u{e000}")),
        // text and lines
        ("^b$", "a\nb\n", None),
        ("(?m)^b$", "a\nb\n", Some("b")),
        ("(?m:^b$)|^c", "a\nc", None),
        (r"(?m)\Ab\z", "a\nb", None),
        (r"a\z", "a\n", None),
        ("a$", "a\n", None),
        ("(?m)a$", "a\r\n", None),
        ("a.b", "a\nb", None),
        ("(?s)a.b", "a\nb", Some("a\nb")),
        ("(?s)(?-s:a.)b", "a\nb", None),
        ("a[^x]b", "a\nb", Some("a\nb")),
        // letters in either case
        ("(?i)ab", "xaB", Some("aB")),
        ("a(?i)b|C", "ac", Some("c")),
        ("(a(?i)b)c", "aBC", None),
        ("(?i:a)b", "AB", None),
        ("(?i)[k-l]", "\u{212a}", Some("\u{212a}")),
        (r"(?i)\W", "\u{212a}!", Some("!")),
        (r"(?i)\p{Lu}", "a", Some("a")),
        ("(?i)straße", "STRAßE", Some("STRAßE")),
        // as much or as little as may be
        ("(?U)a+", "aaa", Some("a")),
        ("(?U)a+?", "aaa", Some("aaa")),
        ("(?U:a+)a+", "aaa", Some("aaa")),
    ];
    for (pattern, text, want) in cases {
        assert_eq!(compiled(pattern).find(text), want, "{pattern} in {text:?}");
        assert_eq!(compiled(pattern).is_match(text), want.is_some(), "{pattern} in {text:?}");
    }
}

#[test]
fn what_go_refuses_is_refused_in_its_words() {
    let cases = [
        ("(", "missing closing ): `(`"),
        ("a(b|c", "missing closing ): `a(b|c`"),
        ("a)", "unexpected ): `a)`"),
        ("[a-z", "missing closing ]: `[a-z`"),
        ("x[", "missing closing ]: `[`"),
        ("[]", "missing closing ]: `[]`"),
        ("[b-a]", "invalid character class range: `b-a`"),
        ("[a-\\d]", "invalid escape sequence: `\\d`"),
        ("[[:nope:]]", "invalid character class range: `[:nope:]`"),
        ("\\p{Nope}", "invalid character class range: `\\p{Nope}`"),
        ("\\p{sc=Greek}", "invalid character class range: `\\p{sc=Greek}`"),
        ("\\p{Grek}", "invalid character class range: `\\p{Grek}`"),
        ("\\p{Alphabetic}", "invalid character class range: `\\p{Alphabetic}`"),
        ("\\pX", "invalid character class range: `\\pX`"),
        ("\\p{L", "invalid character class range: `\\p{L`"),
        ("\\p", "invalid character class range: `\\p`"),
        ("*", "missing argument to repetition operator: `*`"),
        ("a|*", "missing argument to repetition operator: `*`"),
        ("(?i)+", "missing argument to repetition operator: `+`"),
        ("(+?)", "missing argument to repetition operator: `+?`"),
        ("\\Q\\E*", "missing argument to repetition operator: `*`"),
        ("a**", "invalid nested repetition operator: `**`"),
        ("a*?*", "invalid nested repetition operator: `*?*`"),
        ("a{2}{3}b", "invalid nested repetition operator: `{2}{3}`"),
        ("a{1001}", "invalid repeat count: `{1001}`"),
        ("a{2,1}", "invalid repeat count: `{2,1}`"),
        ("a{1,9876543210}", "invalid repeat count: `{1,9876543210}`"),
        ("(a{100}){11}", "invalid repeat count: `{11}`"),
        ("(?:[a-z]{4}){0,251}", "invalid repeat count: `{0,251}`"),
        ("((((((((((x{2}){2}){2}){2}){2}){2}){2}){2}){2}){2})", "invalid repeat count: `{2}`"),
        ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
        ("(?!a)", "invalid or unsupported Perl syntax: `(?!`"),
        ("(?>a)", "invalid or unsupported Perl syntax: `(?>`"),
        ("(?x) a", "invalid or unsupported Perl syntax: `(?x`"),
        ("(?R)a", "invalid or unsupported Perl syntax: `(?R`"),
        ("(?u)a", "invalid or unsupported Perl syntax: `(?u`"),
        ("(?i-)a", "invalid or unsupported Perl syntax: `(?i-)`"),
        ("(?i--s)a", "invalid or unsupported Perl syntax: `(?i--`"),
        ("(?i", "invalid or unsupported Perl syntax: `(?i`"),
        ("(?#note)", "invalid or unsupported Perl syntax: `(?#`"),
        ("(?P=n)", "invalid or unsupported Perl syntax: `(?P`"),
        ("(?<=a)b", "invalid named capture: `(?<=a)b`"),
        ("(?<!a)b>", "invalid named capture: `(?<!a)b>`"),
        ("(?P<n", "invalid named capture: `(?P<n`"),
        ("(?P<x y>a)", "invalid named capture: `(?P<x y>`"),
        ("(?P<>a)", "invalid named capture: `(?P<>`"),
        ("\\C", "invalid escape sequence: `\\C`"),
        ("\\1", "invalid escape sequence: `\\1`"),
        ("\\8", "invalid escape sequence: `\\8`"),
        ("\\h", "invalid escape sequence: `\\h`"),
        ("\\Z", "invalid escape sequence: `\\Z`"),
        ("\\G", "invalid escape sequence: `\\G`"),
        ("\\<", ""),
        ("\\b{start}", ""),
        ("[\\b]", "invalid escape sequence: `\\b`"),
        ("\\u0041", "invalid escape sequence: `\\u`"),
        ("\\x4", "invalid escape sequence: `\\x4`"),
        ("\\x{110000}", "invalid escape sequence: `\\x{110000`"),
        ("\\x{}", "invalid escape sequence: `\\x{}`"),
        ("\\é", "invalid escape sequence: `\\é`"),
        ("a\\", "trailing backslash at end of expression: ``"),
    ];
    for (pattern, why) in cases {
        let refused = Pattern::compile(pattern, LARGEST).map(drop);
        match why {
            // what the crate has more of is plain text to Go
            "" => assert_eq!(refused, Ok(()), "{pattern}"),
            why => assert_eq!(refused, Err(format!("error parsing regexp: {why}")), "{pattern}"),
        }
    }
}

#[test]
fn go_takes_what_is_just_not_too_much() {
    let nested = |times: usize| format!("{}a{}", "(".repeat(times), ")*".repeat(times));
    let fine = [
        "((((((((((x{2}){2}){2}){2}){2}){2}){2}){2}){2}))".to_owned(),
        "(?:[a-z]{4}){0,250}".to_owned(),
        "(x{1000}){1}".to_owned(),
        "(x{1000}){0}y{1000}".to_owned(),
        "(x{1000}|y{1000})z{1000}".to_owned(),
        "x{1001".to_owned(),
        "x{,2}x{a}".to_owned(),
        "x{01}".to_owned(),
        "(?P<n>a)(?P<n>b)(?<m_1>c)".to_owned(),
        "(?)(?i-s:a)()*".to_owned(),
        "^*\\b+$?".to_owned(),
        "^(\\*\\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$".to_owned(),
        "^[\\p{L}\\p{N}_ -]{1,100}$".to_owned(),
        "(?i)".to_owned() + &"[\\s\\S]a\\D[a-z]".repeat(10),
        "(|".repeat(50) + &")".repeat(50),
        nested(40),
    ];
    for pattern in fine {
        compiled(&pattern);
    }
}

#[test]
fn a_pattern_has_bounds() {
    let too_large = [
        ("long", "a".repeat(200_000), "too large"),
        ("deep", format!("{}{}", "(".repeat(1000), ")".repeat(1000)), "nests too deeply"),
        ("deep without groups", format!("a{}", "*\\Q\\E".repeat(1000)), "nests too deeply"),
        ("many sets", "\\pL".repeat(2000), "too large"),
        ("many sets in a class", format!("[{}]", "\\pL".repeat(2000)), "too large"),
        ("sets in either case", format!("(?i){}", "\\pL".repeat(100)), "too large"),
        ("all in either case", format!("(?i){}", "\\p{Any}".repeat(100)), "too large"),
        ("much that is not in a set, in either case", format!("(?i){}", "[\\Da]".repeat(100)), "too large"),
        ("wide ranges in either case", format!("(?i){}", "[A-\\x{10FFFF}]".repeat(100)), "too large"),
        ("counts", format!("({}){{1000}}", "(xx?)".repeat(1000)), "too large"),
    ];
    for (name, pattern, why) in too_large {
        let refused = Pattern::compile(&pattern, LARGEST).map(drop).expect_err(name);
        assert!(
            refused.starts_with("error parsing regexp: expression ") && refused.contains(why),
            "{name}: {refused}"
        );
    }
    // what may be large where it stands may not be made again and again
    assert_eq!(Pattern::compile("\\pL{100}", LARGEST).map(|pattern| pattern.bound()), Ok(LARGEST));
    assert!(Pattern::compile("\\pL{100}", LARGEST_COMPUTED).is_err());
    assert_eq!(compiled("^[a-z]{1,63}$").bound(), LARGEST_COMPUTED);
}

#[test]
fn all_that_is_found_is_as_go_finds_it() {
    let cases: [(&str, &str, &[&str]); 5] = [
        ("[0-9]+", "1 22 333", &["1", "22", "333"]),
        ("a*", "baaac", &["", "aaa", ""]),
        ("", "ab", &["", "", ""]),
        ("a|ab", "abab", &["a", "a"]),
        ("x", "ab", &[]),
    ];
    for (pattern, text, want) in cases {
        assert_eq!(compiled(pattern).find_all(text).collect::<Vec<_>>(), want, "{pattern} in {text}");
    }
    let shown = compiled("[\\w-.]");
    assert_eq!((shown.as_str(), shown.to_string().as_str()), ("[\\w-.]", "[\\w-.]"));
}
