//! Learning-augmented paging: policies that follow predictions of each page's next request, one a
//! file. All of them take pages of size 1.
//!
//! The predictions are a column of the trace ([`crate::trace::Trace::set_predictions`]); the
//! modules [`crate::predict`] and [`crate::combine`] make them and make them safe to follow.

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
