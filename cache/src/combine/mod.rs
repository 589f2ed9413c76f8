//! Robust combinations: follow the best of several policies, lazily.
//!
//! A [`Combined`] policy runs each expert on its own virtual cache. A [`Rule`] selects the expert
//! that the real cache follows. Only misses of the real cache count: a page enters it on a miss, never
//! by copying a virtual cache. With a predictor's policy first and a classical one second, this is the
//! low-cost worst-case insurance of Chłędowski et al. (ICML 2021).

mod follower;
mod rule;

use septet_core::seed::SeedTree;

pub(crate) use follower::{EvictionOrder, Follower};
use rule::Choice;
pub use rule::Rule;

use crate::error::CacheError;
use crate::policy::{Needs, Policy};
use crate::request::{PageId, Request};

/// A combination of policies over one real cache. Time per request: that of all experts, plus
/// O(log k) amortized.
///
/// ```
/// use septet_cache::combine::{Combined, Rule};
/// use septet_cache::learned::FollowPrediction;
/// use septet_cache::policy::{Lru, Policy};
/// use septet_cache::predict::{self, Popularity};
/// use septet_cache::trace::Trace;
/// use septet_core::seed::SeedTree;
///
/// let mut trace = Trace::from_ids((0..1_000).map(|i| i * i % 37));
/// trace.set_predictions(predict::predictions(&mut Popularity::default(), &trace))?;
/// let mut policy = Combined::new(
///     8,
///     vec![Box::new(FollowPrediction::new(8)), Box::new(Lru::new(8))],
///     Rule::Doubling { gamma: 0.01 },
///     &SeedTree::new(0),
/// )?;
/// let tally = policy.replay(&trace)?;
/// assert!(tally.misses <= 1_000);
/// assert_eq!(policy.expert_misses().len(), 2);
/// # Ok::<(), septet_cache::CacheError>(())
/// ```
#[derive(Debug)]
pub struct Combined {
    experts: Vec<Box<dyn Policy>>,
    rule: Rule,
    choice: Choice,
    current: usize,
    costs: Vec<u64>,
    missed: Vec<bool>,
    switches: u64,
    follower: Follower,
    virtual_evictions: Vec<PageId>,
}

impl Combined {
    /// A combination of experts, each built with the same `capacity` in pages. The deterministic
    /// rules start with the first expert.
    ///
    /// # Errors
    /// [`CacheError::Argument`] without experts, or when the rule's parameter is out of its range.
    pub fn new(
        capacity: usize,
        experts: Vec<Box<dyn Policy>>,
        rule: Rule,
        seed: &SeedTree,
    ) -> Result<Self, CacheError> {
        let argument = |name, value: f64, expected| CacheError::Argument {
            name,
            value: value.to_string(),
            expected,
        };
        if experts.is_empty() {
            return Err(argument("experts", 0.0, "at least one"));
        }
        // Below 1e-6 the doubling bound needs too many steps to reach the costs of a long trace.
        match rule {
            Rule::Doubling { gamma } if !(gamma >= 1e-6 && gamma.is_finite()) => {
                return Err(argument("gamma", gamma, "a finite number of at least 1e-6"));
            }
            Rule::BlumBurch { epsilon } if !(epsilon > 0.0 && epsilon < 1.0) => {
                return Err(argument("epsilon", epsilon, "a number in (0, 1)"));
            }
            Rule::FollowLeader { hysteresis } if !(hysteresis >= 1.0 && hysteresis.is_finite()) => {
                return Err(argument(
                    "hysteresis",
                    hysteresis,
                    "a finite number of at least 1",
                ));
            }
            _ => {}
        }
        // Every expert starts with cost 0; R draws its first expert, the others start with the first.
        let (choice, current) = Choice::new(rule, experts.len(), seed);
        Ok(Self {
            follower: Follower::new(capacity, EvictionOrder::default(), experts.len()),
            costs: vec![0; experts.len()],
            missed: vec![false; experts.len()],
            experts,
            rule,
            choice,
            current,
            switches: 0,
            virtual_evictions: Vec::new(),
        })
    }

    /// The misses of each expert in its virtual cache.
    #[must_use]
    pub fn expert_misses(&self) -> &[u64] {
        &self.costs
    }

    /// Number of requests after which the followed expert changed.
    #[must_use]
    pub fn switches(&self) -> u64 {
        self.switches
    }

    /// Index of the currently followed expert.
    #[must_use]
    pub fn followed(&self) -> usize {
        self.current
    }

    /// The probability of following each expert; `None` for deterministic rules.
    #[must_use]
    pub fn probabilities(&self) -> Option<&[f64]> {
        self.choice.probabilities()
    }
}

impl Policy for Combined {
    fn name(&self) -> String {
        let rule = match self.rule {
            Rule::Doubling { .. } => "D",
            Rule::BlumBurch { .. } => "R",
            Rule::FollowLeader { .. } => "FollowLeader",
        };
        let experts: Vec<String> = self.experts.iter().map(|expert| expert.name()).collect();
        format!("{rule}({})", experts.join(", "))
    }

    fn needs(&self) -> Needs {
        self.experts
            .iter()
            .fold(Needs::PAGING, |needs, expert| needs.union(expert.needs()))
    }

    fn access(&mut self, request: &Request, evicted: &mut Vec<PageId>) -> bool {
        // Advance every expert on its virtual cache, and record costs and virtual evictions.
        for (index, expert) in self.experts.iter_mut().enumerate() {
            self.virtual_evictions.clear();
            let hit = expert.access(request, &mut self.virtual_evictions);
            self.missed[index] = !hit;
            self.costs[index] += u64::from(!hit);
            for &page in &self.virtual_evictions {
                self.follower.note_virtual_eviction(index, page);
            }
        }
        // Update the rule with this request's costs, then serve it by the newly followed expert.
        let real_miss = !self.follower.contains(request.page);
        let next = self
            .choice
            .update(self.current, &self.costs, &self.missed, real_miss);
        if next != self.current {
            self.current = next;
            self.switches += 1;
        }
        let experts = &self.experts;
        self.follower.serve(
            request.page,
            self.current,
            |expert, page| experts[expert].contains(page),
            evicted,
        )
    }

    fn contains(&self, page: PageId) -> bool {
        self.follower.contains(page)
    }
}
