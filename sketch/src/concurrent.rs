//! Sketches that several threads update.
