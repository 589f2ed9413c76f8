//! The harness for messages of any type, and attacks on unary encodings.

use rand::Rng;
use rand::seq::SliceRandom;

use crate::error::RobustStatsError;
use crate::parameter::Gamma;

/// Returns replacements `(client, message)`, given the number of clients and the budget.
type Blind<'a, M> = Box<dyn FnMut(usize, u64) -> Vec<(usize, M)> + 'a>;
/// Returns replacements, given all messages and the budget.
type Seeing<'a, M> = Box<dyn FnMut(&[M], u64) -> Vec<(usize, M)> + 'a>;

/// An adversary on messages, by its knowledge.
pub enum MessageAdversary<'a, M> {
    /// Knows the number of clients and the budget.
    Oblivious(Blind<'a, M>),
    /// Knows all messages and the budget.
    Adaptive(Seeing<'a, M>),
}

impl<M> std::fmt::Debug for MessageAdversary<'_, M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Oblivious(_) => "Oblivious",
            Self::Adaptive(_) => "Adaptive",
        })
    }
}

/// Replaces at most `floor(gamma n)` of the messages and returns the number of changed ones.
///
/// # Errors
///
/// When the plan has an invalid client, or changes more messages than the budget; the messages are then
/// unchanged.
pub fn corrupt_messages<M: Clone + PartialEq>(
    messages: &mut Vec<M>,
    adversary: &mut MessageAdversary<'_, M>,
    gamma: Gamma,
) -> Result<u64, RobustStatsError> {
    let budget = gamma.budget(messages.len() as u64);
    let plan = match adversary {
        MessageAdversary::Oblivious(plan) => plan(messages.len(), budget),
        MessageAdversary::Adaptive(plan) => plan(messages, budget),
    };
    // Work on a copy: on an error the messages are unchanged.
    let mut after = messages.clone();
    for (client, message) in plan {
        let clients = after.len();
        let Some(place) = after.get_mut(client) else {
            return Err(RobustStatsError::parameter(
                "attack",
                format!("a client below {clients}"),
                client,
            ));
        };
        *place = message;
    }
    let changed = messages.iter().zip(&after).filter(|(a, b)| a != b).count() as u64;
    if changed > budget {
        return Err(RobustStatsError::parameter(
            "attack",
            format!("at most {budget} changed messages"),
            changed,
        ));
    }
    *messages = after;
    Ok(changed)
}

/// A unary message that supports the first half of the symbols: the strongest against unary encodings.
#[must_use]
pub fn half_ones(symbols: usize) -> Vec<bool> {
    (0..symbols).map(|symbol| symbol < symbols / 2).collect()
}

/// A unary message of random bits.
pub fn random_bits<R: Rng + ?Sized>(symbols: usize, rng: &mut R) -> Vec<bool> {
    (0..symbols).map(|_| rng.random()).collect()
}

/// A unary message that supports all targets, padded by random other symbols to the expected number of
/// ones of an honest message, `floor(p + (k - 1) q)`.
///
/// # Errors
///
/// When a target is outside the domain.
pub fn maximal_gain_unary<R: Rng + ?Sized>(
    symbols: usize,
    targets: &[usize],
    own: f64,
    other: f64,
    rng: &mut R,
) -> Result<Vec<bool>, RobustStatsError> {
    let mut message = vec![false; symbols];
    for &target in targets {
        match message.get_mut(target) {
            Some(bit) => *bit = true,
            None => {
                let expected = format!("symbols below {symbols}");
                return Err(RobustStatsError::parameter("targets", expected, target));
            }
        }
    }
    // An honest message has this number of ones in expectation; an unpadded one would stand out.
    let ones = (own + (symbols as f64 - 1.0) * other) as usize;
    let mut others: Vec<usize> = (0..symbols).filter(|&symbol| !message[symbol]).collect();
    let padding = ones
        .saturating_sub(symbols - others.len())
        .min(others.len());
    let (chosen, _) = others.partial_shuffle(rng, padding);
    for &mut symbol in chosen {
        message[symbol] = true;
    }
    Ok(message)
}

#[cfg(test)]
mod tests {
    use septet_core::seed::SeedTree;

    use super::*;

    #[test]
    fn the_budget_is_that_of_the_difference() {
        let gamma = Gamma::new(0.2).unwrap();
        let mut messages = vec![0_u32; 10];
        let mut adversary = MessageAdversary::Adaptive(Box::new(|messages: &[u32], budget| {
            assert_eq!(budget, 2);
            // Touching a message without changing it costs nothing.
            (0..messages.len())
                .map(|client| (client, u32::from(client < 2)))
                .collect()
        }));
        assert_eq!(
            corrupt_messages(&mut messages, &mut adversary, gamma).unwrap(),
            2
        );
        let mut greedy = MessageAdversary::Oblivious(Box::new(|clients, _| {
            (0..clients).map(|client| (client, 7_u32)).collect()
        }));
        let before = messages.clone();
        assert!(corrupt_messages(&mut messages, &mut greedy, gamma).is_err());
        assert_eq!(messages, before);
        let mut lost = MessageAdversary::Oblivious(Box::new(|clients, _| vec![(clients, 1_u32)]));
        assert!(corrupt_messages(&mut messages, &mut lost, gamma).is_err());
    }

    #[test]
    fn padding_makes_the_weight_normal() {
        let mut rng = SeedTree::new(1).rng();
        let message = maximal_gain_unary(100, &[3, 5], 0.5, 0.27, &mut rng).unwrap();
        assert!(message[3] && message[5]);
        assert_eq!(message.iter().filter(|&&bit| bit).count(), 27);
        assert!(maximal_gain_unary(4, &[4], 0.5, 0.2, &mut rng).is_err());
        assert_eq!(half_ones(5).iter().filter(|&&bit| bit).count(), 2);
        assert_eq!(random_bits(7, &mut rng).len(), 7);
    }
}
