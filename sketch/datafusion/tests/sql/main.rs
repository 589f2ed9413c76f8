//! The functions, called through SQL.

mod count_min;
mod errors;
mod learned;
mod memory;
mod parquet;
mod tables;
mod top_k;
