//! Adversaries, and the harness that enforces their budget.
//!
//! The type of an adversary determines its knowledge. An [`Oblivious`] one knows the public protocol and
//! chooses its victims before anything is sent. An [`Adaptive`] one sees all messages first. Either
//! returns a plan; the harness executes it and counts the changed messages by comparing sent and received
//! ones. More than `floor(gamma n)` is an error.
//!
//! The messages of one group are exchangeable, so a protocol's messages are its counts by group and
//! cell: the central protocol is the one with a single group. [`corrupt_messages`] is the same
//! harness for messages of any other kind, such as bit vectors.

mod align;
mod climb;
mod couple;
mod direction;
mod flood;
mod harness;
mod hide;
mod majority;
mod messages;
mod promote;
mod stable;
mod transport;

pub use align::SignAlign;
pub use climb::HillClimb;
pub use couple::{MaxCoupling, PlantedShift};
pub use flood::{RowTakeover, SameMessage};
pub use harness::{
    Adaptive, Adversary, AttackOutcome, Destination, Injector, Move, Oblivious, Plant, Protocol,
    attack, inject,
};
pub use hide::{Aim, EmdQuantile, EmdSorted, ThresholdWalk};
pub use majority::MajorityShift;
pub use messages::{
    MessageAdversary, corrupt_messages, half_ones, maximal_gain_unary, random_bits,
};
pub use promote::{AdaptivePoisoning, MaximalGain, RandomItem, RandomReport};
pub use transport::{Erasure, Replay, WrongGroup};
