//! Read and printed as Go does.

use super::*;

const MINUTE: i64 = 60_000_000_000;
const HOUR: i64 = 60 * MINUTE;

#[test]
fn what_go_reads() {
    let cases = [
        ("0", 0),
        ("-0", 0),
        ("+0", 0),
        ("5s", 5_000_000_000),
        ("30s", 30_000_000_000),
        ("-5s", -5_000_000_000),
        ("+5s", 5_000_000_000),
        ("5.0s", 5_000_000_000),
        ("5.s", 5_000_000_000),
        (".5s", 500_000_000),
        ("5.6s", 5_600_000_000),
        ("1.004s", 1_004_000_000),
        ("100.00100s", 100_001_000_000),
        ("10ns", 10),
        ("0.9ns", 0),
        ("11us", 11_000),
        ("12\u{b5}s", 12_000),
        ("12\u{3bc}s", 12_000),
        ("13ms", 13_000_000),
        ("15m", 15 * MINUTE),
        ("16h", 16 * HOUR),
        ("3h30m", 3 * HOUR + 30 * MINUTE),
        ("10.5s4m", 4 * MINUTE + 10_500_000_000),
        ("-2m3.4s", -2 * MINUTE - 3_400_000_000),
        ("1h2m3s4ms5us6ns", HOUR + 2 * MINUTE + 3_004_005_006),
        ("1h1h", 2 * HOUR),
        // more digits than a float has
        ("52763797000ns", 52_763_797_000),
        ("0.3333333333333333333h", 20 * MINUTE),
        ("0.100000000000000000000h", 6 * MINUTE),
        ("0.9223372036854775807h", 3_320_413_933_267),
        // to the ends
        ("9223372036854775807ns", i64::MAX),
        ("9223372036854775.807us", i64::MAX),
        ("9223372036s854ms775us807ns", i64::MAX),
        ("-9223372036854775808ns", i64::MIN),
    ];
    for (text, want) in cases {
        assert_eq!(parse(text), Ok(want), "{text}");
    }
}

#[test]
fn what_go_refuses() {
    let cases = [
        ("", r#"time: invalid duration """#),
        ("3", r#"time: missing unit in duration "3""#),
        ("1.5", r#"time: missing unit in duration "1.5""#),
        ("1h5", r#"time: missing unit in duration "1h5""#),
        ("-", r#"time: invalid duration "-""#),
        ("--1s", r#"time: invalid duration "--1s""#),
        ("s", r#"time: invalid duration "s""#),
        (".", r#"time: invalid duration ".""#),
        ("-.s", r#"time: invalid duration "-.s""#),
        ("9223372036854775809", r#"time: invalid duration "9223372036854775809""#),
        ("1.2.3s", r#"time: missing unit in duration "1.2.3s""#),
        (" 1s", r#"time: invalid duration " 1s""#),
        ("1d", r#"time: unknown unit "d" in duration "1d""#),
        ("1 s", r#"time: unknown unit " s" in duration "1 s""#),
        ("1S", r#"time: unknown unit "S" in duration "1S""#),
        ("1s-5m", r#"time: unknown unit "s-" in duration "1s-5m""#),
        ("1e3s", r#"time: unknown unit "e" in duration "1e3s""#),
        ("\"\\\n\u{e9}", r#"time: invalid duration "\"\\\x0a\xc3\xa9""#),
        ("9223372036854775808ns", r#"time: invalid duration "9223372036854775808ns""#),
        ("9223372036854775.808us", r#"time: invalid duration "9223372036854775.808us""#),
        ("-9223372036854775809ns", r#"time: invalid duration "-9223372036854775809ns""#),
        ("9999999999999999999999s", r#"time: invalid duration "9999999999999999999999s""#),
        ("3000000h", r#"time: invalid duration "3000000h""#),
    ];
    for (text, want) in cases {
        assert_eq!(parse(text).unwrap_err().to_string(), want, "{text}");
    }
}

#[test]
fn some_can_not_be_negative() {
    assert_eq!(parse_unsigned("1h1.5s"), Some(Duration::from_millis(3_601_500)));
    assert_eq!(parse_unsigned("0"), Some(Duration::ZERO));
    assert_eq!(parse_unsigned("-1ns"), None);
    assert_eq!(parse_unsigned("x"), None);
}

#[test]
fn what_is_printed_is_what_go_prints_and_reads() {
    let cases = [
        (0, "0s"),
        (1, "1ns"),
        (1_100, "1.1\u{b5}s"),
        (2_200_000, "2.2ms"),
        (45_000_000, "45ms"),
        (500_000_000, "500ms"),
        (1_050_000_000, "1.05s"),
        (10_000_000_000, "10s"),
        (MINUTE, "1m0s"),
        (MINUTE + 50_000_000, "1m0.05s"),
        (5 * MINUTE + 1, "5m0.000000001s"),
        (HOUR, "1h0m0s"),
        (HOUR + 5_000_000_000, "1h0m5s"),
        (-HOUR, "-1h0m0s"),
        (-1_500_000, "-1.5ms"),
        (i64::MAX, "2562047h47m16.854775807s"),
        (i64::MIN, "-2562047h47m16.854775808s"),
    ];
    for (nanoseconds, want) in cases {
        assert_eq!(print_nanoseconds(nanoseconds), want);
        assert_eq!(parse(want), Ok(nanoseconds), "{want}");
    }
    assert_eq!(print(Duration::from_secs(90)), "1m30s");
    assert_eq!(print_millis(Duration::new(61, 50_999_999)), "1m1.05s");
    assert_eq!(print_millis(Duration::from_nanos(999_999)), "0s");
    assert_eq!(print(Duration::MAX), "2562047h47m16.854775807s");
}
