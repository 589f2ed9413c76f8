//! Adversaries as code, and the harness that keeps them to their budget.
//!
//! What an adversary may know is in its type. An [`Oblivious`] one is given the public protocol and
//! chooses its victims before anything is sent; no message is within its reach. An [`Adaptive`] one
//! sees all messages first. Either hands in a plan; the harness carries it out and counts, by
//! comparing what was sent with what arrives, how many messages differ. More than `floor(gamma n)`
//! is an error.
//!
//! The messages of one group are exchangeable, so a protocol's messages are its counts by group and
//! cell: the central protocol is the one with a single group. [`corrupt_messages`] is the same
//! harness for messages of any other kind, such as bit vectors.

mod align;
mod climb;
mod couple;
mod flood;
mod harness;
mod hide;
mod messages;
mod promote;
mod transport;

pub use align::SignAlign;
pub use climb::HillClimb;
pub use couple::{MaxCoupling, PlantedShift};
pub use flood::{RowTakeover, SameMessage};
pub use harness::{
    Adaptive, Adversary, Attacked, Destination, Injector, Move, Oblivious, Plant, Protocol, attack,
    inject,
};
pub use hide::{Aim, EmdQuantile, EmdSorted, ThresholdWalk};
pub use messages::{
    MessageAdversary, corrupt_messages, half_ones, maximal_gain_unary, random_bits,
};
pub use promote::{AdaptivePoisoning, MaximalGain, RandomItem, RandomReport};
pub use transport::{Erasure, Replay, WrongGroup};
