//! What a design keeps of the distance of two distributions, from both sides.

use super::{Certificate, DesignMatrix, WeakestDirection};

/// Maximum number of directions from the certificate's dual solution from which the search descends.
const MAX_DESCENTS: usize = 48;

/// Maximum number of entries of a design in which the weakest direction is searched.
const MAX_SEARCHED_ENTRIES: usize = 1 << 22;

/// The descents together multiply with matrices of about this many entries, `k N` each.
const EFFORT: usize = 1 << 18;

/// The quality of a design: `certificate.kept <= minimum <= weakest.ratio`.
#[derive(Clone, Debug, PartialEq)]
pub struct DesignAudit {
    /// The rank of the design; it identifies every distribution if this is the number of symbols. `None` if
    /// the design is too large for a proof.
    pub rank: Option<usize>,
    /// The proven lower bound; `None` if the design is too large for a proof.
    pub certificate: Option<Certificate>,
    /// The least-kept direction that a search finds; `None` for a single symbol, and for more than
    /// `2^22` entries, `k N`.
    pub weakest: Option<WeakestDirection>,
}

impl DesignMatrix {
    /// Certifies the design and searches for the direction that it keeps least.
    ///
    /// The costs are those of [`certify_weighted`](Self::certify_weighted) and a few times those of
    /// [`weakest_direction`](Self::weakest_direction).
    #[must_use]
    pub fn audit(&self) -> DesignAudit {
        let is_searched = self.symbols().saturating_mul(self.groups()) <= MAX_SEARCHED_ENTRIES;
        let mut weakest = is_searched.then(|| self.weakest_direction()).flatten();
        let certified = self.certify_with_directions(&vec![1.0; self.groups()]);
        let (certificate, directions) = certified.map_or((None, Vec::new()), |(c, d)| (Some(c), d));
        // Descend from the directions that are kept least before the descent.
        let mut rows = vec![0.0; self.groups() * self.cells()];
        let mut starts: Vec<(f64, Vec<f64>)> = directions
            .into_iter()
            .filter_map(|mut direction| {
                super::weakest_direction::normalize(&mut direction);
                let ratio = self.ratio(&direction, &mut rows);
                ratio.is_finite().then_some((ratio, direction))
            })
            .collect();
        starts.sort_by(|a, b| a.0.total_cmp(&b.0));
        let descents = EFFORT / (self.symbols() * self.groups());
        for (_, start) in starts.into_iter().take(descents.clamp(4, MAX_DESCENTS)) {
            let found = self.descend(start);
            if weakest.as_ref().is_none_or(|best| found.ratio < best.ratio) {
                weakest = Some(found);
            }
        }
        let rank = match certificate {
            // A positive certificate implies full rank.
            Some(Certificate { kept }) if kept > 0.0 => Some(self.symbols()),
            Some(_) => Some(self.rank()),
            None => None,
        };
        DesignAudit {
            rank,
            certificate,
            weakest,
        }
    }
}
