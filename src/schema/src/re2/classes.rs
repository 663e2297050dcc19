//! Sets of characters: `\d`, `[:alpha:]`, `\p{Greek}`, and what stands between brackets.

use super::escapes::{Rune, escape, next};
use super::{before, refusal};

/// A set with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Set {
    of: Of,
    is_negated: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    /// As they are written between brackets.
    Ranges(&'static str),
    Category(&'static str),
    Script(&'static str),
}

impl Set {
    /// Where it stands for itself.
    pub(super) fn alone(self) -> String {
        match self.of {
            Of::Ranges(ranges) => format!("[{}{ranges}]", if self.is_negated { "^" } else { "" }),
            _ => self.within(),
        }
    }

    /// Where it stands between brackets.
    fn within(self) -> String {
        let letter = if self.is_negated { 'P' } else { 'p' };
        match self.of {
            Of::Ranges(ranges) if self.is_negated => format!("[^{ranges}]"),
            Of::Ranges(ranges) => ranges.to_owned(),
            Of::Category(name) => format!("\\{letter}{{gc={name}}}"),
            Of::Script(name) => format!("\\{letter}{{sc={name}}}"),
        }
    }

    /// Whether it is one of the large ones, of which a pattern may not have any number.
    pub(super) fn is_large(self) -> bool {
        !matches!(self.of, Of::Ranges(ranges) if ranges != ALL)
    }

    /// The same where it stands between brackets: where letters stand for either case, all that is in there is gone through.
    fn is_large_within(self) -> bool {
        self.is_large() || self.is_negated
    }
}

/// Of so many characters a range is as large as Unicode's sets.
const LARGE_RANGE: Rune = 4096;
/// All characters that there are.
const ALL: &str = r"\x{0}-\x{10FFFF}";
const DIGITS: &str = "0-9";
const SPACES: &str = r"\t\n\f\r\x20";
const WORD: &str = "0-9A-Z_a-z";
/// What no character is in. The crate has no halves of UTF-16's pairs, and its texts neither.
pub(super) const NOTHING: &str = r"[^\x{0}-\x{10FFFF}]";

/// Those of POSIX, which Go has within brackets, all of ASCII.
const POSIX: [(&str, &str); 14] = [
    ("alnum", "0-9A-Za-z"),
    ("alpha", "A-Za-z"),
    ("ascii", r"\x00-\x7F"),
    ("blank", r"\t\x20"),
    ("cntrl", r"\x00-\x1F\x7F"),
    ("digit", DIGITS),
    ("graph", r"\x21-\x7E"),
    ("lower", "a-z"),
    ("print", r"\x20-\x7E"),
    ("punct", r"\x21-\x2F\x3A-\x40\x5B-\x60\x7B-\x7E"),
    ("space", r"\t\n\x0B\f\r\x20"),
    ("upper", "A-Z"),
    ("word", WORD),
    ("xdigit", "0-9A-Fa-f"),
];

/// Unicode's general categories, each with its other names.
const CATEGORIES: [&str; 38] = [
    "c other",
    "cc control cntrl",
    "cf format",
    "cn unassigned",
    "co privateuse",
    "cs surrogate",
    "l letter",
    "lc casedletter",
    "ll lowercaseletter",
    "lm modifierletter",
    "lo otherletter",
    "lt titlecaseletter",
    "lu uppercaseletter",
    "m mark combiningmark",
    "mc spacingmark",
    "me enclosingmark",
    "mn nonspacingmark",
    "n number",
    "nd decimalnumber digit",
    "nl letternumber",
    "no othernumber",
    "p punctuation punct",
    "pc connectorpunctuation",
    "pd dashpunctuation",
    "pe closepunctuation",
    "pf finalpunctuation",
    "pi initialpunctuation",
    "po otherpunctuation",
    "ps openpunctuation",
    "s symbol",
    "sc currencysymbol",
    "sk modifiersymbol",
    "sm mathsymbol",
    "so othersymbol",
    "z separator",
    "zl lineseparator",
    "zp paragraphseparator",
    "zs spaceseparator",
];

/// Unicode's scripts by their long names, which are the only ones that Go has.
const SCRIPTS: &str = "adlam ahom anatolianhieroglyphs arabic armenian avestan balinese bamum bassavah batak bengali \
    bhaiksuki bopomofo brahmi braille buginese buhid canadianaboriginal carian caucasianalbanian chakma cham cherokee \
    chorasmian common coptic cuneiform cypriot cyprominoan cyrillic deseret devanagari divesakuru dogra duployan \
    egyptianhieroglyphs elbasan elymaic ethiopic garay georgian glagolitic gothic grantha greek gujarati gunjalagondi \
    gurmukhi gurungkhema han hangul hanifirohingya hanunoo hatran hebrew hiragana imperialaramaic inherited \
    inscriptionalpahlavi inscriptionalparthian javanese kaithi kannada katakana kawi kayahli kharoshthi khitansmallscript \
    khmer khojki khudawadi kiratrai lao latin lepcha limbu lineara linearb lisu lycian lydian mahajani makasar malayalam \
    mandaic manichaean marchen masaramgondi medefaidrin meeteimayek mendekikakui meroiticcursive meroitichieroglyphs miao \
    modi mongolian mro multani myanmar nabataean nagmundari nandinagari newtailue newa nko nushu nyiakengpuachuehmong ogham \
    olchiki olonal oldhungarian olditalic oldnortharabian oldpermic oldpersian oldsogdian oldsoutharabian oldturkic olduyghur \
    oriya osage osmanya pahawhhmong palmyrene paucinhau phagspa phoenician psalterpahlavi rejang runic samaritan saurashtra \
    sharada shavian siddham signwriting sinhala sogdian sorasompeng soyombo sundanese sunuwar sylotinagri syriac tagalog \
    tagbanwa taile taitham taiviet takri tamil tangsa tangut telugu thaana thai tibetan tifinagh tirhuta todhri toto \
    tulutigalari ugaritic vai vithkuqi wancho warangciti yezidi yi zanabazarsquare";

/// `\d` and its like, at the beginning of the text.
pub(super) fn perl(text: &str) -> Option<(Set, &str)> {
    let letter = text.strip_prefix('\\')?.chars().next()?;
    let ranges = match letter {
        'd' | 'D' => DIGITS,
        's' | 'S' => SPACES,
        'w' | 'W' => WORD,
        _ => return None,
    };
    Some((Set { of: Of::Ranges(ranges), is_negated: letter.is_ascii_uppercase() }, &text[2..]))
}

/// `\pL` and `\p{Greek}`, at the beginning of the text; `None` where nothing of the kind stands there.
///
/// # Errors
/// A name that there is not, in Go's words.
pub(super) fn unicode(text: &str) -> Result<Option<(Set, &str)>, String> {
    let is_negated = match text.as_bytes() {
        [b'\\', b'p', ..] => false,
        [b'\\', b'P', ..] => true,
        _ => return Ok(None),
    };
    let invalid = |part: &str| refusal("invalid character class range", part);
    let mut rest = &text[2..];
    let name = match next(&mut rest) {
        Some('{') => {
            let Some((name, behind)) = rest.split_once('}') else { return Err(invalid(text)) };
            rest = behind;
            name
        }
        _ => &before(text, rest)[2..],
    };
    let (name, is_negated) = match name.strip_prefix('^') {
        Some(name) => (name, !is_negated),
        None => (name, is_negated),
    };
    match named(name) {
        Some(set) => Ok(Some((Set { is_negated: set.is_negated != is_negated, ..set }, rest))),
        None => Err(invalid(before(text, rest))),
    }
}

/// A category or a script, however it is spelled.
fn named(name: &str) -> Option<Set> {
    let plain: String =
        name.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).map(|c| c.to_ascii_lowercase()).collect();
    let set = |of: Of, is_negated: bool| Some(Set { of, is_negated });
    match plain.as_str() {
        "" => return None,
        "any" => return set(Of::Ranges(ALL), false),
        "ascii" => return set(Of::Ranges(r"\x00-\x7F"), false),
        "assigned" => return set(Of::Category("cn"), true),
        // of which no text has one
        "cs" | "surrogate" => return set(Of::Ranges(ALL), true),
        _ => {}
    }
    let category = CATEGORIES.into_iter().find(|names| names.split(' ').any(|known| known == plain));
    if let Some(short) = category.and_then(|names| names.split(' ').next()) {
        return set(Of::Category(short), false);
    }
    let script = SCRIPTS.split_whitespace().find(|known| *known == plain)?;
    set(Of::Script(script), false)
}

/// `[:alpha:]`, at the beginning of the text; `None` where nothing of the kind stands there.
fn posix(text: &str) -> Result<Option<(Set, &str)>, String> {
    let Some((name, rest)) = text.strip_prefix("[:").and_then(|inner| inner.split_once(":]")) else {
        return Ok(None);
    };
    let (plain, is_negated) = match name.strip_prefix('^') {
        Some(name) => (name, true),
        None => (name, false),
    };
    match POSIX.into_iter().find(|(known, _)| *known == plain) {
        Some((_, ranges)) => Ok(Some((Set { of: Of::Ranges(ranges), is_negated }, rest))),
        None => Err(refusal("invalid character class range", before(text, rest))),
    }
}

/// What stands between brackets, as the crate reads it, and how many of its parts are large.
#[derive(Debug)]
pub(super) struct Class {
    pub(super) text: String,
    pub(super) large: usize,
}

/// The class at the beginning of the text, with its brackets.
///
/// # Errors
/// In Go's words.
pub(super) fn class(text: &str) -> Result<(Class, &str), String> {
    let mut rest = &text[1..];
    let is_negated = rest.starts_with('^');
    if is_negated {
        rest = &rest[1..];
    }
    let (mut items, mut large) = (String::new(), 0);
    let mut is_first = true;
    // a bracket is plain where it is the first
    while is_first || !rest.starts_with(']') {
        is_first = false;
        let found = match posix(rest)? {
            Some(found) => Some(found),
            None => unicode(rest)?.or_else(|| perl(rest)),
        };
        if let Some((set, behind)) = found {
            large += usize::from(set.is_large_within());
            items.push_str(&set.within());
            rest = behind;
            continue;
        }
        let from = rest;
        let low = character(&mut rest, text)?;
        let mut high = low;
        // in `[a-]` it is plain
        if let Some(behind) =
            rest.strip_prefix('-').filter(|behind| !behind.is_empty() && !behind.starts_with(']'))
        {
            rest = behind;
            high = character(&mut rest, text)?;
            if high < low {
                return Err(refusal("invalid character class range", before(from, rest)));
            }
        }
        large += usize::from(high - low >= LARGE_RANGE);
        items.push_str(&range(low, high));
    }
    let text = match (items.is_empty(), is_negated) {
        (true, false) => NOTHING.to_owned(),
        (true, true) => format!("[{ALL}]"),
        (false, false) => format!("[{items}]"),
        (false, true) => format!("[^{items}]"),
    };
    Ok((Class { text, large }, &rest[1..]))
}

fn character(rest: &mut &str, whole: &str) -> Result<Rune, String> {
    if rest.starts_with('\\') {
        let (rune, behind) = escape(rest)?;
        *rest = behind;
        return Ok(rune);
    }
    next(rest).map(|letter| letter as Rune).ok_or_else(|| refusal("missing closing ]", whole))
}

/// Without the halves of UTF-16's pairs.
fn range(low: Rune, high: Rune) -> String {
    const PAIRS: std::ops::RangeInclusive<Rune> = 0xD800..=0xDFFF;
    let low = if PAIRS.contains(&low) { PAIRS.end() + 1 } else { low };
    let high = if PAIRS.contains(&high) { PAIRS.start() - 1 } else { high };
    match low.cmp(&high) {
        std::cmp::Ordering::Less => format!("\\x{{{low:X}}}-\\x{{{high:X}}}"),
        std::cmp::Ordering::Equal => format!("\\x{{{low:X}}}"),
        std::cmp::Ordering::Greater => String::new(),
    }
}
