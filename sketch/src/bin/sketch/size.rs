//! Numbers of bytes.

/// Reads a number of bytes: `4096`, `512KiB`, `2MiB`, `1.5GB`.
pub(crate) fn parse(text: &str) -> Result<usize, String> {
    let unit_at = text
        .find(|c: char| c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" => 1e3,
        "m" | "mb" => 1e6,
        "g" | "gb" => 1e9,
        "kib" => 1024.0,
        "mib" => 1024.0 * 1024.0,
        "gib" => 1024.0 * 1024.0 * 1024.0,
        _ => {
            return Err(format!(
                "unknown unit {unit:?}; known: B, kB, KiB, MB, MiB, GB, GiB"
            ));
        }
    };
    match number.trim().parse::<f64>() {
        Ok(number) if number > 0.0 && number * factor < 1e15 => Ok((number * factor) as usize),
        _ => Err("expected a number of bytes such as 4096, 512KiB or 2MiB".to_owned()),
    }
}

/// A number of bytes for people.
pub(crate) fn shown(bytes: usize) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    for (unit, name) in units {
        if bytes >= unit {
            let number = bytes as f64 / unit as f64;
            let decimals = if number.fract() == 0.0 { 0 } else { 1 };
            return format!("{number:.decimals$} {name}");
        }
    }
    format!("{bytes} B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(parse("4096"), Ok(4096));
        assert_eq!(parse("2MiB"), Ok(2 << 20));
        assert_eq!(parse("1.5kB"), Ok(1500));
        for text in ["", "x", "-1", "2 miles", "0", "1e99"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(shown(2 << 20), "2 MiB");
        assert_eq!(shown(1500), "1.5 KiB");
        assert_eq!(shown(15), "15 B");
    }
}
