//! Formats of other systems: RAPPOR's files, and the aggregate shares of Prio3.

mod prio;
mod rappor_files;

pub use prio::{FIELD_MODULUS, design_counts_from_shares, histogram_from_shares};
pub use rappor_files::{
    CandidateMap, read_counts, read_map, read_parameters, write_counts, write_map, write_parameters,
};
