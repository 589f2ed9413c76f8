//! Policies by name.

use std::fmt;
use std::str::FromStr;

use septet_core::seed::SeedTree;

use crate::combine::{Combined, Rule};
use crate::error::CacheError;
use crate::learned::{
    AdaptiveQuery, FollowAndRobust, FollowPrediction, Guard, IntervalStart, LMarker, LNonMarker,
    MarkPredict, MarkZero, PredictionMarker, PredictiveMarker, Relaxation, RpbOnlineMin,
    TrustAndDoubt,
};
use crate::policy::{
    AdaptiveReplacement, Belady, BeladySize, Clock, Fifo, Gdsf, LeCar, Lfu, Lirs, Lru, Marker,
    OnlineMin, Policy, Random, S3Fifo, SegmentedLru, Sieve, TwoQueue, WTinyLfu,
};

/// Maximum nesting depth of combinations.
const MAX_DEPTH: usize = 4;

/// A policy by name, or a combination rule with its experts in parentheses.
///
/// Names ignore case and punctuation: `S3-FIFO` equals `s3fifo`. The rules are `D` (parameter
/// `gamma`), `R` (`epsilon`) and `FollowLeader` (`hysteresis`). Names such as `RobustFtP_D` are
/// aliases of the combinations in the study.
///
/// ```
/// use septet_cache::{PolicySpec, SeedTree};
/// use septet_cache::policy::Policy;
///
/// let spec: PolicySpec = "D(FtP, LRU, gamma=0.1)".parse()?;
/// let policy = spec.build(100, &SeedTree::new(0))?;
/// assert_eq!(policy.name(), "D(FtP, LRU)");
/// assert!(policy.needs().predictions);
/// assert!("LUR".parse::<PolicySpec>().is_err());
/// # Ok::<(), septet_cache::CacheError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct PolicySpec {
    form: Form,
}

#[derive(Clone, Debug, PartialEq)]
enum Form {
    Single(Kind),
    Combination(Rule, Vec<PolicySpec>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Lru,
    Fifo,
    Clock,
    Sieve,
    S3Fifo,
    TwoQueue,
    SegmentedLru,
    AdaptiveReplacement,
    Lirs,
    Lfu,
    WTinyLfu,
    LeCar,
    Random,
    Marker,
    OnlineMin,
    Gdsf,
    Belady,
    BeladySize,
    FollowPrediction,
    FtpMarking,
    PredictiveMarker,
    LMarker,
    LNonMarker,
    TrustAndDoubt,
    TrustAndDoubtKept,
    FollowAndRobust,
    Guard,
    RpbOnlineMin,
    MarkZero,
    MarkPredict,
    AdaptiveQuery,
}

/// The canonical name first, then its aliases.
const NAMES: [(Kind, &[&str]); 31] = [
    (Kind::Lru, &["LRU"]),
    (Kind::Fifo, &["FIFO"]),
    (Kind::Clock, &["CLOCK", "SecondChance"]),
    (Kind::Sieve, &["SIEVE"]),
    (Kind::S3Fifo, &["S3FIFO"]),
    (Kind::TwoQueue, &["2Q", "TwoQ"]),
    (Kind::SegmentedLru, &["SLRU"]),
    (Kind::AdaptiveReplacement, &["ARC"]),
    (Kind::Lirs, &["LIRS"]),
    (Kind::Lfu, &["LFU"]),
    (Kind::WTinyLfu, &["WTinyLFU", "TinyLFU"]),
    (Kind::LeCar, &["LeCaR"]),
    (Kind::Random, &["Random", "Rand"]),
    (Kind::Marker, &["Marker"]),
    (Kind::OnlineMin, &["OnlineMin"]),
    (Kind::Gdsf, &["GDSF"]),
    (Kind::Belady, &["Belady", "OPT", "MIN"]),
    (Kind::BeladySize, &["BeladySize"]),
    (
        Kind::FollowPrediction,
        &["FtP", "BlindOracle", "FollowPrediction"],
    ),
    (Kind::FtpMarking, &["FtPMarking"]),
    (Kind::PredictiveMarker, &["PredictiveMarker"]),
    (Kind::LMarker, &["LMarker"]),
    (Kind::LNonMarker, &["LNonMarker"]),
    (Kind::TrustAndDoubt, &["Trust&Doubt", "TrustAndDoubt"]),
    (Kind::TrustAndDoubtKept, &["Trust&Doubt-2021"]),
    (Kind::FollowAndRobust, &["F&R", "FollowAndRobust"]),
    (Kind::Guard, &["Guard"]),
    (Kind::RpbOnlineMin, &["RPB-OM"]),
    (Kind::MarkZero, &["Mark0", "MarkZero"]),
    (Kind::MarkPredict, &["Mark&Predict", "MarkAndPredict"]),
    (Kind::AdaptiveQuery, &["AdaptiveQuery"]),
];

/// The named combinations of the study: predictor first, robust policy second, parameter 0.01.
const STUDY: [(&str, [Kind; 2]); 3] = [
    ("RobustFtP", [Kind::FollowPrediction, Kind::Marker]),
    ("BlindOracle", [Kind::FollowPrediction, Kind::Lru]),
    ("LNonMarker", [Kind::LNonMarker, Kind::Marker]),
];

impl PolicySpec {
    /// The canonical names of all policies.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(_, names)| names[0])
    }

    /// Parses a comma-separated list of policies.
    ///
    /// # Errors
    /// That of the first policy that does not parse.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, CacheError> {
        split_outside_parentheses(text).map(str::parse).collect()
    }

    /// Whether the misses of the policy depend on the seed.
    #[must_use]
    pub fn is_randomized(&self) -> bool {
        match &self.form {
            Form::Single(kind) => matches!(
                kind,
                Kind::LeCar
                    | Kind::Random
                    | Kind::Marker
                    | Kind::OnlineMin
                    | Kind::BeladySize
                    | Kind::PredictiveMarker
                    | Kind::LMarker
                    | Kind::LNonMarker
                    | Kind::TrustAndDoubt
                    | Kind::TrustAndDoubtKept
                    | Kind::FollowAndRobust
                    | Kind::Guard
                    | Kind::RpbOnlineMin
                    | Kind::MarkZero
                    | Kind::MarkPredict
                    | Kind::AdaptiveQuery
            ),
            Form::Combination(rule, experts) => {
                matches!(rule, Rule::BlumBurch { .. }) || experts.iter().any(Self::is_randomized)
            }
        }
    }

    /// Builds the policy with an empty cache of this capacity, in the unit of the trace's sizes. Paging
    /// policies support up to 2^32 - 1 pages.
    ///
    /// # Errors
    /// [`CacheError::Argument`] if the capacity is 0 or too large, or a rule's parameter is out of
    /// range.
    pub fn build(&self, capacity: u64, seed: &SeedTree) -> Result<Box<dyn Policy>, CacheError> {
        if capacity == 0 {
            return Err(CacheError::Argument {
                name: "capacity",
                value: capacity.to_string(),
                expected: "at least 1",
            });
        }
        match &self.form {
            Form::Single(kind) => build(*kind, capacity, seed),
            Form::Combination(rule, experts) => {
                let experts: Result<Vec<_>, _> = experts
                    .iter()
                    .enumerate()
                    .map(|(index, expert)| expert.build(capacity, &seed.index(index as u64)))
                    .collect();
                let combined = Combined::new(pages(capacity)?, experts?, *rule, seed)?;
                Ok(Box::new(combined))
            }
        }
    }
}

fn pages(capacity: u64) -> Result<usize, CacheError> {
    u32::try_from(capacity)
        .map(|pages| pages as usize)
        .map_err(|_| CacheError::Argument {
            name: "capacity",
            value: capacity.to_string(),
            expected: "at most 4294967295 pages for a paging policy",
        })
}

fn build(kind: Kind, capacity: u64, seed: &SeedTree) -> Result<Box<dyn Policy>, CacheError> {
    Ok(match kind {
        // Classic policies; those that index arrays by slot take at most 2^32 - 1 pages.
        Kind::Lru => Box::new(Lru::new(capacity)),
        Kind::Fifo => Box::new(Fifo::new(capacity)),
        Kind::Clock => Box::new(Clock::new(capacity)),
        Kind::Sieve => Box::new(Sieve::new(capacity)),
        Kind::S3Fifo => Box::new(S3Fifo::new(capacity)),
        Kind::TwoQueue => Box::new(TwoQueue::new(capacity)),
        Kind::SegmentedLru => Box::new(SegmentedLru::new(capacity)),
        Kind::AdaptiveReplacement => Box::new(AdaptiveReplacement::new(capacity)),
        Kind::Lirs => Box::new(Lirs::new(pages(capacity)?)),
        Kind::Lfu => Box::new(Lfu::new(capacity)),
        Kind::WTinyLfu => Box::new(WTinyLfu::new(capacity)),
        Kind::LeCar => Box::new(LeCar::new(pages(capacity)?, seed)),
        Kind::Random => Box::new(Random::new(capacity, seed)),
        Kind::Marker => Box::new(Marker::new(pages(capacity)?, seed)),
        Kind::OnlineMin => Box::new(OnlineMin::new(pages(capacity)?, seed)),
        Kind::Gdsf => Box::new(Gdsf::new(capacity)),
        Kind::Belady => Box::new(Belady::new(capacity)),
        Kind::BeladySize => Box::new(BeladySize::new(capacity, seed)),
        // Learned policies, with the parameters of their papers.
        Kind::FollowPrediction => Box::new(FollowPrediction::new(pages(capacity)?)),
        Kind::FtpMarking => Box::new(PredictionMarker::new(pages(capacity)?, seed)),
        Kind::PredictiveMarker => Box::new(PredictiveMarker::new(pages(capacity)?, seed)),
        Kind::LMarker => Box::new(LMarker::new(pages(capacity)?, seed)),
        Kind::LNonMarker => Box::new(LNonMarker::new(pages(capacity)?, seed)),
        Kind::TrustAndDoubt => Box::new(TrustAndDoubt::new(
            pages(capacity)?,
            IntervalStart::Restarted,
            seed,
        )),
        Kind::TrustAndDoubtKept => Box::new(TrustAndDoubt::new(
            pages(capacity)?,
            IntervalStart::Kept,
            seed,
        )),
        Kind::FollowAndRobust => Box::new(FollowAndRobust::new(pages(capacity)?, seed)),
        Kind::Guard => Box::new(Guard::new(pages(capacity)?, Relaxation::None, seed)),
        Kind::RpbOnlineMin => Box::new(RpbOnlineMin::new(pages(capacity)?, 1, seed)),
        Kind::MarkZero => Box::new(MarkZero::new(pages(capacity)?, seed)),
        Kind::MarkPredict => Box::new(MarkPredict::new(pages(capacity)?, seed)),
        Kind::AdaptiveQuery => Box::new(AdaptiveQuery::new(pages(capacity)?, 2, seed)),
    })
}

impl FromStr for PolicySpec {
    type Err = CacheError;

    fn from_str(text: &str) -> Result<Self, CacheError> {
        parse(text.trim(), MAX_DEPTH)
    }
}

fn parse(text: &str, depth: usize) -> Result<PolicySpec, CacheError> {
    let unknown = || CacheError::UnknownName {
        what: "policy",
        name: text.to_string(),
        known: format!(
            "{}, RobustFtP_D, RobustFtP_R, BlindOracle_D, BlindOracle_R, LNonMarker_D, \
             LNonMarker_R, D(..), R(..), FollowLeader(..)",
            PolicySpec::names().collect::<Vec<_>>().join(", ")
        ),
    };
    // Without parentheses the text is a plain name; otherwise a rule with its arguments.
    let Some((name, rest)) = text.split_once('(') else {
        return find_by_name(text).ok_or_else(unknown);
    };
    let arguments = rest.strip_suffix(')').ok_or_else(unknown)?;
    // Bounds the recursion on hostile input.
    if depth == 0 {
        return Err(unknown());
    }
    let mut rule = match normalize(name).as_str() {
        "d" => Rule::Doubling { gamma: 0.01 },
        "r" => Rule::BlumBurch { epsilon: 0.01 },
        "followleader" => Rule::FollowLeader { hysteresis: 1.0 },
        _ => return Err(unknown()),
    };
    let mut experts = Vec::new();
    for argument in split_outside_parentheses(arguments) {
        // `key=value` sets the rule's parameter. An argument with parentheses is a nested
        // combination, whose own parameters contain `=`.
        match argument.split_once('=') {
            Some((key, value)) if !argument.contains('(') => {
                set_parameter(&mut rule, key.trim(), value.trim())?;
            }
            _ => experts.push(parse(argument.trim(), depth - 1)?),
        }
    }
    if experts.is_empty() {
        return Err(unknown());
    }
    Ok(PolicySpec {
        form: Form::Combination(rule, experts),
    })
}

fn find_by_name(text: &str) -> Option<PolicySpec> {
    let name = normalize(text);
    let single = NAMES
        .iter()
        .find(|(_, names)| names.iter().any(|known| normalize(known) == name))
        .map(|&(kind, _)| Form::Single(kind));
    // Aliases of the study are a base name followed by the rule's letter, such as RobustFtP_D.
    let form = single.or_else(|| {
        let (study, kinds) = STUDY.iter().find(|(study, _)| {
            name.strip_prefix(normalize(study).as_str())
                .is_some_and(|rule| rule == "d" || rule == "r")
        })?;
        let rule = if name.len() == study.len() + 1 && name.ends_with('d') {
            Rule::Doubling { gamma: 0.01 }
        } else {
            Rule::BlumBurch { epsilon: 0.01 }
        };
        let experts = kinds.map(|kind| PolicySpec {
            form: Form::Single(kind),
        });
        Some(Form::Combination(rule, experts.to_vec()))
    })?;
    Some(PolicySpec { form })
}

/// The ASCII letters and digits of a name, in lower case.
fn normalize(name: &str) -> String {
    name.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

/// Splits at the commas that are not within parentheses.
fn split_outside_parentheses(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    text.split(move |c| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    })
}

fn set_parameter(rule: &mut Rule, key: &str, text: &str) -> Result<(), CacheError> {
    let (name, expected, value) = match rule {
        Rule::Doubling { gamma } => ("gamma", "a finite number of at least 1e-6", gamma),
        Rule::BlumBurch { epsilon } => ("epsilon", "a number in (0, 1)", epsilon),
        Rule::FollowLeader { hysteresis } => {
            ("hysteresis", "a finite number of at least 1", hysteresis)
        }
    };
    if key != name {
        return Err(CacheError::UnknownName {
            what: "parameter",
            name: key.to_string(),
            known: name.to_string(),
        });
    }
    *value = text.parse().map_err(|_| CacheError::Argument {
        name,
        value: text.to_string(),
        expected,
    })?;
    Ok(())
}

impl fmt::Display for PolicySpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.form {
            Form::Single(kind) => {
                let name = NAMES.iter().find(|(known, _)| known == kind);
                f.write_str(name.map_or("?", |(_, names)| names[0]))
            }
            Form::Combination(rule, experts) => {
                let (name, parameter, value) = match rule {
                    Rule::Doubling { gamma } => ("D", "gamma", gamma),
                    Rule::BlumBurch { epsilon } => ("R", "epsilon", epsilon),
                    Rule::FollowLeader { hysteresis } => ("FollowLeader", "hysteresis", hysteresis),
                };
                write!(f, "{name}(")?;
                for expert in experts {
                    write!(f, "{expert}, ")?;
                }
                write!(f, "{parameter}={value})")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;

    #[test]
    fn every_name_builds_and_prints_as_itself() {
        for name in PolicySpec::names() {
            let spec: PolicySpec = name.parse().unwrap();
            assert_eq!(spec.to_string(), name);
            spec.build(10, &SeedTree::new(0)).unwrap();
        }
    }

    #[test]
    fn exactly_the_randomized_policies_depend_on_the_seed() {
        let mut rng = SeedTree::new(9).rng();
        let ids: Vec<u64> = (0..4_000).map(|_| rng.random_range(0..25)).collect();
        let mut trace = crate::trace::Trace::from_ids(ids);
        trace.annotate();
        let predictions = (0..trace.len())
            .map(|_| {
                if rng.random() {
                    f64::INFINITY
                } else {
                    rng.random()
                }
            })
            .collect();
        trace.set_predictions(predictions).unwrap();
        for name in PolicySpec::names().chain(["RobustFtP_D", "BlindOracle_D", "BlindOracle_R"]) {
            let spec: PolicySpec = name.parse().unwrap();
            let hits = |seed| {
                let mut policy = spec.build(11, &SeedTree::new(seed)).unwrap();
                let mut evicted = Vec::new();
                let hits: Vec<bool> = (0..trace.len())
                    .map(|index| {
                        let request = crate::request::Request {
                            next: trace.next().unwrap()[index],
                            predicted: trace.predictions().unwrap()[index],
                            ..crate::request::Request::new(trace.pages()[index], index as u32)
                        };
                        policy.access(&request, &mut evicted)
                    })
                    .collect();
                hits
            };
            // BeladySize draws only from caches of more than 128 objects.
            if name != "BeladySize" {
                assert_eq!(hits(1) != hits(2), spec.is_randomized(), "{name}");
            }
            assert_eq!(hits(1), hits(1), "{name}");
        }
    }

    #[test]
    fn combinations_round_trip() {
        for text in [
            "D(FtP, LRU, gamma=0.1)",
            "R(FtP, Marker, S3FIFO, epsilon=0.25)",
            "FollowLeader(D(FtP, LRU, gamma=0.01), SIEVE, hysteresis=2)",
        ] {
            let spec: PolicySpec = text.parse().unwrap();
            assert_eq!(spec.to_string(), text);
        }
    }

    #[test]
    fn the_names_of_the_study_are_combinations() {
        for (name, long) in [
            ("RobustFtP_D", "D(FtP, Marker, gamma=0.01)"),
            ("RobustFtP_R", "R(FtP, Marker, epsilon=0.01)"),
            ("BlindOracle_D", "D(FtP, LRU, gamma=0.01)"),
            ("LNonMarker_R", "R(LNonMarker, Marker, epsilon=0.01)"),
        ] {
            let spec: PolicySpec = name.parse().unwrap();
            assert_eq!(spec.to_string(), long);
        }
    }

    #[test]
    fn invalid_text_is_rejected_with_what_was_expected() {
        for text in [
            "",
            "LUR",
            "D()",
            "D(LRU",
            "Q(LRU)",
            "D(LRU, speed=1)",
            "D(gamma=0.1)",
        ] {
            assert!(text.parse::<PolicySpec>().is_err(), "{text}");
        }
        let deep = format!("{}LRU{}", "D(".repeat(100_000), ")".repeat(100_000));
        assert!(deep.parse::<PolicySpec>().is_err());
        let spec: PolicySpec = "D(FtP, LRU, gamma=-1)".parse().unwrap();
        let error = spec.build(10, &SeedTree::new(0)).unwrap_err();
        assert!(error.to_string().contains("gamma = -1"), "{error}");
    }
}
