//! Plans for estimating a distribution.

use crate::error::RobustStatsError;
use crate::theory::folded_normal_mean;
use crate::theory::learning::{HashedSetting, expected_error, manipulation_floor};

use super::drawn::{DrawnDesigns, MAX_DRAWN_SYMBOLS};
use super::guarantee::{error_guarantee, typical_kept};
use super::{Feasibility, Plan, Request, fits, min_users, too_many_users};

/// Simulations correct the formulas in this number of rounds, each at the users of the one before.
const ROUNDS: usize = 2;

/// The limits of a simulated error relative to that of a formula, without the shift. Simulations near the
/// floor say little about it.
const FACTORS: (f64, f64) = (0.2, 1.5);

/// Candidates that need more users than this times the best, by formula, are considered only if no other
/// is feasible.
const MAX_RATIO: f64 = 2.0;

/// The plan with the fewest users among designs of several shapes.
pub(super) fn plan(
    request: &Request,
    candidates: &[HashedSetting],
) -> Result<Feasibility, RobustStatsError> {
    // 1. The most promising candidates by formula first: designs are drawn for few of them.
    let by_formula = |&setting: &HashedSetting| {
        let users = Errors::by_formula(request, setting).users(request.target);
        users.unwrap_or(f64::INFINITY)
    };
    let users: Vec<f64> = candidates.iter().map(by_formula).collect();
    let least = users.iter().copied().fold(f64::INFINITY, f64::min);
    let mut floor = f64::INFINITY;
    for promising in [true, false] {
        // 2. The users of each by simulation. The table of the design must fit into memory.
        let mut best: Option<(f64, Errors)> = None;
        for (&setting, &users) in candidates.iter().zip(&users) {
            if (users <= MAX_RATIO * least && least.is_finite()) != promising {
                continue;
            }
            let mut errors = Errors::new(request, setting)?;
            floor = floor.min(errors.floor);
            if errors.floor >= request.target || !fits(&setting) {
                continue;
            }
            if let Some(users) = errors.simulated_users(request.target)?
                && best.as_ref().is_none_or(|(fewest, _)| users < *fewest)
            {
                best = Some((users, errors));
            }
        }
        if let Some((users, errors)) = best {
            return Ok(Feasibility::Feasible(errors.plan(request, users)));
        }
    }
    // 3. Infeasible if the undetectable shift alone reaches the target for all of them.
    if floor >= request.target {
        Ok(Feasibility::infeasible(floor))
    } else {
        Err(too_many_users(request))
    }
}

/// The errors of estimates near the uniform distribution for designs of one shape.
struct Errors {
    setting: HashedSetting,
    floor: f64,
    kept: Option<f64>,
    /// Designs of few symbols.
    drawn: Option<DrawnDesigns>,
    /// Simulated errors relative to the formulas, without the shift: of honest reports, and after it.
    factors: (f64, f64),
}

impl Errors {
    /// By formulas, for any number of symbols.
    fn by_formula(request: &Request, setting: HashedSetting) -> Self {
        let HashedSetting {
            symbols,
            cells,
            groups,
            epsilon,
        } = setting;
        Self {
            setting,
            floor: manipulation_floor(request.gamma, symbols, cells, groups, epsilon),
            kept: if cells >= symbols {
                Some(1.0)
            } else {
                typical_kept(&setting)
            },
            drawn: None,
            factors: (1.0, 1.0),
        }
    }

    /// With designs, for few symbols.
    fn new(request: &Request, setting: HashedSetting) -> Result<Self, RobustStatsError> {
        let mut errors = Self::by_formula(request, setting);
        // Frequencies of a central protocol, and their errors, are exact.
        let is_central = errors.is_identity() && setting.epsilon.is_none();
        if !is_central && (2..=MAX_DRAWN_SYMBOLS).contains(&setting.symbols) {
            let drawn = DrawnDesigns::new(setting, request.gamma)?;
            if !errors.is_identity() {
                errors.floor = drawn.floor();
                errors.kept = Some(drawn.kept);
            }
            errors.drawn = Some(drawn);
        }
        Ok(errors)
    }

    fn is_identity(&self) -> bool {
        self.setting.cells >= self.setting.symbols
    }

    /// The mean error of honest reports.
    fn honest(&self, users: f64) -> f64 {
        let HashedSetting {
            symbols,
            cells,
            groups,
            epsilon,
        } = self.setting;
        self.factors.0 * expected_error(symbols, cells, groups, epsilon, users, 0.0)
    }

    /// The mean error under the shift.
    fn shifted(&self, users: f64) -> f64 {
        if self.floor == 0.0 || self.is_identity() {
            return self.honest(users) + self.floor;
        }
        let (formula, shift) = self.shifted_by_formula(users);
        (shift + self.factors.1 * (formula - shift)).max(self.floor)
    }

    /// The mean error under the shift by formula, and the shift itself.
    fn shifted_by_formula(&self, users: f64) -> (f64, f64) {
        let HashedSetting {
            symbols,
            cells,
            groups,
            epsilon,
        } = self.setting;
        let Some(drawn) = &self.drawn else {
            let error = expected_error(symbols, cells, groups, epsilon, users, self.floor);
            return (error, self.floor);
        };
        // Normal errors around the shifted masses.
        let deviation = self.setting.min_l1_deviation(users);
        let (target, shift) = drawn.worst();
        let differences = target
            .masses()
            .iter()
            .map(|mass| mass - 1.0 / symbols as f64);
        let sum: f64 = differences
            .map(|mean| folded_normal_mean(mean, deviation))
            .sum();
        (0.5 * sum, shift)
    }

    /// Corrects the formulas by simulations with this number of users.
    fn calibrate(&mut self, users: f64) -> Result<(), RobustStatsError> {
        self.factors = (1.0, 1.0);
        let has_shift = self.floor > 0.0 && !self.is_identity();
        if let Some(drawn) = &mut self.drawn
            && has_shift
        {
            drawn.select_worst(users)?;
        }
        let Some(drawn) = &self.drawn else {
            return Ok(());
        };
        let factor =
            |simulated: f64, formula: f64| (simulated / formula).clamp(FACTORS.0, FACTORS.1);
        let honest = factor(drawn.honest_error(users)?, self.honest(users));
        let shifted = if has_shift {
            let (formula, shift) = self.shifted_by_formula(users);
            let excess = (formula - shift).max(f64::MIN_POSITIVE);
            factor(drawn.shifted_error(users)? - shift, excess)
        } else {
            honest
        };
        self.factors = (honest, shifted);
        Ok(())
    }

    /// The minimum number of users for which the mean error under the shift is at most the target.
    fn users(&self, target: f64) -> Option<f64> {
        // Errors are monotone in the number of users.
        min_users(self.setting.groups as f64, |users| {
            self.shifted(users) <= target
        })
    }

    /// The same, with formulas corrected by simulations.
    fn simulated_users(&mut self, target: f64) -> Result<Option<f64>, RobustStatsError> {
        let mut users = self.users(target);
        for _ in 0..ROUNDS {
            if let Some(before) = users {
                self.calibrate(before)?;
                users = self.users(target);
            }
        }
        Ok(users)
    }

    fn plan(&self, request: &Request, users: f64) -> Plan {
        let guarantee = self
            .kept
            .map(|kept| error_guarantee(&self.setting, kept, request.gamma, users));
        Plan {
            statistical_error: self.honest(users),
            predicted_error: self.shifted(users),
            manipulation_floor: self.floor,
            kept: self.kept,
            guarantee,
            ..Plan::new(&self.setting, request.gamma, users)
        }
    }
}
