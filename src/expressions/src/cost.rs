//! What an expression may cost at most and at least, in cel-go's units (`checker/cost.go`), with what Kubernetes asks for its
//! functions (`apiserver/pkg/cel/library/cost.go`). One unit is a step; of text a tenth for each character.
//!
//! Upstream takes care that an estimate never changes, as definitions are accepted by it. So its oddities are kept: a key
//! counts as empty, a list that an expression makes has items of the size of `self`.

use crate::types::Ty;

/// cel-go's factors for a character that is looked at, and its prices for what is made.
pub(crate) const TEXT: f64 = 0.1;
pub(crate) const REGEX: f64 = 0.25;
pub(crate) const LIST: u64 = 10;
pub(crate) const MAP: u64 = 30;
pub(crate) const OBJECT: u64 = 40;
/// Upstream's `MaxNameFormatRegexSize`: the longest of the patterns behind `format.…()`.
const FORMAT_PATTERN: f64 = 128.0;

/// From the least to the most: of steps, or of characters, bytes, items or entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Range {
    pub(crate) min: u64,
    pub(crate) max: u64,
}

impl Range {
    pub(crate) const UNKNOWN: Range = Range { min: 0, max: u64::MAX };
    /// What the union with another leaves as the other is.
    pub(crate) const NOTHING: Range = Range { min: u64::MAX, max: 0 };

    pub(crate) fn fixed(of: u64) -> Self {
        Range { min: of, max: of }
    }

    pub(crate) fn plus(self, other: Range) -> Self {
        Range { min: self.min.saturating_add(other.min), max: self.max.saturating_add(other.max) }
    }

    pub(crate) fn times(self, other: Range) -> Self {
        Range { min: self.min.saturating_mul(other.min), max: self.max.saturating_mul(other.max) }
    }

    /// Rounded up.
    pub(crate) fn by(self, factor: f64) -> Self {
        // a float that is too large becomes the largest integer
        let scaled = |of: u64| (of as f64 * factor).ceil() as u64;
        Range { min: scaled(self.min), max: scaled(self.max) }
    }

    pub(crate) fn union(self, other: Range) -> Self {
        Range { min: self.min.min(other.min), max: self.max.max(other.max) }
    }
}

/// How large the keys and values are that a list or a map of the expression holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) is_list: bool,
    pub(crate) key: Range,
    pub(crate) value: Range,
}

impl Entry {
    pub(crate) fn union(one: Option<Entry>, other: Option<Entry>) -> Option<Entry> {
        let (one, other) = (one?, other?);
        Some(Entry { key: one.key.union(other.key), value: one.value.union(other.value), ..one })
    }
}

/// What an argument is to the one that asks what a call costs.
#[derive(Debug, Clone)]
pub(crate) struct Argument<'a, 's> {
    pub(crate) ty: &'a Ty<'s>,
    pub(crate) size: Range,
    /// Of a list: how large its items are, as the schema says.
    pub(crate) item_size: Range,
    /// An integer that is written there.
    pub(crate) literal: Option<i64>,
}

impl Argument<'_, '_> {
    /// Of a place in a list, where it is written there.
    fn index(&self) -> Option<u64> {
        self.literal.map(|of| of.max(0) as u64)
    }
}

/// What a call costs beside its arguments, and how large its result is where that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CallCost {
    pub(crate) cost: Range,
    pub(crate) result: Option<Range>,
}

impl CallCost {
    pub(crate) const STEP: CallCost = CallCost { cost: Range { min: 1, max: 1 }, result: None };

    pub(crate) fn of(cost: Range) -> Self {
        CallCost { cost, result: None }
    }

    fn sized(cost: Range, result: Range) -> Self {
        CallCost { cost, result: Some(result) }
    }
}

/// Two values of which either may be the shorter one are compared as far as that goes.
pub(crate) fn compared(left: Range, right: Range) -> Range {
    let max = left.max.min(right.max);
    Range { min: u64::from(max > 0), max }.by(TEXT)
}

pub(crate) fn matched(text: Range, pattern: Range) -> Range {
    // an empty text is matched too
    text.plus(Range::fixed(1)).by(TEXT).times(pattern.by(REGEX))
}

/// A function of the library, by its whole name; the target of a method is the first of the arguments.
pub(crate) fn of_call(name: &str, is_method: bool, arguments: &[Argument<'_, '_>]) -> CallCost {
    let special = match arguments.split_first() {
        Some((target, rest)) if is_method => of_method(name, target, rest),
        _ => of_function(name, arguments),
    };
    special.unwrap_or(CallCost::STEP)
}

fn of_function(name: &str, arguments: &[Argument<'_, '_>]) -> Option<CallCost> {
    let first = arguments.first()?.size;
    Some(match name {
        "url" | "jsonpatch.escapeKey" => CallCost::sized(first.by(TEXT), first),
        "cidr" | "isIP" | "isCIDR" | "ip" | "quantity" | "isQuantity" | "semver" | "isSemver" => {
            CallCost::of(first.by(TEXT))
        }
        "ip.isCanonical" => CallCost::of(first.by(2.0 * TEXT)),
        "bytes" if matches!(arguments[0].ty, Ty::Text) => {
            let widest = Range { min: first.min, max: first.max.saturating_mul(4) };
            CallCost::sized(first.by(TEXT), widest)
        }
        "string" if matches!(arguments[0].ty, Ty::Bytes) => {
            CallCost::sized(first.by(TEXT), Range { min: first.min / 4, max: first.max })
        }
        "strings.quote" => {
            let max = first.max.saturating_mul(2).saturating_add(2);
            CallCost::sized(first.by(TEXT), Range { min: first.min.saturating_add(2), max })
        }
        "sets.contains" | "sets.intersects" => {
            CallCost::of(first.times(arguments.get(1)?.size).plus(Range::fixed(1)))
        }
        "lists.range" => copied(1.0, Range::fixed(arguments[0].index().unwrap_or(u64::MAX))),
        // each in the other
        "sets.equivalent" => CallCost::of(first.times(arguments.get(1)?.size).by(2.0).plus(Range::fixed(1))),
        _ => return None,
    })
}

fn of_method(name: &str, target: &Argument<'_, '_>, arguments: &[Argument<'_, '_>]) -> Option<CallCost> {
    let size = target.size;
    let first = arguments.first().map(|argument| argument.size);
    // an address is of 4 or of 16 bytes
    let address = Range { min: 4, max: 16 };
    let parsed = |of: &Argument<'_, '_>| match of.ty {
        Ty::Text => of.size.by(TEXT),
        _ => Range::default(),
    };
    Some(match (name, first) {
        ("isSorted" | "sum" | "max" | "min" | "indexOf" | "lastIndexOf", _) => {
            CallCost::of(match target.ty {
                Ty::List(item) => {
                    let looked_at = match **item {
                        Ty::Text | Ty::Bytes => target.item_size.by(TEXT),
                        _ => Range::default(),
                    };
                    size.times(looked_at.plus(Range::fixed(1)))
                }
                _ => size.by(TEXT),
            })
        }
        ("lowerAscii" | "upperAscii" | "substring" | "trim", _) => CallCost::sized(size.by(TEXT), size),
        ("replace", Some(old)) => {
            CallCost::sized(size.by(2.0 * TEXT), replaced(size, old, arguments.get(1)?.size))
        }
        ("split", _) => {
            let limit = arguments.get(1).and_then(Argument::index);
            CallCost::sized(size.by(2.0 * TEXT), Range { min: 0, max: limit.unwrap_or(size.max) })
        }
        ("join", separator) => {
            let items = match target.ty {
                Ty::List(_) => size.times(target.item_size),
                _ => Range::default(),
            };
            let between = Range { min: size.min.saturating_sub(1), max: size.max.saturating_sub(1) };
            let joined = items.plus(separator.map_or(Range::default(), |of| of.times(between)));
            CallCost::sized(joined.by(TEXT), joined)
        }
        ("find" | "findAll", Some(pattern)) => {
            CallCost::sized(matched(size, pattern), Range { min: 0, max: size.max })
        }
        ("matches", Some(pattern)) => CallCost::of(matched(size, pattern)),
        ("contains", Some(part)) => CallCost::of(size.by(TEXT).times(part.by(TEXT))),
        ("startsWith" | "endsWith", Some(part)) => CallCost::of(part.by(TEXT)),
        ("format", _) => CallCost::of(size.by(TEXT)),
        ("containsIP", Some(_)) => CallCost::of(address.plus(address).by(TEXT).plus(parsed(&arguments[0]))),
        ("containsCIDR", Some(_)) => {
            let masked = address.by(TEXT).plus(Range::fixed(1));
            CallCost::of(address.plus(address).by(TEXT).plus(masked).plus(parsed(&arguments[0])))
        }
        ("slice", Some(_)) => {
            let end = arguments.get(1)?.index().unwrap_or(size.max);
            copied(1.0, Range::fixed(end.saturating_sub(arguments[0].index().unwrap_or(0))))
        }
        ("flatten", _) => {
            let depth = arguments.first().map_or(1, |depth| depth.index().unwrap_or(u64::MAX));
            copied(depth as f64, size)
        }
        ("reverse", None) if !matches!(target.ty, Ty::Text) => copied(1.0, size),
        // each is compared with each; that there are as many of them is upstream's guess
        ("distinct", None) => copied(2.0, size.times(size)),
        ("sort", None) => {
            let is_text = |item: &Ty<'_>| matches!(item, Ty::Text | Ty::Bytes | Ty::Dyn);
            let looked_at = match target.ty {
                Ty::List(item) if !is_text(item) => 2.0,
                _ => 2.0 + TEXT,
            };
            copied(looked_at, size.times(size))
        }
        ("validate", Some(text)) => CallCost::of(text.by(TEXT).by(FORMAT_PATTERN * REGEX)),
        _ => return None,
    })
}

/// A list that the library puts together.
fn copied(factor: f64, size: Range) -> CallCost {
    CallCost::sized(size.by(factor).plus(Range::fixed(LIST + 1)), size)
}

/// How long a text is in which all that there is of one is replaced by another.
fn replaced(text: Range, old: Range, new: Range) -> Range {
    let count = |text: u64, old: u64| (text as f64 / old as f64).ceil() as u64;
    // an empty one is found before each character and at the end
    let (most, kept) = match old.min {
        0 => (text.max.saturating_add(1), text.max),
        least if new.max <= least => (0, text.max),
        least => (count(text.max, least), 0),
    };
    let (fewest, left) = match old.max {
        0 => (text.min.saturating_add(1), text.min),
        longest if longest <= new.min => (0, text.min),
        longest => (count(text.min, longest), 0),
    };
    Range {
        min: fewest.saturating_mul(new.min).saturating_add(left),
        max: most.saturating_mul(new.max).saturating_add(kept),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_in_which_something_is_replaced() {
        let fixed = Range::fixed;
        let range = |min, max| Range { min, max };
        let cases = [
            ("empty by a character", fixed(3), fixed(0), fixed(1), fixed(7)),
            ("a character by nothing", fixed(3), fixed(1), fixed(0), range(0, 3)),
            ("something by something longer", fixed(4), fixed(2), fixed(4), range(4, 8)),
            ("perhaps empty", fixed(4), range(0, 1), range(0, 2), range(0, 14)),
            ("perhaps longer", fixed(4), fixed(1), range(1, 2), range(4, 8)),
            ("perhaps shorter", fixed(4), range(1, 2), fixed(1), range(2, 4)),
        ];
        for (name, text, old, new, want) in cases {
            assert_eq!(replaced(text, old, new), want, "{name}");
        }
    }
}
