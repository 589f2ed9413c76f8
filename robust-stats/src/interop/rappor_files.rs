//! The file formats of RAPPOR: parameters, counts and candidate maps.
//!
//! - Parameters: the header `k,h,m,p,q,f` and one line.
//! - Counts: one line a cohort: the number of reports, and then how often each bit was set.
//! - Map: one line a candidate: its name, and the bits that it sets, from 1, cohort after cohort
//!   (`cohort * k + bit + 1`). Names may be quoted, and then hold commas.

use std::fmt::Write;

use crate::aggregate::{Aggregate, RejectCounts};
use crate::error::RobustStatsError;
use crate::mechanism::Rappor;

/// The parameters as a file.
#[must_use]
pub fn write_parameters(rappor: &Rappor) -> String {
    let [p, q, f] = rappor.parameters();
    let (bits, hashes, cohorts) = (rappor.bits(), rappor.hashes(), rappor.cohorts());
    format!("k,h,m,p,q,f\n{bits},{hashes},{cohorts},{p},{q},{f}\n")
}

/// Reads a file of parameters.
///
/// # Errors
///
/// When it is not a header and one line of six numbers, with the line, or a parameter is out of range.
pub fn read_parameters(text: &str) -> Result<Rappor, RobustStatsError> {
    let format = "RAPPOR parameters";
    let mut lines = text.lines();
    let header = lines.next().unwrap_or_default().trim();
    if header != "k,h,m,p,q,f" {
        return Err(wrong(format, 1, "the header k,h,m,p,q,f", header));
    }
    let line = lines.next().unwrap_or_default();
    let fields: Vec<&str> = line.split(',').map(str::trim).collect();
    let [k, h, m, p, q, f] = fields[..] else {
        return Err(wrong(format, 2, "six numbers", line));
    };
    let size = |field: &str| {
        let number = field.parse::<usize>();
        number.map_err(|_| wrong(format, 2, "a whole number", field))
    };
    let probability = |field: &str| {
        let number = field.parse::<f64>();
        number.map_err(|_| wrong(format, 2, "a number from 0 to 1", field))
    };
    if let Some(more) = lines.find(|line| !line.trim().is_empty()) {
        return Err(wrong(format, 3, "the end", more));
    }
    Rappor::new(
        size(k)?,
        size(h)?,
        size(m)?,
        [probability(p)?, probability(q)?, probability(f)?],
    )
}

/// The counts as a file.
#[must_use]
pub fn write_counts(aggregate: &Aggregate<Rappor>) -> String {
    let mut text = String::new();
    for cohort in aggregate
        .counts()
        .chunks_exact(aggregate.mechanism().bits() + 1)
    {
        let numbers: Vec<String> = cohort.iter().map(ToString::to_string).collect();
        text.push_str(&numbers.join(","));
        text.push('\n');
    }
    text
}

/// Reads a file of counts.
///
/// # Errors
///
/// When there is not one line per cohort, a line does not have the number of reports and one count per
/// bit, or a count exceeds the number of reports, with the line number.
pub fn read_counts(rappor: Rappor, text: &str) -> Result<Aggregate<Rappor>, RobustStatsError> {
    let format = "RAPPOR counts";
    let mut counts = Vec::new();
    let mut reports = 0_u64;
    let mut lines = 0;
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        lines += 1;
        if lines > rappor.cohorts() {
            let expected = format!("{} cohorts", rappor.cohorts());
            return Err(wrong(format, number, &expected, "more lines"));
        }
        let start = counts.len();
        for field in line.split(',') {
            let count = field.trim().parse::<u64>();
            counts.push(count.map_err(|_| wrong(format, number, "a count", field))?);
        }
        let row = &counts[start..];
        if row.len() != rappor.bits() + 1 {
            let expected = format!("{} counts", rappor.bits() + 1);
            return Err(wrong(format, number, &expected, &row.len().to_string()));
        }
        if let Some(above) = row.iter().find(|&&count| count > row[0]) {
            let expected = format!("at most the number of reports, {}", row[0]);
            return Err(wrong(format, number, &expected, &above.to_string()));
        }
        reports = reports.saturating_add(row[0]);
    }
    if lines != rappor.cohorts() {
        let expected = format!("{} cohorts", rappor.cohorts());
        return Err(wrong(format, lines as u64, &expected, "end of file"));
    }
    Aggregate::from_counts(rappor, reports, counts, RejectCounts::default())
}

/// Candidates and their Bloom filter bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CandidateMap {
    /// The names.
    pub candidates: Vec<String>,
    /// The bits of each candidate as `cohort * k + bit`, from 0, sorted and unique.
    pub bits: Vec<Vec<u32>>,
}

impl CandidateMap {
    /// Hashes the candidates as the clients do.
    #[must_use]
    pub fn of(rappor: &Rappor, candidates: Vec<String>) -> Self {
        let size = u32::try_from(rappor.bits()).expect("at most 256 bits");
        let cohorts = u32::try_from(rappor.cohorts()).expect("at most 2^20 cohorts");
        let bits_of = |name: &String| {
            let set = (0..cohorts).flat_map(|cohort| {
                let bits = rappor.bloom_bits(cohort, name.as_bytes());
                bits.into_iter().map(move |bit| cohort * size + bit)
            });
            let mut set: Vec<u32> = set.collect();
            set.sort_unstable();
            set.dedup();
            set
        };
        Self {
            bits: candidates.iter().map(bits_of).collect(),
            candidates,
        }
    }
}

/// The map as a file.
#[must_use]
pub fn write_map(map: &CandidateMap) -> String {
    let mut text = String::new();
    for (name, bits) in map.candidates.iter().zip(&map.bits) {
        if name.contains([',', '"', '\n', '\r']) {
            text.push('"');
            text.push_str(&name.replace('"', "\"\""));
            text.push('"');
        } else {
            text.push_str(name);
        }
        for bit in bits {
            // Writing to a string cannot fail.
            let _ = write!(text, ",{}", u64::from(*bit) + 1);
        }
        text.push('\n');
    }
    text
}

/// Reads a map.
///
/// # Errors
///
/// When a quoted name is not closed, or a bit is not in `1..=m k`, with the line number.
pub fn read_map(rappor: &Rappor, text: &str) -> Result<CandidateMap, RobustStatsError> {
    let format = "RAPPOR map";
    let mut map = CandidateMap {
        candidates: Vec::new(),
        bits: Vec::new(),
    };
    let max = rappor.bits() * rappor.cohorts();
    let mut rest = text;
    let mut number = 1_u64;
    while !rest.is_empty() {
        let (name, fields) = split_name(rest)
            .ok_or_else(|| wrong(format, number, "a closing quote", "end of file"))?;
        let (fields, following) = fields.split_once('\n').unwrap_or((fields, ""));
        let (name, fields) = (name, fields.trim_end_matches('\r'));
        // A quoted name may span lines, so line numbers advance by the consumed text.
        let lines = rest.len() - following.len();
        if !(fields.is_empty() || fields.starts_with(',')) {
            return Err(wrong(format, number, "a comma after the name", fields));
        }
        if !(name.is_empty() && fields.is_empty()) {
            let mut bits = Vec::new();
            for field in fields.split(',').skip(1) {
                match field.trim().parse::<usize>() {
                    Ok(bit) if (1..=max).contains(&bit) => {
                        bits.push(u32::try_from(bit - 1).expect("at most 2^28"));
                    }
                    _ => {
                        let expected = format!("a bit in 1..={max}");
                        return Err(wrong(format, number, &expected, field));
                    }
                }
            }
            // The same bit may be set by several hash functions.
            bits.sort_unstable();
            bits.dedup();
            map.candidates.push(name);
            map.bits.push(bits);
        }
        number += rest[..lines].matches('\n').count() as u64;
        rest = following;
    }
    Ok(map)
}

/// The first field of a line, without its quotes, and what follows it.
fn split_name(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', '\n', '\r']).unwrap_or(text.len());
        return Some((text[..end].to_owned(), &text[end..]));
    };
    let mut name = String::new();
    let mut rest = quoted;
    loop {
        let (part, after) = rest.split_once('"')?;
        name.push_str(part);
        match after.strip_prefix('"') {
            Some(more) => {
                name.push('"');
                rest = more;
            }
            None => return Some((name, after)),
        }
    }
}

fn wrong(format: &str, line: u64, expected: &str, found: &str) -> RobustStatsError {
    RobustStatsError::Line {
        path: format.to_owned(),
        line,
        expected: expected.to_owned(),
        found: found.chars().take(60).collect(),
    }
}
