//! Which keys are the most frequent?
