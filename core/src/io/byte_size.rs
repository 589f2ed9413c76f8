//! Sizes in bytes as people write them.

use std::fmt;
use std::str::FromStr;

/// A size in bytes, at least 1.
///
/// It is written as a number and a unit: `4096`, `512KiB`, `1.5 GB`. `B` or no unit is bytes; `k`,
/// `M`, `G` and `T`, also with `B`, are powers of 1000; `KiB`, `MiB`, `GiB` and `TiB` are powers of
/// 1024. Case does not matter, and a fraction of a byte is cut off.
///
/// ```
/// use septet_core::io::ByteSize;
///
/// assert_eq!("64MiB".parse(), Ok(ByteSize(64 << 20)));
/// assert_eq!("1.5kB".parse(), Ok(ByteSize(1500)));
/// assert_eq!(ByteSize(1536).to_string(), "1.5 KiB");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

/// A text is not a size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a size such as 4096, 512KiB or 1.5GB, found {text:?}")]
pub struct ByteSizeError {
    text: String,
}

impl FromStr for ByteSize {
    type Err = ByteSizeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).map(Self).ok_or_else(|| ByteSizeError {
            text: text.to_owned(),
        })
    }
}

fn parse(text: &str) -> Option<u64> {
    // `1e6` has a letter, but no unit.
    let unit_at = match text.parse::<f64>() {
        Ok(_) => text.len(),
        Err(_) => text.find(|c: char| c.is_ascii_alphabetic())?,
    };
    let (number, unit) = text.split_at(unit_at);
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1_000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "t" | "tb" => 1_000_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return None,
    };
    let number = number.trim_end();
    // Whole numbers are exact, also beyond the 53 bits of a float.
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor).filter(|&bytes| bytes > 0);
    }
    let bytes = number.parse::<f64>().ok()? * factor as f64;
    (1.0..2_f64.powi(64))
        .contains(&bytes)
        .then_some(bytes as u64)
}

impl fmt::Display for ByteSize {
    /// The size in the largest binary unit of which it has at least one, with one decimal unless it
    /// is whole.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
        let largest = units.into_iter().find(|(bits, _)| self.0 >> bits > 0);
        let text = match largest {
            None => format!("{} B", self.0),
            Some((bits, unit)) => {
                let number = self.0 as f64 / 2_f64.powi(bits);
                let decimals = usize::from(number.fract() != 0.0);
                format!("{number:.decimals$} {unit}")
            }
        };
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [
            ("4096", 4096),
            ("4096 B", 4096),
            ("2MiB", 2 << 20),
            ("2 mib", 2 << 20),
            ("1.5kB", 1500),
            ("1e6", 1_000_000),
            ("0.5KiB", 512),
            ("3T", 3_000_000_000_000),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
        for text in [
            "",
            "x",
            "-1",
            "2 miles",
            "0",
            "0.5",
            "1e99",
            "nan",
            "inf",
            "MiB",
            "1 2",
            "99999999TiB",
        ] {
            let error = text.parse::<ByteSize>().unwrap_err().to_string();
            assert!(error.ends_with(&format!("found {text:?}")), "{error}");
        }
    }

    #[test]
    fn sizes_are_printed_for_people() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1500, "1.5 KiB"),
            (2 << 20, "2 MiB"),
            (5 << 39, "2.5 TiB"),
        ] {
            assert_eq!(ByteSize(bytes).to_string(), text);
        }
        assert_eq!(format!("{:>8}", ByteSize(15)), "    15 B");
    }
}
