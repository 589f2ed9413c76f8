//! The error of a sketch, predicted from a histogram of counts.
