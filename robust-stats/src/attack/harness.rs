//! The harness: executes the plans of adversaries and counts the changes.

use rand::{Rng, RngCore};

use crate::aggregate::CountMatrix;
use crate::design::DesignMatrix;
use crate::error::RobustStatsError;
use crate::parameter::Gamma;
use crate::simulate::draw_without_replacement;

/// Public knowledge: the design and the group sizes.
#[derive(Clone, Debug)]
pub struct Protocol<'a> {
    matrix: &'a DesignMatrix,
    sizes: Vec<u64>,
}

impl<'a> Protocol<'a> {
    /// The protocol of these counts.
    ///
    /// # Errors
    ///
    /// When the shape of the counts is not that of the design.
    pub fn new(matrix: &'a DesignMatrix, counts: &CountMatrix) -> Result<Self, RobustStatsError> {
        if (counts.groups(), counts.cells()) != (matrix.groups(), matrix.cells()) {
            return Err(RobustStatsError::mismatch(
                "shape of the count matrix",
                format!("{} x {}", counts.groups(), counts.cells()),
                format!("{} x {}", matrix.groups(), matrix.cells()),
            ));
        }
        Ok(Self {
            matrix,
            sizes: (0..counts.groups())
                .map(|group| counts.group_reports(group))
                .collect(),
        })
    }

    /// The design.
    #[must_use]
    pub fn matrix(&self) -> &'a DesignMatrix {
        self.matrix
    }

    /// Number of clients by group.
    #[must_use]
    pub fn sizes(&self) -> &[u64] {
        &self.sizes
    }

    /// Number of clients.
    #[must_use]
    pub fn clients(&self) -> u64 {
        self.sizes.iter().sum()
    }
}

/// The destination of a manipulated message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Counted in this cell.
    Cell(usize),
    /// Claims another group. The server, which knows the client's group, rejects it.
    OtherGroup,
    /// Not sent.
    Dropped,
}

/// Manipulated messages of an oblivious adversary: of `number` random clients of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plant {
    /// The group of the victims.
    pub group: usize,
    /// The destination of their messages.
    pub to: Destination,
    /// Number of messages.
    pub number: u64,
}

/// Manipulated messages of an adaptive adversary: `number` messages of a group in the cell `from`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// The group of the victims.
    pub group: usize,
    /// The original cell of their messages.
    pub from: usize,
    /// The destination of the messages.
    pub to: Destination,
    /// Number of messages.
    pub number: u64,
}

/// An adversary that chooses its victims and their messages before anything is sent, knowing only the
/// protocol.
pub trait Oblivious {
    /// Plans at most `budget` manipulated messages.
    fn plan(&mut self, protocol: &Protocol<'_>, budget: u64, rng: &mut dyn RngCore) -> Vec<Plant>;
}

/// An adversary that sees all messages before it chooses its victims.
pub trait Adaptive {
    /// Plans at most `budget` manipulated messages.
    fn plan(
        &mut self,
        protocol: &Protocol<'_>,
        counts: &CountMatrix,
        budget: u64,
        rng: &mut dyn RngCore,
    ) -> Vec<Move>;
}

/// An adversary that adds fake clients. The server assigns their groups, which they know.
pub trait Injector {
    /// The cell reported by a fake client of this group.
    fn cell(&mut self, protocol: &Protocol<'_>, group: usize, rng: &mut dyn RngCore) -> usize;
}

/// An adversary, by its knowledge.
pub enum Adversary<'a> {
    /// Sees no message.
    Oblivious(Box<dyn Oblivious + 'a>),
    /// Sees every message.
    Adaptive(Box<dyn Adaptive + 'a>),
}

impl std::fmt::Debug for Adversary<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Oblivious(_) => "Oblivious",
            Self::Adaptive(_) => "Adaptive",
        })
    }
}

/// The result of an attack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttackOutcome {
    /// The counts that the server accepts.
    pub counts: CountMatrix,
    /// Number of changed messages, found by comparison.
    pub changed: u64,
    /// Number of messages rejected for claiming another group.
    pub rejected: u64,
    /// Maximum number of changed messages.
    pub budget: u64,
}

/// The minimum number of changed messages between two tables of counts, within groups.
fn difference(before: &CountMatrix, after: &CountMatrix) -> u64 {
    (0..before.groups())
        .map(|group| {
            let pairs = before.group(group).iter().zip(after.group(group));
            let (mut gone, mut come) = (0, 0);
            for (&before, &after) in pairs {
                gone += before.saturating_sub(after);
                come += after.saturating_sub(before);
            }
            gone.max(come)
        })
        .sum()
}

/// Runs an adversary with a budget of `floor(gamma n)` messages.
///
/// # Errors
///
/// When the shapes differ, or the plan has an invalid group or cell, moves more messages than exist,
/// or changes more than the budget.
pub fn attack<R: Rng>(
    matrix: &DesignMatrix,
    counts: &CountMatrix,
    adversary: &mut Adversary<'_>,
    gamma: Gamma,
    rng: &mut R,
) -> Result<AttackOutcome, RobustStatsError> {
    let protocol = Protocol::new(matrix, counts)?;
    let budget = gamma.budget(protocol.clients());
    let mut after = counts.clone();
    let mut rejected = 0;
    match adversary {
        Adversary::Oblivious(adversary) => {
            let plan = adversary.plan(&protocol, budget, rng);
            execute_plants(counts, &plan, &mut after, &mut rejected, rng)?;
        }
        Adversary::Adaptive(adversary) => {
            let plan = adversary.plan(&protocol, counts, budget, rng);
            execute_moves(counts, &plan, &mut after, &mut rejected)?;
        }
    }
    // The budget is enforced on the outcome, not on the plan: a plan may move messages back and forth.
    let changed = difference(counts, &after);
    if changed > budget {
        return Err(RobustStatsError::parameter(
            "attack",
            format!("at most {budget} changed messages"),
            changed,
        ));
    }
    Ok(AttackOutcome {
        counts: after,
        changed,
        rejected,
        budget,
    })
}

/// Removes the messages of random victims from each group, then adds the manipulated messages.
fn execute_plants<R: Rng>(
    before: &CountMatrix,
    plan: &[Plant],
    after: &mut CountMatrix,
    rejected: &mut u64,
    rng: &mut R,
) -> Result<(), RobustStatsError> {
    // The adversary is oblivious: the messages of its victims are a random subset of the group's.
    let mut victims = vec![0_u64; before.groups()];
    for plant in plan {
        check_group(before, plant.group)?;
        victims[plant.group] = victims[plant.group].saturating_add(plant.number);
    }
    let mut taken = vec![0; before.cells()];
    for (group, &number) in victims.iter().enumerate() {
        if number == 0 {
            continue;
        }
        if number > before.group_reports(group) {
            return Err(RobustStatsError::parameter(
                "attack",
                format!(
                    "at most {} victims in group {group}",
                    before.group_reports(group)
                ),
                number,
            ));
        }
        draw_without_replacement(before.group(group), number, rng, &mut taken);
        for (count, taken) in after.group_mut(group).iter_mut().zip(&taken) {
            *count -= taken;
        }
    }
    for plant in plan {
        deliver(after, plant.group, plant.to, plant.number, rejected)?;
    }
    Ok(())
}

fn execute_moves(
    before: &CountMatrix,
    plan: &[Move],
    after: &mut CountMatrix,
    rejected: &mut u64,
) -> Result<(), RobustStatsError> {
    // Moves consume honest messages; `left` prevents moving manipulated messages again.
    let mut left = before.clone();
    for step in plan {
        check_group(before, step.group)?;
        check_cell(before, step.from)?;
        let have = &mut left.group_mut(step.group)[step.from];
        if step.number > *have {
            return Err(RobustStatsError::parameter(
                "attack",
                format!("at most the {have} messages of the cell"),
                step.number,
            ));
        }
        *have -= step.number;
        after.group_mut(step.group)[step.from] -= step.number;
        deliver(after, step.group, step.to, step.number, rejected)?;
    }
    Ok(())
}

fn deliver(
    after: &mut CountMatrix,
    group: usize,
    to: Destination,
    number: u64,
    rejected: &mut u64,
) -> Result<(), RobustStatsError> {
    match to {
        Destination::Cell(cell) => {
            check_cell(after, cell)?;
            after.group_mut(group)[cell] += number;
        }
        Destination::OtherGroup => *rejected += number,
        Destination::Dropped => {}
    }
    Ok(())
}

fn check_group(counts: &CountMatrix, group: usize) -> Result<(), RobustStatsError> {
    if group < counts.groups() {
        return Ok(());
    }
    let expected = format!("a group below {}", counts.groups());
    Err(RobustStatsError::parameter("attack", expected, group))
}

fn check_cell(counts: &CountMatrix, cell: usize) -> Result<(), RobustStatsError> {
    if cell < counts.cells() {
        return Ok(());
    }
    let expected = format!("a cell below {}", counts.cells());
    Err(RobustStatsError::parameter("attack", expected, cell))
}

/// Adds fake clients up to a fraction `gamma` of all: `floor(gamma n / (1 - gamma))` for `n` honest
/// clients. The server assigns each a uniformly random group.
///
/// # Errors
///
/// When the shapes differ, or the adversary returns an invalid cell.
pub fn inject<R: Rng>(
    matrix: &DesignMatrix,
    counts: &CountMatrix,
    adversary: &mut dyn Injector,
    gamma: Gamma,
    rng: &mut R,
) -> Result<AttackOutcome, RobustStatsError> {
    let protocol = Protocol::new(matrix, counts)?;
    let honest = protocol.clients() as f64;
    let fakes = (gamma.get() * honest / (1.0 - gamma.get())) as u64;
    let mut after = counts.clone();
    for _ in 0..fakes {
        let group = rng.random_range(0..counts.groups());
        let cell = adversary.cell(&protocol, group, rng);
        check_cell(counts, cell)?;
        after.add(group, cell);
    }
    Ok(AttackOutcome {
        changed: after.reports() - counts.reports(),
        counts: after,
        rejected: 0,
        budget: fakes,
    })
}
