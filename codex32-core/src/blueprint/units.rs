//! How lengths of time and numbers of bytes are written.

use std::fmt;
use std::str::FromStr;

use super::types::{Bytes, Span};

/// Units of time, greatest first.
const TIME: [(&str, u64); 6] =
    [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Units of size. The binary ones stand first in their order of greatness.
const SIZE: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

/// Longest length of time: 100 years.
const MAX_SPAN: u64 = 100 * 366 * 86_400_000;

/// Greatest size: 1 PiB.
const MAX_BYTES: u64 = 1 << 50;

impl FromStr for Span {
    type Err = String;

    /// Parses `250ms`, `5m`, `1h30m`, `2d`, `1w`. The error says what is wrong and how to write it.
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(format!("a length of time needs a unit: `{text}s` for seconds, `{text}m` for minutes"));
        }
        let wrong = || "a length of time is written like `30s`, `5m`, `1h30m` or `2d`".to_owned();
        let mut rest = text;
        let mut total = 0_u64;
        let mut greatest = u64::MAX;
        while !rest.is_empty() {
            let (number, unit, after) = piece(rest).ok_or_else(wrong)?;
            let (_, scale) = TIME.into_iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
            if scale >= greatest {
                return Err(wrong());
            }
            greatest = scale;
            total = number.checked_mul(scale).and_then(|ms| total.checked_add(ms)).unwrap_or(u64::MAX);
            rest = after;
        }
        match total {
            _ if text.is_empty() => Err(wrong()),
            total if total > MAX_SPAN => Err("a length of time is at most 100 years".to_owned()),
            total => Ok(Span(total)),
        }
    }
}

impl fmt::Display for Span {
    /// The shortest exact form: `1h30m`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.0;
        // Weeks read well only alone: `2w`, but `15d`.
        if rest.is_multiple_of(TIME[0].1) {
            return write!(f, "{}w", rest / TIME[0].1);
        }
        for (unit, scale) in &TIME[1..] {
            if rest >= *scale {
                write!(f, "{}{unit}", rest / scale)?;
                rest %= scale;
            }
        }
        Ok(())
    }
}

impl FromStr for Bytes {
    type Err = String;

    /// Parses `512KiB`, `256MB`, `1GiB`, `100B`. The error says what is wrong and how to write it.
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let wrong = || "a size is written like `512KiB`, `256MiB` or `1GiB`".to_owned();
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(format!("a size needs a unit: `{text}MiB`, `{text}KiB` or `{text}B`"));
        }
        let (number, unit, rest) = piece(text).ok_or_else(wrong)?;
        let known = SIZE.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(unit));
        let (_, scale) = known.filter(|_| rest.is_empty()).ok_or_else(wrong)?;
        match number.checked_mul(scale) {
            Some(bytes) if bytes <= MAX_BYTES => Ok(Bytes(bytes)),
            _ => Err("a size is at most 1024TiB".to_owned()),
        }
    }
}

impl fmt::Display for Bytes {
    /// In the greatest unit that gives a whole number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |(_, scale): &(&str, u64)| self.0 >= *scale && self.0.is_multiple_of(*scale);
        let (unit, scale) = SIZE.into_iter().find(fits).unwrap_or(("B", 1));
        write!(f, "{}{unit}", self.0 / scale)
    }
}

/// The number and the unit at the start of `text`, and what follows.
fn piece(text: &str) -> Option<(u64, &str, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let number = text[..digits].parse().ok()?;
    let rest = text[digits..].trim_start();
    let unit = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
    Some((number, &rest[..unit], rest[unit..].trim_start()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lengths_of_time_are_read() {
        let good = [("250ms", 250), ("5m", 300_000), ("1h30m", 5_400_000), ("2d", 172_800_000), ("1h 30m", 5_400_000)];
        for (text, ms) in good {
            assert_eq!(text.parse(), Ok(Span(ms)), "{text}");
        }
        for text in ["", "5", "m", "5x", "5m5m", "5s1m", "-5m", "1.5h", "999999999999d"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_read() {
        for (text, bytes) in [("512KiB", 524_288), ("256MB", 256_000_000), ("1gib", 1 << 30), ("7B", 7)] {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
        }
        for text in ["", "5", "KiB", "5 parsecs", "1GiB5", "9999999TiB"] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn printing_and_reading_are_inverse(span in 0..=MAX_SPAN, bytes in 0..=MAX_BYTES) {
            prop_assert_eq!(Span(span).to_string().parse(), Ok(Span(span)));
            prop_assert_eq!(Bytes(bytes).to_string().parse(), Ok(Bytes(bytes)));
        }
    }
}
