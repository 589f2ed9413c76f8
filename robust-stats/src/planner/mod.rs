//! Deployment planning: the numbers of clients, groups and cells for a target error, or the statement
//! that no number of clients reaches it.
//!
//! ```
//! use septet_robust_stats::planner::{Constraint, Plan, Request, Task, Feasibility, plan};
//! use septet_robust_stats::{Epsilon, Gamma};
//!
//! let request = Request {
//!     task: Task::Learning,
//!     symbols: 256,
//!     constraint: Constraint::Private(Epsilon::new(2.0)?),
//!     gamma: Gamma::new(0.002)?,
//!     target: 0.1,
//! };
//! let Feasibility::Feasible(Plan { users, cells, .. }) = plan(&request)? else {
//!     panic!("the floor is below the target");
//! };
//! assert!(users > 100_000);
//! assert!(cells.is_power_of_two());
//! // With 2 % corrupted clients, no number of clients is sufficient.
//! let worse = Request { gamma: Gamma::new(0.02)?, ..request };
//! assert!(matches!(plan(&worse)?, Feasibility::Infeasible { manipulation_floor } if manipulation_floor > 0.1));
//! # Ok::<(), septet_robust_stats::RobustStatsError>(())
//! ```

mod prio3;
mod testing;

use serde::{Deserialize, Serialize};

use crate::design::{GROUPS_FACTOR, MAX_TABLE_ENTRIES};
use crate::error::RobustStatsError;
use crate::mechanism::MAX_EPSILON;
use crate::parameter::{Epsilon, Gamma};
use crate::theory::coupling::{coupling_shift, response_contraction};
use crate::theory::learning::{
    error_deviation, expected_error, manipulation_bound, manipulation_floor,
};
use crate::theory::normal_quantile;

pub use prio3::Prio3;
use testing::TestSetting;

/// Maximum number of users of a plan.
const MAX_USERS: f64 = 1e15;

/// Maximum number of symbols: reports encode cells in 32 bits.
const MAX_SYMBOLS: u64 = 1 << 32;

/// Maximum number of cells considered for a private design.
const MAX_PRIVATE_CELLS: usize = 1024;

/// The statistical task.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Task {
    /// Estimating the distribution.
    Learning,
    /// Distinguishing the uniform distribution from one at the target distance.
    Testing {
        /// The significance level: the probability of a false alarm.
        level: f64,
        /// The probability of detecting a distribution at the target distance.
        power: f64,
    },
}

/// The constraint on messages.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Constraint {
    /// None: messages are symbols.
    Central,
    /// Messages of this number of bits: one of `2^bits` cells.
    Bits(u32),
    /// A locally private message.
    Private(Epsilon),
}

/// A planning request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Request {
    /// The task.
    pub task: Task,
    /// Number of symbols.
    pub symbols: usize,
    /// The constraint on messages.
    pub constraint: Constraint,
    /// The fraction of messages that may be manipulated.
    pub gamma: Gamma,
    /// The target total variation, in (0, 1): the mean error of an estimate under attack, or the
    /// distance that a test detects.
    pub target: f64,
}

/// A plan that reaches the target.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Number of clients.
    pub users: u64,
    /// Number of groups (partitions of the domain); 1 for the central protocol.
    pub groups: usize,
    /// Number of cells per partition; the domain for the central protocol.
    pub cells: usize,
    /// The mean total variation of the estimate near the uniform distribution without manipulation; for
    /// a test the distance that it notices without manipulation.
    pub statistical_error: f64,
    /// The same under the coupling attack, which no estimator can undo; at most the target. A detectable
    /// attack may shift an estimate further, up to the guarantee.
    pub predicted_error: f64,
    /// The undetectable shift by corrupted clients, independent of the number of clients.
    pub manipulation_floor: f64,
    /// A bound on the error of the min-L1 estimate in 99 % of runs near the uniform distribution,
    /// assuming [`gain_bound`](crate::theory::coupling::gain_bound): twice the shift along the
    /// least-identified direction of the design, plus the 99 % quantile of the statistical error; at
    /// most 1. For a test, the predicted error.
    pub guarantee: f64,
    /// The information of a message, in bits.
    pub message_bits: f64,
    /// The minimum payload of a message in bytes.
    pub message_bytes: u64,
    /// The cost of validity proofs and additive shares instead, which limit the influence of a
    /// corrupted client to that of one honest client.
    pub prio3: Prio3,
}

/// The result of planning.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Feasibility {
    /// The target is reached.
    Feasible(Plan),
    /// The target is not reached by any number of clients.
    Infeasible {
        /// The undetectable shift, which is not below the target.
        manipulation_floor: f64,
    },
}

/// Finds the plan with the fewest clients.
///
/// # Errors
///
/// When the number of symbols is 0 or above `2^32`, the target is outside `(0, 1)`, the number of bits
/// is not in 1..=16, epsilon is above [`MAX_EPSILON`], the level or power of a test is outside `(0, 1)`,
/// or the power is not above the level. Also when the manipulation floor is below the target but more
/// than `10^15` users would be required, or a design beyond the size limit of
/// [`HashDesign`](crate::design::HashDesign).
pub fn plan(request: &Request) -> Result<Feasibility, RobustStatsError> {
    check(request)?;
    // 1. The numbers of cells to consider: fixed by the constraint, or powers of two for privacy.
    let candidates: Vec<usize> = match request.constraint {
        Constraint::Central => vec![request.symbols],
        Constraint::Bits(bits) => vec![(1 << bits).min(request.symbols)],
        Constraint::Private(_) => {
            let largest = request.symbols.clamp(2, MAX_PRIVATE_CELLS);
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
        // Manipulation under both hypotheses makes them meet halfway.
        Task::Testing { .. } => 2.0 * coupling_floor(request, cells, epsilon),
    };
    // 2. Infeasible if the undetectable shift alone reaches the target for all of them.
    let floor = candidates
        .iter()
        .map(|&cells| floor_with(cells))
        .fold(f64::INFINITY, f64::min);
    if floor >= request.target {
        // Total variation is at most 1.
        return Ok(Feasibility::Infeasible {
            manipulation_floor: floor.min(1.0),
        });
    }
    // 3. The plan with the fewest users.
    let best = candidates
        .iter()
        .filter(|&&cells| floor_with(cells) < request.target)
        .filter_map(|&cells| plan_with(request, cells, epsilon, floor_with(cells)))
        .min_by_key(|plan| plan.users);
    best.map(Feasibility::Feasible).ok_or_else(|| {
        RobustStatsError::parameter(
            "target",
            format!("a value reached by at most {MAX_USERS:e} users and {MAX_TABLE_ENTRIES} design entries"),
            request.target,
        )
    })
}

fn check(request: &Request) -> Result<(), RobustStatsError> {
    if request.symbols == 0 {
        return Err(RobustStatsError::parameter("symbols", "at least 1", 0));
    }
    if request.symbols as u64 > MAX_SYMBOLS {
        return Err(RobustStatsError::parameter(
            "symbols",
            format!("at most {MAX_SYMBOLS}"),
            request.symbols,
        ));
    }
    // Probabilities and distances are in the open unit interval.
    let inside = |argument, value: f64| {
        if value > 0.0 && value < 1.0 {
            Ok(())
        } else {
            Err(RobustStatsError::parameter(
                argument,
                "a number in (0, 1)",
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
                format!("a number above the level {level}"),
                power,
            ));
        }
    }
    // The limits of designs and mechanisms.
    match request.constraint {
        Constraint::Bits(bits) if !(1..=16).contains(&bits) => {
            Err(RobustStatsError::parameter("bits", "from 1 to 16", bits))
        }
        Constraint::Private(epsilon) if epsilon.get() > MAX_EPSILON => Err(
            RobustStatsError::parameter("epsilon", format!("at most {MAX_EPSILON}"), epsilon.get()),
        ),
        _ => Ok(()),
    }
}

/// The undetectable shift for `cells` cells and the default number of groups.
fn coupling_floor(request: &Request, cells: usize, epsilon: Option<Epsilon>) -> f64 {
    let gamma = request.gamma;
    match request.task {
        Task::Learning => manipulation_floor(
            gamma,
            request.symbols,
            cells,
            groups_of(request.symbols, cells),
            epsilon,
        ),
        // The alternative is fixed before the partitions are drawn, so it cannot be optimized against
        // them.
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

/// The plan for `cells` cells; `None` if no number of users is sufficient.
fn plan_with(
    request: &Request,
    cells: usize,
    epsilon: Option<Epsilon>,
    floor: f64,
) -> Option<Plan> {
    // Completes a plan from its numbers of users and groups and its errors.
    let groups = groups_of(request.symbols, cells);
    let finish = |users: f64, groups: usize, statistical_error: f64, predicted_error: f64| {
        let bits = (cells as f64).log2();
        let guarantee = match request.task {
            Task::Learning => {
                let spread = error_deviation(request.symbols, statistical_error);
                let bound =
                    manipulation_bound(request.gamma, request.symbols, cells, groups, epsilon);
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
    // The table of the design must fit into memory.
    let fits = |groups: usize| {
        cells >= request.symbols || (groups * request.symbols) as u64 <= MAX_TABLE_ENTRIES
    };
    match request.task {
        Task::Learning if !fits(groups) => None,
        Task::Learning => {
            // The error is monotone in the number of users.
            let error = |users: f64, shift: f64| {
                expected_error(request.symbols, cells, groups, epsilon, users, shift)
            };
            let users = min_users(groups as f64, |users| error(users, floor) <= request.target)?;
            Some(finish(
                users,
                groups,
                error(users, 0.0),
                error(users, floor),
            ))
        }
        Task::Testing { level, power } => {
            // The test separates the hypotheses by these quantiles of its normal approximation.
            let quantiles = (normal_quantile(1.0 - level), normal_quantile(power));
            // Without a hash design there is one partition; otherwise optimize over powers of two.
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
                    let users = min_users(least, |users| setting.detects(request.target, users))?;
                    let clean = TestSetting {
                        gamma: 0.0,
                        ..setting
                    };
                    Some(finish(
                        users,
                        groups,
                        clean.min_detectable_distance(users),
                        setting.min_detectable_distance(users),
                    ))
                })
                .min_by_key(|plan| plan.users)
        }
    }
}

/// The minimum number of users, from `least` on, for which a monotone predicate holds, to a relative
/// accuracy of 0.1 %; `None` if it is above [`MAX_USERS`].
fn min_users(least: f64, holds: impl Fn(f64) -> bool) -> Option<f64> {
    // Double until the predicate holds, then bisect.
    let mut high = least.max(2.0);
    if holds(high) {
        return Some(high.ceil());
    }
    let mut low = high;
    while !holds(high) {
        low = high;
        high *= 2.0;
        if high > MAX_USERS {
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
            Feasibility::Feasible(plan) => plan,
            Feasibility::Infeasible { manipulation_floor } => {
                panic!("{request:?}: floor {manipulation_floor}")
            }
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
            let Feasibility::Infeasible {
                manipulation_floor: floor,
            } = plan(&request).unwrap()
            else {
                panic!("{constraint:?}");
            };
            for (factor, is_feasible) in [(0.99, false), (1.01, true)] {
                let target = floor * factor;
                let verdict = plan(&Request { target, ..request }).unwrap();
                assert_eq!(
                    matches!(verdict, Feasibility::Feasible(_)),
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
