//! The harness: it carries out what adversaries plan, and counts.

use rand::{Rng, RngCore};

use crate::aggregate::CountMatrix;
use crate::decode::DesignMatrix;
use crate::error::RobustStatsError;
use crate::parameter::Gamma;
use crate::simulate::draw_without_replacement;

/// What everybody knows: the design and how many clients are in each group.
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

    /// How many clients each group has.
    #[must_use]
    pub fn sizes(&self) -> &[u64] {
        &self.sizes
    }

    /// How many clients there are.
    #[must_use]
    pub fn clients(&self) -> u64 {
        self.sizes.iter().sum()
    }
}

/// Where a manipulated message arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// It names this cell.
    Cell(usize),
    /// It claims to be of another group. The server knows the client's group and rejects it.
    OtherGroup,
    /// It is not sent.
    Nowhere,
}

/// Manipulated messages of an adversary that sees nothing: of `number` clients of a group, whoever
/// they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plant {
    /// The group of the victims.
    pub group: usize,
    /// What arrives in place of their messages.
    pub to: Destination,
    /// How many.
    pub number: u64,
}

/// Manipulated messages of an adversary that sees everything: `number` messages of a group that
/// named the cell `from`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// The group of the victims.
    pub group: usize,
    /// The cell that their messages named.
    pub from: usize,
    /// What arrives in their place.
    pub to: Destination,
    /// How many.
    pub number: u64,
}

/// An adversary that chooses its victims and their messages before anything is sent. It knows the
/// protocol and nothing else.
pub trait Oblivious {
    /// What it does with so many messages at most.
    fn plan(&mut self, protocol: &Protocol<'_>, budget: u64, rng: &mut dyn RngCore) -> Vec<Plant>;
}

/// An adversary that sees all messages before it chooses its victims.
pub trait Adaptive {
    /// What it does with so many messages at most.
    fn plan(
        &mut self,
        protocol: &Protocol<'_>,
        counts: &CountMatrix,
        budget: u64,
        rng: &mut dyn RngCore,
    ) -> Vec<Move>;
}

/// An adversary that adds clients of its own. The server assigns their groups; they know theirs.
pub trait Injector {
    /// The cell that a fake client of this group names.
    fn cell(&mut self, protocol: &Protocol<'_>, group: usize, rng: &mut dyn RngCore) -> usize;
}

/// An adversary with its knowledge.
pub enum Adversary<'a> {
    /// It sees no message.
    Oblivious(Box<dyn Oblivious + 'a>),
    /// It sees every message.
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

/// What arrives at the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attacked {
    /// The counts that the server accepts.
    pub counts: CountMatrix,
    /// How many messages differ from those that were sent, found by comparison.
    pub changed: u64,
    /// How many of them were rejected for naming another group.
    pub rejected: u64,
    /// How many could have been changed.
    pub budget: u64,
}

/// How many messages must differ between two tables of counts, clients keeping their groups.
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

/// Lets an adversary manipulate at most `floor(gamma n)` of the messages.
///
/// # Errors
///
/// When the shapes differ, or the plan names a group or a cell that does not exist, takes more
/// messages than there are, or changes more than the budget.
pub fn attack<R: Rng>(
    matrix: &DesignMatrix,
    counts: &CountMatrix,
    adversary: &mut Adversary<'_>,
    gamma: Gamma,
    rng: &mut R,
) -> Result<Attacked, RobustStatsError> {
    let protocol = Protocol::new(matrix, counts)?;
    let budget = gamma.budget(protocol.clients());
    let mut after = counts.clone();
    let mut rejected = 0;
    match adversary {
        Adversary::Oblivious(adversary) => {
            let plan = adversary.plan(&protocol, budget, rng);
            carry_out_plants(counts, &plan, &mut after, &mut rejected, rng)?;
        }
        Adversary::Adaptive(adversary) => {
            let plan = adversary.plan(&protocol, counts, budget, rng);
            carry_out_moves(counts, &plan, &mut after, &mut rejected)?;
        }
    }
    let changed = difference(counts, &after);
    if changed > budget {
        return Err(RobustStatsError::parameter(
            "attack",
            format!("at most {budget} changed messages"),
            changed,
        ));
    }
    Ok(Attacked {
        counts: after,
        changed,
        rejected,
        budget,
    })
}

/// Takes victims at random from each group, then lets their new messages arrive.
fn carry_out_plants<R: Rng>(
    before: &CountMatrix,
    plan: &[Plant],
    after: &mut CountMatrix,
    rejected: &mut u64,
    rng: &mut R,
) -> Result<(), RobustStatsError> {
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
        arrive(after, plant.group, plant.to, plant.number, rejected)?;
    }
    Ok(())
}

fn carry_out_moves(
    before: &CountMatrix,
    plan: &[Move],
    after: &mut CountMatrix,
    rejected: &mut u64,
) -> Result<(), RobustStatsError> {
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
        arrive(after, step.group, step.to, step.number, rejected)?;
    }
    Ok(())
}

fn arrive(
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
        Destination::Nowhere => {}
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

/// Lets an adversary add fake clients until they are the fraction `gamma` of all: of `n` honest ones
/// `floor(gamma n / (1 - gamma))` fakes. The server assigns each a uniform random group.
///
/// # Errors
///
/// When the shapes differ, or the adversary names a cell that does not exist.
pub fn inject<R: Rng>(
    matrix: &DesignMatrix,
    counts: &CountMatrix,
    adversary: &mut dyn Injector,
    gamma: Gamma,
    rng: &mut R,
) -> Result<Attacked, RobustStatsError> {
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
    Ok(Attacked {
        changed: after.reports() - counts.reports(),
        counts: after,
        rejected: 0,
        budget: fakes,
    })
}
