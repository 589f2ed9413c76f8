//! A table of exact counts in front of a sketch, filled as an oracle advises.
