//! What the server adds up: integer counts that merge in any order.

mod count_matrix;

pub use count_matrix::CountMatrix;
