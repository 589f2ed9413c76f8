//! How good are estimates, and how good is an oracle?
