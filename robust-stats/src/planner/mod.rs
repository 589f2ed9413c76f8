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

mod drawn;
mod guarantee;
mod learning;
mod prio3;
mod testing;

use serde::{Deserialize, Serialize};

use crate::design::{GROUPS_FACTOR, MAX_TABLE_ENTRIES};
use crate::error::RobustStatsError;
use crate::mechanism::MAX_EPSILON;
use crate::parameter::{Epsilon, Gamma};
use crate::theory::learning::HashedSetting;

pub use prio3::Prio3;

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
    /// The undetectable shift by corrupted clients, independent of the number of clients: the largest
    /// that a search finds, for up to 64 symbols in designs drawn by the planner.
    pub manipulation_floor: f64,
    /// What the guarantee requires of the design: a [certificate](crate::design::Certificate) of at least
    /// this. [`drawn_with`](crate::design::DesignParameters::drawn_with) draws such a design. `None` for a
    /// test, and for designs too large to certify.
    pub kept: Option<f64>,
    /// A proved bound: with probability 99 % the total variation between the min-L1 estimate and the true
    /// distribution is at most this, for every distribution and every attack that replaces at most the
    /// assumed fraction of reports, if the certificate of the design is at least `kept`. At most 1, which
    /// promises nothing: the usual value for hundreds of symbols in few cells. `None` as `kept`.
    pub guarantee: Option<f64>,
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

impl Plan {
    /// The plan of a design for estimates, without its errors.
    fn new(setting: &HashedSetting, gamma: Gamma, users: f64) -> Self {
        let bits = (setting.cells as f64).log2();
        Self {
            users: users as u64,
            groups: setting.groups,
            cells: setting.cells,
            statistical_error: 0.0,
            predicted_error: 0.0,
            manipulation_floor: 0.0,
            kept: None,
            guarantee: None,
            message_bits: bits,
            message_bytes: (bits / 8.0).ceil().max(1.0) as u64,
            prio3: Prio3::histogram(setting.symbols, gamma),
        }
    }
}

impl Feasibility {
    fn infeasible(floor: f64) -> Self {
        // Total variation is at most 1.
        Self::Infeasible {
            manipulation_floor: floor.min(1.0),
        }
    }
}

/// Finds the plan with the fewest clients.
///
/// Estimates of up to 64 symbols are planned by drawing designs and simulating decoders, from fixed
/// seeds: deterministic, and about a second. Other plans are formulas.
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
    // The numbers of cells to consider: fixed by the constraint, or powers of two for privacy.
    let (cells, epsilon): (Vec<usize>, _) = match request.constraint {
        Constraint::Central => (vec![request.symbols], None),
        Constraint::Bits(bits) => (vec![(1 << bits).min(request.symbols)], None),
        Constraint::Private(epsilon) => {
            let largest = request.symbols.clamp(2, MAX_PRIVATE_CELLS);
            let powers = std::iter::successors(Some(2), |cells| Some(cells * 2));
            (
                powers.take_while(|&cells| cells <= largest).collect(),
                Some(epsilon),
            )
        }
    };
    let candidates: Vec<HashedSetting> = cells
        .into_iter()
        .map(|cells| HashedSetting {
            symbols: request.symbols,
            cells,
            groups: default_groups(request.symbols, cells),
            epsilon,
        })
        .collect();
    match request.task {
        Task::Learning => learning::plan(request, &candidates),
        Task::Testing { level, power } => testing::plan(request, &candidates, level, power),
    }
}

/// The error for a target that is above the floor and not reached.
fn too_many_users(request: &Request) -> RobustStatsError {
    RobustStatsError::parameter(
        "target",
        format!(
            "a value reached by at most {MAX_USERS:e} users and {MAX_TABLE_ENTRIES} design entries"
        ),
        request.target,
    )
}

/// Whether the table of the design fits into memory.
fn fits(setting: &HashedSetting) -> bool {
    setting.cells >= setting.symbols
        || (setting.groups * setting.symbols) as u64 <= MAX_TABLE_ENTRIES
}

/// The default number of groups.
fn default_groups(symbols: usize, cells: usize) -> usize {
    if cells >= symbols {
        1
    } else {
        (GROUPS_FACTOR * symbols).div_ceil(cells)
    }
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
            target: 0.15,
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
        assert!(plan.predicted_error <= 0.15);
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
