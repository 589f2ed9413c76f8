//! Predictions for few symbols, by drawing designs and simulating their estimates: where asymptotic
//! formulas are wrong, and designs of one shape differ.

use septet_core::seed::SeedTree;

use crate::attack::PlantedShift;
use crate::decode::{MinL1Options, Observation, min_l1};
use crate::design::{DesignMatrix, DesignParameters, HashDesign};
use crate::distribution::Pmf;
use crate::error::RobustStatsError;
use crate::parameter::Gamma;
use crate::simulate::sample_counts;
use crate::theory::learning::HashedSetting;

/// Maximum number of symbols for which designs are drawn.
pub(super) const MAX_DRAWN_SYMBOLS: usize = 64;

/// The sizes `k^2 N` of the drawn designs together.
const EFFORT: usize = 1 << 18;

/// The minimum and maximum number of designs.
const DESIGNS: (usize, usize) = (3, 16);

/// Designs above this size `k^2 N` are used as they are, instead of the best of eight: they hardly
/// differ.
const MAX_SELECTED: usize = 1 << 16;

/// Certificates differ by less than this between machines, relative.
const ROUNDING: f64 = 1e-6;

/// Attempted swaps per symbol in the search for a sign vector.
const SWEEPS: usize = 60;

/// The number of simulated estimates is this divided by the number of symbols, within limits: the fewer
/// symbols, the more an error varies between runs.
const SIMULATED_SYMBOLS: usize = 512;

/// The minimum and maximum number of simulated estimates.
const RUNS: (usize, usize) = (8, 64);

/// The number of simulated estimates of each design by which the worst is selected.
const SELECTION_RUNS: usize = 6;

/// Designs of one shape, with the undetectable shifts of the uniform distribution.
pub(super) struct DrawnDesigns {
    setting: HashedSetting,
    /// By shift, the largest first.
    designs: Vec<Shifted>,
    /// The index of the design with the largest error under its shift: with few users not always the
    /// one with the largest shift.
    worst: usize,
    /// All designs are certified for this.
    pub(super) kept: f64,
}

/// A design and the distribution that it confuses with the uniform one.
struct Shifted {
    matrix: DesignMatrix,
    target: Pmf,
    shift: f64,
}

impl DrawnDesigns {
    /// Draws designs from fixed seeds, and searches for the largest shift of each that `gamma` hides.
    /// Certificates of the best three quarters are at least `kept`; the others are discarded, as
    /// [`DesignParameters::drawn_with`] does.
    pub(super) fn new(setting: HashedSetting, gamma: Gamma) -> Result<Self, RobustStatsError> {
        let pass = setting.symbols * setting.symbols * setting.groups;
        // 1. The designs and their certificates.
        let mut drawn = Vec::new();
        for number in 0..(EFFORT / pass).clamp(DESIGNS.0, DESIGNS.1) {
            let mut seed = [0; 32];
            seed[0] = number as u8;
            let parameters = DesignParameters::new(setting.symbols, setting.cells, seed)?
                .with_groups(setting.groups)?;
            let parameters = match setting.epsilon {
                Some(epsilon) => parameters.with_epsilon(epsilon)?,
                None => parameters,
            };
            let parameters = if pass <= MAX_SELECTED {
                parameters.drawn()?.parameters
            } else {
                parameters
            };
            let matrix = DesignMatrix::from_design(&HashDesign::new(parameters)?)?.certified();
            let kept = matrix
                .certificate()
                .map_or(0.0, |certificate| certificate.kept);
            drawn.push((kept, matrix));
        }
        // 2. The lower quartile of the certificates; what is below is not used.
        drawn.sort_by(|a, b| b.0.total_cmp(&a.0));
        drawn.truncate((3 * drawn.len()).div_ceil(4));
        let kept = drawn
            .last()
            .map_or(0.0, |(kept, _)| kept * (1.0 - ROUNDING));
        // 3. Their shifts, the largest first.
        let mut designs = drawn
            .into_iter()
            .map(|(_, matrix)| Shifted::search(matrix, gamma))
            .collect::<Result<Vec<_>, _>>()?;
        designs.sort_by(|a, b| b.shift.total_cmp(&a.shift));
        Ok(Self {
            setting,
            designs,
            worst: 0,
            kept,
        })
    }

    /// The largest undetectable shift.
    pub(super) fn floor(&self) -> f64 {
        self.designs[0].shift
    }

    /// The distribution at the shift of the worst design, and the shift.
    pub(super) fn worst(&self) -> (&Pmf, f64) {
        let worst = &self.designs[self.worst];
        (&worst.target, worst.shift)
    }

    /// Selects the design with the largest mean error under its shift with this number of users.
    pub(super) fn select_worst(&mut self, users: f64) -> Result<(), RobustStatsError> {
        let mut largest = 0.0;
        for index in 0..self.designs.len() {
            let target = &self.designs[index].target;
            let error = self.simulate("selection", users, &[index], SELECTION_RUNS, target)?;
            if error > largest {
                (self.worst, largest) = (index, error);
            }
        }
        Ok(())
    }

    /// The mean total variation between estimates and the uniform distribution, from simulated honest
    /// reports, over designs.
    pub(super) fn honest_error(&self, users: f64) -> Result<f64, RobustStatsError> {
        let uniform = Pmf::uniform(self.setting.symbols)?;
        let all: Vec<usize> = (0..self.designs.len()).collect();
        self.simulate("honest", users, &all, self.runs(), &uniform)
    }

    /// The same for the worst design after its shift: the coupling makes messages those of its target.
    pub(super) fn shifted_error(&self, users: f64) -> Result<f64, RobustStatsError> {
        self.simulate("shifted", users, &[self.worst], self.runs(), self.worst().0)
    }

    fn runs(&self) -> usize {
        (SIMULATED_SYMBOLS / self.setting.symbols).clamp(RUNS.0, RUNS.1)
    }

    /// The mean total variation between the uniform distribution and estimates from reports with the
    /// distribution `source`, in these designs by turns.
    fn simulate(
        &self,
        name: &str,
        users: f64,
        designs: &[usize],
        runs: usize,
        source: &Pmf,
    ) -> Result<f64, RobustStatsError> {
        let k = self.setting.symbols;
        let seed = SeedTree::new(0).child("planner").child(name);
        let mut sum = 0.0;
        for run in 0..runs {
            let matrix = &self.designs[designs[run % designs.len()]].matrix;
            let mut rng = seed.index(run as u64).rng();
            let counts = sample_counts(matrix, source, users as u64, &mut rng)?;
            let observation = Observation::from_counts(matrix, &counts)?;
            let noise = 2.0 * observation.noise_bound(matrix) / matrix.attenuation();
            let solution = min_l1::minimize(
                matrix,
                &observation.cell_estimates(matrix),
                observation.weights(),
                noise,
                &MinL1Options::default(),
            )?;
            let deviation = |mass: &f64| (mass - 1.0 / k as f64).abs();
            sum += 0.5 * solution.masses.iter().map(deviation).sum::<f64>();
        }
        Ok(sum / runs as f64)
    }
}

impl Shifted {
    /// The best of an improved sign vector, and of both orientations of the least-kept direction.
    fn search(matrix: DesignMatrix, gamma: Gamma) -> Result<Self, RobustStatsError> {
        let uniform = Pmf::uniform(matrix.symbols())?;
        if gamma.get() == 0.0 {
            return Ok(Self {
                matrix,
                target: uniform,
                shift: 0.0,
            });
        }
        let mut rng = SeedTree::new(0).child("planner").child("signs").rng();
        let mut best = PlantedShift::search(&matrix, &uniform, gamma.get(), SWEEPS, &mut rng)?;
        if let Some(weakest) = matrix.audit().weakest {
            for sign in [1.0, -1.0] {
                let direction: Vec<f64> = weakest.direction.iter().map(|d| sign * d).collect();
                let shift = PlantedShift::along(&matrix, &uniform, gamma.get(), &direction)?;
                if shift.shift > best.shift {
                    best = shift;
                }
            }
        }
        Ok(Self {
            matrix,
            target: best.target,
            shift: best.shift,
        })
    }
}
