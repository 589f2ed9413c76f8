//! Concatenation of patterns.

use septet_core::seed::SeedTree;

use super::Pattern;
use crate::error::CacheError;
use crate::trace::record::Record;

/// A phase of a trace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Phase {
    /// The pattern of its requests.
    pub pattern: Pattern,
    /// Number of requests.
    pub requests: usize,
}

/// Concatenates phases. Phases with equal patterns share their pages (with independent draws);
/// phases with different patterns have disjoint pages.
///
/// # Errors
/// [`CacheError::Argument`] for a parameter of a pattern out of range.
pub fn phases(
    phases: &[Phase],
    seed: &SeedTree,
) -> Result<impl Iterator<Item = Record> + Send + use<>, CacheError> {
    // A pattern holds tables: each is built when its phase begins, and freed at its end. Here they are
    // checked, equal ones once.
    let mut parts = Vec::with_capacity(phases.len());
    for (index, phase) in phases.iter().enumerate() {
        let first_alike = phases
            .iter()
            .position(|other| other.pattern == phase.pattern)
            .unwrap_or(index);
        if first_alike == index {
            drop(phase.pattern.requests(seed)?);
        }
        parts.push((*phase, first_alike));
    }
    let seed = *seed;
    let parts = parts.into_iter().enumerate();
    Ok(parts.flat_map(move |(index, (phase, first_alike))| {
        // Page numbers of patterns are below 2^40, so the shifted ranges are disjoint; addresses of
        // programs are below 2^60 and stay as they are.
        let shift = match phase.pattern {
            Pattern::Program { .. } => 0,
            _ => (first_alike as u64) << 40,
        };
        let requests = phase.pattern.requests(&seed.index(index as u64));
        let requests = requests.into_iter().flatten().take(phase.requests);
        requests.map(move |record| Record {
            id: record.id + shift,
            ..record
        })
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_patterns_share_their_pages() {
        let phase = |pages| Phase {
            pattern: Pattern::Uniform { pages },
            requests: 500,
        };
        let mix = [phase(10), phase(20), phase(10)];
        let records: Vec<Record> = phases(&mix, &SeedTree::new(1)).unwrap().collect();
        let pages = |part: &[Record]| {
            let mut ids: Vec<u64> = part.iter().map(|record| record.id).collect();
            ids.sort_unstable();
            ids.dedup();
            ids
        };
        let (first, rest) = records.split_at(500);
        let (second, third) = rest.split_at(500);
        assert_eq!(pages(first), pages(third));
        assert_ne!(first, third, "other draws");
        assert!(pages(second).iter().all(|id| !pages(first).contains(id)));
    }
}
