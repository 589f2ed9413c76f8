//! Synthetic traces: infinite streams of requests, deterministic for a seed.
//!
//! A [`Pattern`] parses from its name with optional named parameters: `Zipf(objects=1000, alpha=0.9)`,
//! `Scan(pages=1100)`. [`phases`] concatenates patterns, and [`LogNormalSizes`] assigns object sizes.
//!
//! ```
//! use septet_cache::SeedTree;
//! use septet_cache::trace::Trace;
//! use septet_cache::trace::generate::{Pattern, Phase, phases};
//!
//! let seed = SeedTree::new(7);
//! let zipf: Pattern = "Zipf(objects=1000, alpha=0.9)".parse()?;
//! let trace = Trace::from_records(zipf.requests(&seed)?.take(5000).map(Ok))?;
//! assert_eq!(trace.len(), 5000);
//!
//! // A scan interrupts the Zipf requests, which then go on with the same pages.
//! let phase = |pattern, requests| Phase { pattern, requests };
//! let scan = Pattern::Scan { pages: 3000 };
//! let requests = phases(&[phase(zipf, 5000), phase(scan, 3000), phase(zipf, 5000)], &seed)?;
//! assert_eq!(requests.count(), 13_000);
//! # Ok::<(), septet_cache::CacheError>(())
//! ```

mod phases;
mod program;
mod sizes;
mod stack_distance;
mod zipf;

use std::fmt;
use std::str::FromStr;

use rand::Rng;
use septet_core::seed::SeedTree;

use crate::error::CacheError;
use crate::trace::record::Record;

pub use phases::{Phase, phases};
pub use program::Program;
pub use sizes::LogNormalSizes;

/// An infinite stream of requests.
pub type Requests = Box<dyn Iterator<Item = Record> + Send>;

/// A distribution of request sequences. Pages are numbered from 0.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Pattern {
    /// Independent draws: page r - 1 with a probability proportional to r^-alpha.
    Zipf {
        /// Number of pages, from 1.
        objects: u64,
        /// The exponent, from 0 (uniform).
        alpha: f64,
    },
    /// [`Pattern::Zipf`] with drifting popularity: after every `period` requests the ranks rotate by
    /// one, and the least popular page becomes the most popular.
    DriftingZipf {
        /// Number of pages, from 1.
        objects: u64,
        /// The exponent, from 0 (uniform).
        alpha: f64,
        /// Requests per rotation, from 1.
        period: u64,
    },
    /// A cyclic scan of all pages: LRU never hits with fewer slots than pages.
    Scan {
        /// Number of pages, from 1.
        pages: u64,
    },
    /// Stack distances with a Pareto distribution, P(depth >= d) = d^-alpha. A depth beyond the LRU
    /// stack requests a new page, up to `pages` pages, and then the deepest one. LRU is the optimal
    /// online policy.
    StackDistance {
        /// The exponent, above 0.
        alpha: f64,
        /// Number of pages, from 1. Time per request is proportional to its depth.
        pages: usize,
    },
    /// Alternating uniform requests of a small and a large set of pages, as in the two-pool
    /// experiment of the LRU-K paper (O'Neil et al., SIGMOD 1993). Favors frequency over recency.
    TwoPools {
        /// Pages of the small set, from 1.
        hot: u64,
        /// Pages of the large set, from 1.
        cold: u64,
    },
    /// Uniformly random pages. With k + 1 pages for k slots, the worst case of marking algorithms.
    Uniform {
        /// Number of pages, from 1.
        pages: u64,
    },
    /// Memory accesses of loops over arrays, with program counters.
    Program {
        /// The shape of the loops.
        program: Program,
        /// Total cache lines of 64 bytes of the arrays, from 64. The sampled sets of the simulated
        /// last-level cache have 1 024.
        lines: u64,
    },
}

/// The patterns with their default parameters.
const PATTERNS: [Pattern; 10] = [
    Pattern::Zipf {
        objects: 10_000,
        alpha: 1.0,
    },
    Pattern::DriftingZipf {
        objects: 10_000,
        alpha: 1.0,
        period: 100,
    },
    Pattern::Scan { pages: 1_000 },
    Pattern::StackDistance {
        alpha: 0.5,
        pages: 10_000,
    },
    Pattern::TwoPools {
        hot: 100,
        cold: 10_000,
    },
    Pattern::Uniform { pages: 101 },
    Pattern::Program {
        program: Program::Mcf,
        lines: 2_000,
    },
    Pattern::Program {
        program: Program::Libquantum,
        lines: 9_000,
    },
    Pattern::Program {
        program: Program::Lbm,
        lines: 10_000,
    },
    Pattern::Program {
        program: Program::Astar,
        lines: 40_000,
    },
];

impl Pattern {
    /// The requests for a seed.
    ///
    /// # Errors
    /// [`CacheError::Argument`] for a parameter out of range.
    pub fn requests(&self, seed: &SeedTree) -> Result<Requests, CacheError> {
        self.check()?;
        let mut rng = seed.rng();
        Ok(match *self {
            Self::Zipf { objects, alpha } => {
                let mut ranks = zipf::Ranks::new(objects, alpha, rng)?;
                forever(move || ranks.draw())
            }
            Self::DriftingZipf {
                objects,
                alpha,
                period,
            } => {
                let mut ranks = zipf::Ranks::new(objects, alpha, rng)?;
                let mut request = 0;
                forever(move || {
                    // After s rotations, page p has rank p + s modulo n.
                    let shift = request / period % objects;
                    request += 1;
                    (ranks.draw() + objects - shift) % objects
                })
            }
            Self::Scan { pages } => Box::new((0..pages).cycle().map(Record::from_id)),
            Self::StackDistance { alpha, pages } => {
                let mut stack = stack_distance::Stack::new(alpha, pages, rng)?;
                forever(move || stack.draw())
            }
            Self::TwoPools { hot, cold } => {
                let mut is_hot = false;
                forever(move || {
                    is_hot = !is_hot;
                    match is_hot {
                        true => rng.random_range(0..hot),
                        false => hot + rng.random_range(0..cold),
                    }
                })
            }
            Self::Uniform { pages } => forever(move || rng.random_range(0..pages)),
            Self::Program { program, lines } => program.accesses(lines, rng),
        })
    }

    /// Checks the ranges of the parameters.
    fn check(&self) -> Result<(), CacheError> {
        // Phases use the bits above for disjoint ids.
        const MAX_PAGES: u64 = 1 << 40;
        let (pages, minimum) = match *self {
            Self::Zipf { objects, .. } | Self::DriftingZipf { objects, .. } => {
                (("objects", objects), 1)
            }
            Self::Scan { pages } | Self::Uniform { pages } => (("pages", pages), 1),
            Self::StackDistance { pages, .. } => (("pages", pages as u64), 1),
            Self::TwoPools { hot, cold } if hot < 1 || cold < 1 => (("hot or cold", 0), 1),
            Self::TwoPools { hot, cold } => (("hot + cold", hot.saturating_add(cold)), 1),
            Self::Program { lines, .. } => (("lines", lines), 64),
        };
        let (name, value) = pages;
        if value < minimum || value > MAX_PAGES {
            let expected = match minimum {
                1 => "an integer in 1..=2^40",
                _ => "an integer in 64..=2^40",
            };
            return Err(argument(name, value, expected));
        }
        if let Self::DriftingZipf { period: 0, .. } = self {
            return Err(argument("period", 0, "an integer of at least 1"));
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Zipf { .. } => "Zipf",
            Self::DriftingZipf { .. } => "DriftingZipf",
            Self::Scan { .. } => "Scan",
            Self::StackDistance { .. } => "StackDistance",
            Self::TwoPools { .. } => "TwoPools",
            Self::Uniform { .. } => "Uniform",
            Self::Program { program, .. } => program.name(),
        }
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), CacheError> {
        match (key, &mut *self) {
            ("objects", Self::Zipf { objects, .. } | Self::DriftingZipf { objects, .. }) => {
                *objects = parse("objects", value)?;
            }
            (
                "alpha",
                Self::Zipf { alpha, .. }
                | Self::DriftingZipf { alpha, .. }
                | Self::StackDistance { alpha, .. },
            ) => *alpha = parse("alpha", value)?,
            ("period", Self::DriftingZipf { period, .. }) => *period = parse("period", value)?,
            ("pages", Self::Scan { pages } | Self::Uniform { pages }) => {
                *pages = parse("pages", value)?;
            }
            ("pages", Self::StackDistance { pages, .. }) => *pages = parse("pages", value)?,
            ("hot", Self::TwoPools { hot, .. }) => *hot = parse("hot", value)?,
            ("cold", Self::TwoPools { cold, .. }) => *cold = parse("cold", value)?,
            ("lines", Self::Program { lines, .. }) => *lines = parse("lines", value)?,
            _ => {
                return Err(CacheError::UnknownName {
                    what: "pattern parameter",
                    name: key.to_owned(),
                    known: self.to_string(),
                });
            }
        }
        Ok(())
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name();
        match self {
            Self::Zipf { objects, alpha } => {
                write!(f, "{name}(objects={objects}, alpha={alpha})")
            }
            Self::DriftingZipf {
                objects,
                alpha,
                period,
            } => write!(
                f,
                "{name}(objects={objects}, alpha={alpha}, period={period})"
            ),
            Self::Scan { pages } | Self::Uniform { pages } => write!(f, "{name}(pages={pages})"),
            Self::StackDistance { alpha, pages } => {
                write!(f, "{name}(alpha={alpha}, pages={pages})")
            }
            Self::TwoPools { hot, cold } => write!(f, "{name}(hot={hot}, cold={cold})"),
            Self::Program { lines, .. } => write!(f, "{name}(lines={lines})"),
        }
    }
}

impl FromStr for Pattern {
    type Err = CacheError;

    /// # Errors
    /// [`CacheError::UnknownName`] for an unknown pattern or parameter; [`CacheError::Argument`] for
    /// a value that is malformed or out of range.
    fn from_str(text: &str) -> Result<Self, CacheError> {
        let (name, parameters) = match text.trim().strip_suffix(')') {
            Some(text) => text.split_once('(').unwrap_or((text, "")),
            None => (text.trim(), ""),
        };
        let mut pattern = PATTERNS
            .into_iter()
            .find(|pattern| pattern.name().eq_ignore_ascii_case(name.trim()))
            .ok_or_else(|| CacheError::UnknownName {
                what: "pattern",
                name: name.to_owned(),
                known: PATTERNS.map(|pattern| pattern.to_string()).join(", "),
            })?;
        for parameter in parameters.split(',').filter(|text| !text.trim().is_empty()) {
            let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            pattern.set(key.trim(), value.trim())?;
        }
        pattern.check()?;
        Ok(pattern)
    }
}

fn parse<T: FromStr>(name: &'static str, value: &str) -> Result<T, CacheError> {
    value.parse().map_err(|_| argument(name, value, "a number"))
}

fn argument(name: &'static str, value: impl fmt::Display, expected: &'static str) -> CacheError {
    CacheError::Argument {
        name,
        value: value.to_string(),
        expected,
    }
}

fn forever(mut draw: impl FnMut() -> u64 + Send + 'static) -> Requests {
    Box::new(std::iter::repeat_with(move || Record::from_id(draw())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::number;

    /// A hash of the first requests.
    fn golden(requests: Requests) -> u64 {
        let bytes: Vec<u8> = requests
            .take(10_000)
            .flat_map(|record| [record.id, u64::from(record.size), record.pc.unwrap_or(0)])
            .flat_map(u64::to_le_bytes)
            .collect();
        number::hash(&bytes)
    }

    /// The hashes are those of the first run: a change is a change of every generated experiment.
    #[test]
    fn patterns_draw_what_they_always_drew() {
        let seed = SeedTree::new(1);
        let hashes = PATTERNS.map(|pattern| {
            let hash = golden(pattern.requests(&seed).unwrap());
            (pattern.to_string(), format!("{hash:016x}"))
        });
        let expected = [
            ("Zipf(objects=10000, alpha=1)", "0b83fcb0ac123c1f"),
            (
                "DriftingZipf(objects=10000, alpha=1, period=100)",
                "f30fbd6c40d45154",
            ),
            ("Scan(pages=1000)", "8dab34542273afc5"),
            ("StackDistance(alpha=0.5, pages=10000)", "8fe476efbf444697"),
            ("TwoPools(hot=100, cold=10000)", "9b5fc29c4c45f308"),
            ("Uniform(pages=101)", "bceeaa216ca27db9"),
            ("mcf-like(lines=2000)", "473fd6a787f9375e"),
            ("libquantum-like(lines=9000)", "7c677ea4fcfbb89d"),
            ("lbm-like(lines=10000)", "0224fc7f6885ce9d"),
            ("astar-like(lines=40000)", "200d88573d017a06"),
        ];
        let hashes = hashes
            .each_ref()
            .map(|(name, hash)| (name.as_str(), hash.as_str()));
        assert_eq!(hashes, expected);
    }

    #[test]
    fn patterns_are_written_as_they_are_read() {
        for pattern in PATTERNS {
            assert_eq!(pattern.to_string().parse::<Pattern>().unwrap(), pattern);
        }
        let zipf: Pattern = " zipf ( alpha = 0.5 ) ".parse().unwrap();
        let expected = Pattern::Zipf {
            objects: 10_000,
            alpha: 0.5,
        };
        assert_eq!(zipf, expected);
        for wrong in [
            "Zip",
            "Zipf(pages=3)",
            "Zipf(objects=x)",
            "Zipf(objects=0)",
            "Zipf(objects",
            "Scan(pages=2000000000000)",
            "TwoPools(hot=0)",
            "mcf-like(lines=3)",
            "DriftingZipf(period=0)",
        ] {
            assert!(wrong.parse::<Pattern>().is_err(), "{wrong}");
        }
        for wrong in [f64::NAN, -1.0, f64::INFINITY] {
            let pattern = Pattern::Zipf {
                objects: 5,
                alpha: wrong,
            };
            assert!(pattern.requests(&SeedTree::new(0)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn pages_stay_in_their_range() {
        for (text, pages) in [
            ("Zipf(objects=7)", 7),
            ("DriftingZipf(objects=7, period=3)", 7),
            ("Scan(pages=7)", 7),
            ("StackDistance(pages=7)", 7),
            ("TwoPools(hot=3, cold=4)", 7),
            ("Uniform(pages=7)", 7),
        ] {
            let pattern: Pattern = text.parse().unwrap();
            let mut counts = vec![0; pages];
            for record in pattern.requests(&SeedTree::new(3)).unwrap().take(10_000) {
                counts[record.id as usize] += 1;
            }
            assert!(counts.iter().all(|&count| count > 0), "{text}: {counts:?}");
        }
    }
}
