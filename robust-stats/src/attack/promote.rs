//! Attacks that promote target symbols (Cao, Jia, Gong, USENIX Security 2021).

use rand::{Rng, RngCore};

use crate::distribution::{AliasSampler, Pmf};

use super::harness::{Destination, Injector, Oblivious, Plant, Protocol};

/// The victims of an oblivious adversary: `budget` clients drawn without replacement, as
/// `(group, number)`.
pub(super) fn victims_at_random(
    protocol: &Protocol<'_>,
    budget: u64,
    rng: &mut dyn RngCore,
) -> Vec<(usize, u64)> {
    let mut numbers = vec![0; protocol.sizes().len()];
    crate::simulate::draw_without_replacement(protocol.sizes(), budget, rng, &mut numbers);
    numbers
        .into_iter()
        .enumerate()
        .filter(|&(_, number)| number > 0)
        .collect()
}

/// Plants at random victims, with independently drawn messages.
fn plant_each(
    protocol: &Protocol<'_>,
    budget: u64,
    rng: &mut dyn RngCore,
    mut cell: impl FnMut(usize, &mut dyn RngCore) -> usize,
) -> Vec<Plant> {
    let mut plan = Vec::new();
    for (group, number) in victims_at_random(protocol, budget, rng) {
        let mut counts = vec![0; protocol.matrix().cells()];
        for _ in 0..number {
            counts[cell(group, rng)] += 1;
        }
        plan.extend(counts.iter().enumerate().map(|(cell, &number)| Plant {
            group,
            to: Destination::Cell(cell),
            number,
        }));
    }
    plan
}

/// The cell of a symbol, sent through the design's randomized response.
fn respond(protocol: &Protocol<'_>, group: usize, symbol: usize, rng: &mut dyn RngCore) -> usize {
    let matrix = protocol.matrix();
    let own = matrix.rows_of(symbol)[group] as usize % matrix.cells();
    if rng.random::<f64>() < matrix.attenuation() {
        own
    } else {
        // A uniform cell with the remaining probability: the own cell then has the probability
        // `attenuation + other`, every other cell `other`.
        rng.random_range(0..matrix.cells())
    }
}

/// Random reports (RPA): a uniform cell.
#[derive(Clone, Copy, Debug, Default)]
pub struct RandomReport;

impl Oblivious for RandomReport {
    fn plan(&mut self, protocol: &Protocol<'_>, budget: u64, rng: &mut dyn RngCore) -> Vec<Plant> {
        let cells = protocol.matrix().cells();
        plant_each(protocol, budget, rng, |_, rng| rng.random_range(0..cells))
    }
}

impl Injector for RandomReport {
    fn cell(&mut self, protocol: &Protocol<'_>, _group: usize, rng: &mut dyn RngCore) -> usize {
        rng.random_range(0..protocol.matrix().cells())
    }
}

/// Random items (RIA): a random target, honestly encoded.
#[derive(Clone, Debug)]
pub struct RandomItem {
    /// The promoted symbols.
    pub targets: Vec<usize>,
}

impl Oblivious for RandomItem {
    fn plan(&mut self, protocol: &Protocol<'_>, budget: u64, rng: &mut dyn RngCore) -> Vec<Plant> {
        plant_each(protocol, budget, rng, |group, rng| {
            let target = self.targets[rng.random_range(0..self.targets.len())];
            respond(protocol, group, target, rng)
        })
    }
}

impl Injector for RandomItem {
    fn cell(&mut self, protocol: &Protocol<'_>, group: usize, rng: &mut dyn RngCore) -> usize {
        let target = self.targets[rng.random_range(0..self.targets.len())];
        respond(protocol, group, target, rng)
    }
}

/// Maximal gain (MGA): the cell with the maximum number of targets.
#[derive(Clone, Debug)]
pub struct MaximalGain {
    /// The promoted symbols.
    pub targets: Vec<usize>,
    /// Whether the adversary chooses the groups with the maximum number of targets in a cell; random
    /// victims otherwise.
    pub best_groups: bool,
}

impl MaximalGain {
    /// The cell of a group with the maximum number of targets, and that number.
    fn best(&self, protocol: &Protocol<'_>, group: usize) -> (usize, u64) {
        let matrix = protocol.matrix();
        let mut supported = vec![0_u64; matrix.cells()];
        for &target in &self.targets {
            supported[matrix.rows_of(target)[group] as usize % matrix.cells()] += 1;
        }
        let (cell, &number) = supported
            .iter()
            .enumerate()
            .rev()
            .max_by_key(|&(_, supported)| supported)
            .expect("a design has a cell");
        (cell, number)
    }
}

impl Oblivious for MaximalGain {
    fn plan(&mut self, protocol: &Protocol<'_>, budget: u64, rng: &mut dyn RngCore) -> Vec<Plant> {
        // With a choice of groups, fill them in descending order of targets per cell.
        let victims = if self.best_groups {
            let mut groups: Vec<usize> = (0..protocol.sizes().len()).collect();
            groups.sort_by_key(|&group| std::cmp::Reverse(self.best(protocol, group).1));
            let mut left = budget;
            groups
                .into_iter()
                .map(|group| {
                    let number = protocol.sizes()[group].min(left);
                    left -= number;
                    (group, number)
                })
                .collect()
        } else {
            victims_at_random(protocol, budget, rng)
        };
        victims
            .into_iter()
            .map(|(group, number)| Plant {
                group,
                to: Destination::Cell(self.best(protocol, group).0),
                number,
            })
            .collect()
    }
}

impl Injector for MaximalGain {
    fn cell(&mut self, protocol: &Protocol<'_>, group: usize, _rng: &mut dyn RngCore) -> usize {
        self.best(protocol, group).0
    }
}

/// Adaptive poisoning: noiseless messages of symbols from a distribution of the attacker's choice, so
/// that no count stands out.
#[derive(Clone, Debug)]
pub struct AdaptivePoisoning {
    sampler: AliasSampler,
}

impl AdaptivePoisoning {
    /// Poisons towards this distribution.
    #[must_use]
    pub fn towards(law: &Pmf) -> Self {
        Self {
            sampler: AliasSampler::new(law),
        }
    }
}

impl Oblivious for AdaptivePoisoning {
    fn plan(&mut self, protocol: &Protocol<'_>, budget: u64, rng: &mut dyn RngCore) -> Vec<Plant> {
        let matrix = protocol.matrix();
        plant_each(protocol, budget, rng, |group, rng| {
            matrix.rows_of(self.sampler.sample(rng))[group] as usize % matrix.cells()
        })
    }
}

impl Injector for AdaptivePoisoning {
    fn cell(&mut self, protocol: &Protocol<'_>, group: usize, rng: &mut dyn RngCore) -> usize {
        let matrix = protocol.matrix();
        matrix.rows_of(self.sampler.sample(rng))[group] as usize % matrix.cells()
    }
}
