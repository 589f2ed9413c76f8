//! Learning-augmented paging: policies that follow predictions of each page's next request. All of
//! them require pages of size 1.
//!
//! Predictions are a column of the trace ([`crate::trace::Trace::set_predictions`]). The module
//! [`crate::predict`] computes them; [`crate::combine`] bounds the cost of bad ones.

mod adaptive_query;
mod follow_and_robust;
mod follow_prediction;
pub(crate) mod furthest;
mod guard;
mod l_marker;
mod l_non_marker;
mod mark_predict;
mod mark_zero;
mod marking;
mod predictive_marker;
mod rpb_online_min;
mod trust_and_doubt;

pub use adaptive_query::AdaptiveQuery;
pub use follow_and_robust::FollowAndRobust;
pub use follow_prediction::FollowPrediction;
pub use guard::{Guard, Relaxation};
pub use l_marker::{LMarker, PredictionMarker};
pub use l_non_marker::LNonMarker;
pub use mark_predict::MarkPredict;
pub use mark_zero::MarkZero;
pub use predictive_marker::PredictiveMarker;
pub use rpb_online_min::RpbOnlineMin;
pub use trust_and_doubt::{IntervalStart, TrustAndDoubt};
