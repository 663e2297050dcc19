//! Kubernetes' quantities: `100m`, `1.5Gi`, `2e3`.

use std::fmt;
use std::str::FromStr;

/// An amount, exact to a billionth, as upstream's `resource.Quantity` keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Quantity {
    nano: i128,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
pub struct ParseQuantityError;

const ONE: i128 = 1_000_000_000;
const SUFFIXES: [(&str, i128, u32); 15] = [
    ("", 1, 0),
    ("Ki", 1 << 10, 0),
    ("Mi", 1 << 20, 0),
    ("Gi", 1 << 30, 0),
    ("Ti", 1 << 40, 0),
    ("Pi", 1 << 50, 0),
    ("Ei", 1 << 60, 0),
    ("n", 1, 9),
    ("u", 1, 6),
    ("m", 1, 3),
    ("k", 1_000, 0),
    ("M", 1_000_000, 0),
    ("G", 1_000_000_000, 0),
    ("T", 1_000_000_000_000, 0),
    ("P", 1_000_000_000_000_000, 0),
];
const EXA: i128 = 1_000_000_000_000_000_000;

impl Quantity {
    pub const ZERO: Quantity = Quantity { nano: 0 };

    pub fn from_units(units: i64) -> Self {
        Quantity { nano: i128::from(units) * ONE }
    }

    pub fn from_milli(milli: i64) -> Self {
        Quantity { nano: i128::from(milli) * (ONE / 1000) }
    }

    /// Whole units, rounded up: bytes of memory, cores.
    pub fn value(self) -> i64 {
        clamp(ceil_div(self.nano, ONE))
    }

    /// Thousandths, rounded up: millicores.
    pub fn milli(self) -> i64 {
        clamp(ceil_div(self.nano, ONE / 1000))
    }

    pub fn is_zero(self) -> bool {
        self.nano == 0
    }

    pub fn is_negative(self) -> bool {
        self.nano < 0
    }

    #[must_use]
    pub fn minus(self, other: Quantity) -> Self {
        Quantity { nano: self.nano.saturating_sub(other.nano) }
    }

    #[must_use]
    pub fn plus(self, other: Quantity) -> Self {
        Quantity { nano: self.nano.saturating_add(other.nano) }
    }
}

const DECIMAL: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/// As upstream writes it, whatever a client wrote: the largest unit of the same family that leaves a whole number. `0.5` is
/// `500m`, `1024Mi` is `1Gi`, `1000m` is `1`.
///
/// # Errors
/// A text that is no quantity.
pub fn canonical(text: &str) -> Result<String, ParseQuantityError> {
    let exact: Quantity = text.parse()?;
    let is_exponent = text.contains('e')
        || text.split_once('E').is_some_and(|(_, power)| power.contains(|c: char| c.is_ascii_digit()));
    if text.ends_with('i') && exact.nano % ONE == 0 && exact.nano.abs() >= 1024 * ONE {
        let (number, steps) = reduced(exact.nano / ONE, 1024, BINARY.len() - 1);
        return Ok(format!("{number}{}", BINARY[steps]));
    }
    let (number, steps) = reduced(exact.nano, 1000, DECIMAL.len() - 1);
    Ok(match (number, steps) {
        (0, _) => "0".to_owned(),
        (number, steps) if is_exponent && steps != 3 => format!("{number}e{}", 3 * (steps as i32 - 3)),
        (number, steps) => format!("{number}{}", DECIMAL[steps]),
    })
}

/// Divided as often as nothing is lost.
fn reduced(mut number: i128, by: i128, most: usize) -> (i128, usize) {
    let mut steps = 0;
    while steps < most && number != 0 && number % by == 0 {
        number /= by;
        steps += 1;
    }
    (number, steps)
}

fn clamp(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

fn ceil_div(a: i128, b: i128) -> i128 {
    a.div_euclid(b) + i128::from(a.rem_euclid(b) != 0)
}

impl FromStr for Quantity {
    type Err = ParseQuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number_end = text
            .char_indices()
            .find(|(at, c)| !(c.is_ascii_digit() || *c == '.' || (*at == 0 && matches!(c, '+' | '-'))))
            .map_or(text.len(), |(at, _)| at);
        let (number, suffix) = text.split_at(number_end);
        let (digits, places) = decimal(number)?;
        let (factor, down) = scale(suffix)?;
        let shift = 9i64 - i64::from(places) + i64::from(down);
        let scaled = digits.checked_mul(factor).ok_or(ParseQuantityError)?;
        let nano = if shift >= 0 {
            let power = 10i128.checked_pow(shift as u32).ok_or(ParseQuantityError)?;
            scaled.checked_mul(power).ok_or(ParseQuantityError)?
        } else {
            let power = 10i128.checked_pow((-shift) as u32).ok_or(ParseQuantityError)?;
            ceil_div(scaled, power)
        };
        Ok(Quantity { nano })
    }
}

/// All digits as one number, and how many of them stand behind the point.
fn decimal(number: &str) -> Result<(i128, u32), ParseQuantityError> {
    let (sign, unsigned) = match number.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, number.strip_prefix('+').unwrap_or(number)),
    };
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) || unsigned.len() > 30 {
        return Err(ParseQuantityError);
    }
    let digits: i128 = format!("0{whole}{fraction}").parse().map_err(|_| ParseQuantityError)?;
    Ok((sign * digits, fraction.len() as u32))
}

/// What to multiply with, and by how many powers of ten to divide.
fn scale(suffix: &str) -> Result<(i128, i32), ParseQuantityError> {
    if let Some((_, factor, down)) = SUFFIXES.iter().find(|(name, _, _)| *name == suffix) {
        return Ok((*factor, -(*down as i32)));
    }
    match suffix {
        "E" => Ok((EXA, 0)),
        exponent => {
            let power = exponent
                .strip_prefix(['e', 'E'])
                .and_then(|p| p.parse::<i32>().ok())
                .ok_or(ParseQuantityError)?;
            if (-18..=18).contains(&power) { Ok((1, power)) } else { Err(ParseQuantityError) }
        }
    }
}

/// The shortest decimal form, in thousandths where it is not whole.
impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(ONE, ""), (ONE / 1_000, "m"), (ONE / 1_000_000, "u"), (1, "n")];
        let (unit, suffix) = units.into_iter().find(|(unit, _)| self.nano % unit == 0).unwrap_or((1, "n"));
        write!(f, "{}{suffix}", self.nano / unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_written_as_upstream_writes_them() {
        for (text, want) in [
            ("0.5", "500m"),
            ("1000m", "1"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("512Ki", "512Ki"),
            ("0.5Ki", "512"),
            ("0.1Ki", "102400m"),
            ("1000", "1k"),
            ("1073741824", "1073741824"),
            ("1500k", "1500k"),
            ("2000M", "2G"),
            ("1e3", "1e3"),
            ("1.5e3", "1500"),
            ("1E", "1E"),
            ("100n", "100n"),
            ("-1024Mi", "-1Gi"),
            ("+1", "1"),
            ("00.500", "500m"),
            ("0Gi", "0"),
        ] {
            let got = canonical(text).unwrap();
            assert_eq!(got, want, "{text}");
            assert_eq!(canonical(&got).as_deref(), Ok(want), "{text}: again");
            assert_eq!(got.parse::<Quantity>(), text.parse(), "{text}: the same amount");
        }
        assert!(canonical("lots").is_err());
    }

    #[test]
    fn quantities_mean_what_upstream_says() {
        let cases = [
            ("100m", 1, 100),
            ("1", 1, 1000),
            ("1.5", 2, 1500),
            ("1Ki", 1024, 1_024_000),
            ("1.5Gi", 1_610_612_736, 1_610_612_736_000),
            ("2e3", 2000, 2_000_000),
            ("128974848", 128_974_848, 128_974_848_000),
            ("129M", 129_000_000, 129_000_000_000),
            ("0.5", 1, 500),
            ("1E", EXA as i64, i64::MAX),
            ("500u", 1, 1),
        ];
        for (text, value, milli) in cases {
            let quantity: Quantity = text.parse().unwrap();
            assert_eq!((quantity.value(), quantity.milli()), (value, milli), "{text}");
        }
        for bad in ["", "x", "1x", "1.2.3", "1e", "--1", "1 Gi", "1KI"] {
            assert!(bad.parse::<Quantity>().is_err(), "{bad:?}");
        }
    }
}
