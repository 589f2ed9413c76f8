//! Before anything is deployed: how many clients, groups and cells a target error needs, and whether
//! any number of clients reaches it.
//!
//! ```
//! use septet_robust_stats::planner::{Constraint, Plan, Request, Task, Verdict, plan};
//! use septet_robust_stats::{Epsilon, Gamma};
//!
//! let request = Request {
//!     task: Task::Learning,
//!     symbols: 256,
//!     constraint: Constraint::Private(Epsilon::new(2.0)?),
//!     gamma: Gamma::new(0.002)?,
//!     target: 0.1,
//! };
//! let Verdict::Feasible(Plan { users, cells, .. }) = plan(&request)? else {
//!     panic!("the floor is below the target");
//! };
//! assert!(users > 100_000);
//! assert!(cells.is_power_of_two());
//! // With one client in a hundred lying, no number of clients is enough.
//! let worse = Request { gamma: Gamma::new(0.02)?, ..request };
//! assert!(matches!(plan(&worse)?, Verdict::Infeasible { floor } if floor > 0.1));
//! # Ok::<(), septet_robust_stats::RobustStatsError>(())
//! ```

mod prio3;
mod testing;

use serde::{Deserialize, Serialize};

use crate::design::{GROUPS_FACTOR, LARGEST_TABLE};
use crate::error::RobustStatsError;
use crate::mechanism::LARGEST_EPSILON;
use crate::parameter::{Epsilon, Gamma};
use crate::theory::coupling::{
    coupling_shift, gain_bound, response_contraction, searched_gain, searched_sign_gain,
};
use crate::theory::learning::{HashedSetting, central_deviation, total_variation_error};
use crate::theory::normal_quantile;

pub use prio3::Prio3;
use testing::TestSetting;

/// The most users that a plan may ask for.
const MOST_USERS: f64 = 1e15;

/// The most symbols: reports name cells with 32 bits.
const MOST_SYMBOLS: u64 = 1 << 32;

/// The most cells that a private design tries.
const MOST_PRIVATE_CELLS: usize = 1024;

/// What the clients' reports are for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Task {
    /// Estimating the distribution.
    Learning,
    /// Telling the uniform distribution from one at the target distance.
    Testing {
        /// The chance of a false alarm.
        level: f64,
        /// The chance to notice a distribution at the target distance.
        power: f64,
    },
}

/// What a message may say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Constraint {
    /// The symbol itself.
    Central,
    /// So many bits: one of `2^bits` cells.
    Bits(u32),
    /// A locally private message.
    Private(Epsilon),
}

/// What is asked of the planner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Request {
    /// The task.
    pub task: Task,
    /// How many symbols there are.
    pub symbols: usize,
    /// What a message may say.
    pub constraint: Constraint,
    /// The fraction of messages that may be manipulated.
    pub gamma: Gamma,
    /// The total variation that is to be reached: the mean error of an estimate under attack, or the
    /// distance that a test notices. Above 0 and below 1.
    pub target: f64,
}

/// What reaches the target.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// How many clients are needed.
    pub users: u64,
    /// How many groups they are split into: partitions of the domain. 1 for the central protocol.
    pub groups: usize,
    /// Cells of each partition; the domain for the central protocol.
    pub cells: usize,
    /// The mean total variation of the estimate near the uniform distribution when nobody lies; for
    /// a test the distance that it notices without lies.
    pub statistical_error: f64,
    /// The same under the coupling attack, which no estimator can undo: at most the target. A visible
    /// attack may move an estimate further, up to the guarantee.
    pub predicted_error: f64,
    /// What no number of clients undoes: the shift that liars plant unseen.
    pub manipulation_floor: f64,
    /// What the error of the min-L1 estimate stays below in 99 % of runs near the uniform
    /// distribution, as far as [`gain_bound`] holds: twice the shift along the direction that a
    /// design keeps least, the statistical error, and its spread; at most 1. For a test equal to the
    /// predicted error.
    pub guarantee: f64,
    /// The information of a message, in bits.
    pub message_bits: f64,
    /// The least payload of a message, in bytes.
    pub message_bytes: u64,
    /// What the same clients would send with validity proofs and additive shares instead, which caps
    /// every liar at one client's worth.
    pub prio3: Prio3,
}

/// The answer of the planner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// The target is reached.
    Feasible(Plan),
    /// It is not, with any number of clients.
    Infeasible {
        /// What no number of clients undoes.
        floor: f64,
    },
}

/// Plans.
///
/// # Errors
///
/// When there is no symbol or more than `2^32`, the target is outside `(0, 1)`, a message would have
/// no or more than 16 bits, epsilon is above [`LARGEST_EPSILON`], or level or power of a test is
/// outside `(0, 1)` or the power not above the level. Also when the floor is below the target and yet
/// more than `10^15` users would be needed, or a design larger than
/// [`HashDesign`](crate::design::HashDesign) holds.
pub fn plan(request: &Request) -> Result<Verdict, RobustStatsError> {
    check(request)?;
    let candidates: Vec<usize> = match request.constraint {
        Constraint::Central => vec![request.symbols],
        Constraint::Bits(bits) => vec![(1 << bits).min(request.symbols)],
        Constraint::Private(_) => {
            let largest = request.symbols.clamp(2, MOST_PRIVATE_CELLS);
            std::iter::successors(Some(2), |cells| Some(cells * 2))
                .take_while(|&cells| cells <= largest)
                .collect()
        }
    };
    let epsilon = match request.constraint {
        Constraint::Private(epsilon) => Some(epsilon),
        Constraint::Central | Constraint::Bits(_) => None,
    };
    let floor_with = |cells: usize| match request.task {
        Task::Learning => coupling_floor(request, cells, epsilon),
        // Liars corrupt under both hypotheses, which meet in the middle.
        Task::Testing { .. } => 2.0 * coupling_floor(request, cells, epsilon),
    };
    let floor = candidates
        .iter()
        .map(|&cells| floor_with(cells))
        .fold(f64::INFINITY, f64::min);
    if floor >= request.target {
        // No two distributions are further apart than 1.
        return Ok(Verdict::Infeasible {
            floor: floor.min(1.0),
        });
    }
    let best = candidates
        .iter()
        .filter(|&&cells| floor_with(cells) < request.target)
        .filter_map(|&cells| plan_with(request, cells, epsilon, floor_with(cells)))
        .min_by_key(|plan| plan.users);
    best.map(Verdict::Feasible).ok_or_else(|| {
        RobustStatsError::parameter(
            "target",
            format!("one that {MOST_USERS:e} users reach, and a design of at most {LARGEST_TABLE} entries holds"),
            request.target,
        )
    })
}

fn check(request: &Request) -> Result<(), RobustStatsError> {
    if request.symbols == 0 {
        return Err(RobustStatsError::parameter("symbols", "at least 1", 0));
    }
    if request.symbols as u64 > MOST_SYMBOLS {
        return Err(RobustStatsError::parameter(
            "symbols",
            format!("at most {MOST_SYMBOLS}"),
            request.symbols,
        ));
    }
    let inside = |argument, value: f64| {
        if value > 0.0 && value < 1.0 {
            Ok(())
        } else {
            Err(RobustStatsError::parameter(
                argument,
                "above 0 and below 1",
                value,
            ))
        }
    };
    inside("target", request.target)?;
    if let Task::Testing { level, power } = request.task {
        inside("level", level)?;
        inside("power", power)?;
        if power <= level {
            return Err(RobustStatsError::parameter(
                "power",
                format!("above the level, {level}"),
                power,
            ));
        }
    }
    match request.constraint {
        Constraint::Bits(bits) if !(1..=16).contains(&bits) => {
            Err(RobustStatsError::parameter("bits", "from 1 to 16", bits))
        }
        Constraint::Private(epsilon) if epsilon.get() > LARGEST_EPSILON => {
            Err(RobustStatsError::parameter(
                "epsilon",
                format!("at most {LARGEST_EPSILON}"),
                epsilon.get(),
            ))
        }
        _ => Ok(()),
    }
}

/// The shift that is planted unseen with so many cells and the default number of groups.
fn coupling_floor(request: &Request, cells: usize, epsilon: Option<Epsilon>) -> f64 {
    let gamma = request.gamma;
    match request.task {
        Task::Learning => learning_floor(
            gamma,
            request.symbols,
            cells,
            groups_of(request.symbols, cells),
            epsilon,
        ),
        // The alternative is there before the partitions are drawn: nobody can search for it.
        Task::Testing { .. } if cells >= request.symbols => {
            gamma.get() * epsilon.map_or(1.0, |epsilon| response_contraction(epsilon, cells))
        }
        Task::Testing { .. } => coupling_shift(gamma.get(), request.symbols, cells, epsilon),
    }
}

/// The default number of groups.
fn groups_of(symbols: usize, cells: usize) -> usize {
    if cells >= symbols {
        1
    } else {
        (GROUPS_FACTOR * symbols).div_ceil(cells)
    }
}

/// The shift at which directions that are not sign vectors run into masses of 0, near the uniform
/// distribution.
const LONGEST_FREE_SHIFT: f64 = 0.13;

/// The total variation by which liars who know the partitions move an estimate unseen, near the
/// uniform distribution: the coupling shift along the direction that the partitions separate least,
/// as far as searches find it. Where every symbol is its own cell it is `gamma`, through randomized
/// response if there is any. Infinite when the design does not identify the distribution.
#[must_use]
pub fn learning_floor(
    gamma: Gamma,
    symbols: usize,
    cells: usize,
    groups: usize,
    epsilon: Option<Epsilon>,
) -> f64 {
    shift(gamma, symbols, cells, groups, epsilon, |random, ratio| {
        if ratio >= 1.0 {
            return f64::INFINITY;
        }
        let free = (random * searched_gain(ratio)).min(LONGEST_FREE_SHIFT);
        (random * searched_sign_gain(ratio)).max(free)
    })
}

/// A bound on that shift whatever direction liars find, as far as [`gain_bound`] holds: half of what
/// moves the min-L1 estimate.
#[must_use]
pub fn learning_bound(
    gamma: Gamma,
    symbols: usize,
    cells: usize,
    groups: usize,
    epsilon: Option<Epsilon>,
) -> f64 {
    shift(gamma, symbols, cells, groups, epsilon, |random, ratio| {
        random * gain_bound(ratio)
    })
}

/// The shift along a random sign vector, through `along` for another direction of a design whose
/// unknowns are so many for each observation.
fn shift(
    gamma: Gamma,
    symbols: usize,
    cells: usize,
    groups: usize,
    epsilon: Option<Epsilon>,
    along: impl Fn(f64, f64) -> f64,
) -> f64 {
    if symbols < 2 || gamma.get() == 0.0 {
        return 0.0;
    }
    if cells >= symbols {
        let private = epsilon.map_or(1.0, |epsilon| response_contraction(epsilon, cells));
        return gamma.get() * private;
    }
    let setting = HashedSetting {
        symbols,
        cells,
        groups,
        epsilon,
    };
    let random = coupling_shift(gamma.get(), symbols, cells, epsilon);
    along(random, setting.aspect_ratio())
}

/// The plan with so many cells; `None` when no number of users is enough.
fn plan_with(
    request: &Request,
    cells: usize,
    epsilon: Option<Epsilon>,
    floor: f64,
) -> Option<Plan> {
    let groups = groups_of(request.symbols, cells);
    let finish = |users: f64, groups: usize, statistical_error: f64, predicted_error: f64| {
        let bits = (cells as f64).log2();
        let guarantee = match request.task {
            Task::Learning => {
                let spread = learning_spread(request.symbols, statistical_error);
                let bound = learning_bound(request.gamma, request.symbols, cells, groups, epsilon);
                (statistical_error + normal_quantile(0.99) * spread + 2.0 * bound).min(1.0)
            }
            Task::Testing { .. } => predicted_error,
        };
        Plan {
            users: users as u64,
            groups,
            cells,
            statistical_error,
            predicted_error,
            manipulation_floor: floor,
            guarantee,
            message_bits: bits,
            message_bytes: (bits / 8.0).ceil().max(1.0) as u64,
            prio3: Prio3::histogram(request.symbols, request.gamma),
        }
    };
    let fits = |groups: usize| {
        cells >= request.symbols || (groups * request.symbols) as u64 <= LARGEST_TABLE
    };
    match request.task {
        Task::Learning if !fits(groups) => None,
        Task::Learning => {
            let error = |users: f64, shift: f64| {
                learning_error(request.symbols, cells, groups, epsilon, users, shift)
            };
            let users = least_users(groups as f64, |users| error(users, floor) <= request.target)?;
            Some(finish(
                users,
                groups,
                error(users, 0.0),
                error(users, floor),
            ))
        }
        Task::Testing { level, power } => {
            let quantiles = (normal_quantile(1.0 - level), normal_quantile(power));
            // Without a hash design there is one partition; with one, as many as are best.
            let choices: Vec<usize> = if cells >= request.symbols {
                vec![1]
            } else {
                (0..20)
                    .map(|power| 1 << power)
                    .filter(|&groups| fits(groups))
                    .collect()
            };
            choices
                .into_iter()
                .filter_map(|groups| {
                    let setting = TestSetting {
                        symbols: request.symbols,
                        cells,
                        groups,
                        epsilon,
                        gamma: request.gamma.get(),
                        quantiles,
                    };
                    let least = (8 * groups) as f64;
                    let users = least_users(least, |users| setting.notices(request.target, users))?;
                    let clean = TestSetting {
                        gamma: 0.0,
                        ..setting
                    };
                    Some(finish(
                        users,
                        groups,
                        clean.least_noticed(users),
                        setting.least_noticed(users),
                    ))
                })
                .min_by_key(|plan| plan.users)
        }
    }
}

/// The least number of users, at least `least`, from which something holds, to one part in a
/// thousand; `None` when it does not at [`MOST_USERS`].
fn least_users(least: f64, holds: impl Fn(f64) -> bool) -> Option<f64> {
    let mut high = least.max(2.0);
    if holds(high) {
        return Some(high.ceil());
    }
    let mut low = high;
    while !holds(high) {
        low = high;
        high *= 2.0;
        if high > MOST_USERS {
            return None;
        }
    }
    while high > low * 1.001 && high - low > 1.0 {
        let middle = f64::midpoint(low, high);
        if holds(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    Some(high.ceil())
}

/// The mean total variation of the min-L1 estimate near the uniform distribution, when a shift is
/// planted. Central liars add to the noise in full; coupled ones move along a direction of their
/// own.
///
/// Asymptotic in the number of symbols: within 12 % of simulations in random plans of 64 to 256
/// symbols, and up to 45 % too large for a handful of symbols, where one design also differs from
/// another.
#[must_use]
pub fn learning_error(
    symbols: usize,
    cells: usize,
    groups: usize,
    epsilon: Option<Epsilon>,
    users: f64,
    shift: f64,
) -> f64 {
    if symbols < 2 {
        return 0.0;
    }
    if cells >= symbols {
        let private = epsilon.map_or(1.0, |epsilon| response_contraction(epsilon, cells));
        let deviation = private * central_deviation(users, symbols);
        return total_variation_error(symbols, 0.0, deviation) + shift;
    }
    let setting = HashedSetting {
        symbols,
        cells,
        groups,
        epsilon,
    };
    total_variation_error(symbols, shift, setting.min_l1_deviation(users))
}

/// The standard deviation of the total variation of an estimate whose masses have independent normal
/// errors, from its mean.
#[must_use]
pub fn learning_spread(symbols: usize, mean: f64) -> f64 {
    mean * (std::f64::consts::FRAC_PI_2 - 1.0).sqrt() / (symbols as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        Request {
            task: Task::Learning,
            symbols: 256,
            constraint: Constraint::Bits(2),
            gamma: Gamma::new(0.005).unwrap(),
            target: 0.12,
        }
    }

    fn feasible(request: &Request) -> Plan {
        match plan(request).unwrap() {
            Verdict::Feasible(plan) => plan,
            Verdict::Infeasible { floor } => panic!("{request:?}: floor {floor}"),
        }
    }

    #[test]
    fn prio3_reports_have_the_measured_sizes() {
        for (buckets, bytes) in [(128, 3_056), (1024, 19_600), (4096, 71_824)] {
            assert_eq!(
                Prio3::histogram(buckets, Gamma::default()).report_bytes,
                bytes
            );
        }
        let cost = Prio3::histogram(1024, Gamma::default());
        assert!((cost.client_milliseconds - 1.69).abs() < 1e-9);
    }

    #[test]
    fn a_target_is_infeasible_exactly_when_the_floor_exceeds_it() {
        for constraint in [
            Constraint::Central,
            Constraint::Bits(1),
            Constraint::Bits(4),
            Constraint::Private(Epsilon::new(1.0).unwrap()),
        ] {
            let request = Request {
                constraint,
                target: 1e-6,
                ..request()
            };
            let Verdict::Infeasible { floor } = plan(&request).unwrap() else {
                panic!("{constraint:?}");
            };
            for (factor, is_feasible) in [(0.99, false), (1.01, true)] {
                let target = floor * factor;
                let verdict = plan(&Request { target, ..request }).unwrap();
                assert_eq!(
                    matches!(verdict, Verdict::Feasible(_)),
                    is_feasible,
                    "{constraint:?} {factor}: {verdict:?}"
                );
            }
        }
    }

    #[test]
    fn parts_of_the_error_add_up() {
        let plan = feasible(&request());
        assert!(plan.predicted_error <= 0.12);
        assert!(plan.manipulation_floor < plan.predicted_error);
        assert!(plan.predicted_error <= plan.statistical_error + plan.manipulation_floor);
        assert_eq!((plan.cells, plan.groups), (4, 256));
        assert_eq!(plan.message_bytes, 1);
        let central = feasible(&Request {
            constraint: Constraint::Central,
            ..request()
        });
        assert!((central.manipulation_floor - 0.005).abs() < 1e-12);
        assert!(central.users < plan.users);
    }

    #[test]
    fn more_liars_need_more_users() {
        let users = |gamma: f64| {
            let gamma = Gamma::new(gamma).unwrap();
            feasible(&Request { gamma, ..request() }).users
        };
        assert!(users(0.0) < users(0.002) && users(0.002) < users(0.005));
    }

    #[test]
    fn tests_need_fewer_users_than_estimates() {
        let test = Task::Testing {
            level: 0.05,
            power: 0.9,
        };
        for constraint in [Constraint::Central, Constraint::Bits(2)] {
            let learning = Request {
                constraint,
                gamma: Gamma::default(),
                symbols: 4096,
                ..request()
            };
            let testing = Request {
                task: test,
                ..learning
            };
            assert!(feasible(&testing).users < feasible(&learning).users / 4);
        }
    }

    #[test]
    fn one_symbol_needs_nothing() {
        let plan = feasible(&Request {
            symbols: 1,
            ..request()
        });
        assert_eq!(plan.predicted_error, 0.0);
        assert!(
            super::plan(&Request {
                symbols: 0,
                ..request()
            })
            .is_err()
        );
        assert!(
            super::plan(&Request {
                target: 1.0,
                ..request()
            })
            .is_err()
        );
        let bits = Constraint::Bits(17);
        assert!(
            super::plan(&Request {
                constraint: bits,
                ..request()
            })
            .is_err()
        );
    }
}
