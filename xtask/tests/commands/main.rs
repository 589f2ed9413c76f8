//! The runner as a user meets it: what it prints, and how it exits. The stand-in for cargo is a
//! shell script, so these tests are for Unix.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "what fails in a test is its message")]

mod data;
mod dispatch;
mod exit_codes;
mod report;
mod runner;
