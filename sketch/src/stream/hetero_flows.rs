//! Synthetic network flows with heteroscedastic sizes.
//!
//! A substitute for traffic traces that cannot be redistributed. The addresses and ports of a flow
//! determine its class and its destination network, and these determine the *distribution* of its size:
//! log-normal with mean `mu` and standard deviation `sigma`. As in real traffic, half of the bytes are
//! in a few huge flows of classes whose typical flow is small. A ranking by the expected logarithm of
//! the size is one by `mu` and misses them; a ranking by the expected size is one by
//! `mu + sigma^2 / 2`.
//!
//! An instance fixes the networks. Each window draws new flows, so that hardly any flow recurs in
//! another window.

use std::collections::HashMap;

use core::net::{Ipv4Addr, SocketAddrV4};

use rand::Rng;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Beta, Distribution, Normal, StandardNormal, Zipf};
use septet_core::seed::SeedTree;

use super::shuffled;
use crate::key::FlowKey;

/// The maximum size of a flow in packets.
const MAX_PACKETS: f64 = 2e5;

/// Source networks (the upper 16 bits of an address) of a class.
const SOURCES: usize = 40;

/// Destination networks of a class, except scans.
const DESTINATIONS: usize = 60;

/// The standard deviation over networks of the mean log size.
const NETWORK_DEVIATION: f64 = 0.35;

/// Levels of the cascade: the bits of a network's address.
const LEVELS: usize = 16;

const TCP: u8 = 6;
const UDP: u8 = 17;

/// A class of flows.
struct Class {
    name: &'static str,
    /// The fraction of the flows.
    share: f64,
    /// Mean of the log size.
    mu: f64,
    /// Standard deviation of the log size.
    sigma: f64,
    protocol: u8,
    /// The range of destination ports, both ends included.
    ports: (u16, u16),
    destinations: usize,
}

const CLASSES: [Class; 6] = [
    Class {
        name: "dns",
        share: 0.25,
        mu: 0.0,
        sigma: 0.3,
        protocol: UDP,
        ports: (53, 53),
        destinations: DESTINATIONS,
    },
    Class {
        name: "webmice",
        share: 0.45,
        mu: 1.2,
        sigma: 0.9,
        protocol: TCP,
        ports: (443, 443),
        destinations: DESTINATIONS,
    },
    Class {
        name: "scan",
        share: 0.12,
        mu: 0.0,
        sigma: 0.05,
        protocol: TCP,
        ports: (1, 65535),
        destinations: 4000,
    },
    Class {
        name: "cdnbulk",
        share: 0.10,
        mu: 0.8,
        sigma: 2.4,
        protocol: TCP,
        ports: (443, 443),
        destinations: DESTINATIONS,
    },
    Class {
        name: "rtp",
        share: 0.06,
        mu: 2.6,
        sigma: 0.5,
        protocol: UDP,
        ports: (16384, 32767),
        destinations: DESTINATIONS,
    },
    Class {
        name: "vpnbulk",
        share: 0.02,
        mu: 3.0,
        sigma: 1.8,
        protocol: UDP,
        ports: (4500, 4500),
        destinations: DESTINATIONS,
    },
];

/// A generator of flows.
///
/// ```
/// use septet_core::seed::SeedTree;
/// use septet_sketch::stream::{FlowScore, HeteroFlows};
///
/// let traffic = HeteroFlows::new(&SeedTree::new(7));
/// let window = traffic.window(0, 10_000);
/// assert_eq!(window.keys().len(), 10_000);
/// let scores = window.scores(FlowScore::Mean);
/// let packets = window.packets(&SeedTree::new(7).child("order"));
/// assert_eq!(packets.len() as u64, window.total());
/// ```
#[derive(Clone, Debug)]
pub struct HeteroFlows {
    seed: SeedTree,
    classes: Vec<Networks>,
    packet_scale: u64,
}

/// The networks of a class.
#[derive(Clone, Debug)]
struct Networks {
    sources: Addresses,
    destinations: Addresses,
}

/// The distribution of the upper halves of addresses.
#[derive(Clone, Debug)]
enum Addresses {
    /// From a list, uniformly.
    Uniform(Vec<u16>),
    /// From a list, by Zipf's law; each network has its own mean log size.
    Zipf {
        list: Vec<(u16, f64)>,
        law: Zipf<f64>,
    },
    /// Bit by bit. The node `1 << level | prefix` of a binary tree contains the probability that the
    /// next bit is one, and the offset of the prefix to the mean log size.
    Cascade(Vec<(f64, f64)>),
}

impl Addresses {
    /// A network, and its offset to the mean log size.
    fn draw(&self, rng: &mut impl Rng) -> (u16, f64) {
        match self {
            Self::Uniform(list) => (list[rng.random_range(0..list.len())], 0.0),
            Self::Zipf { list, law } => list[law.sample(rng) as usize - 1],
            Self::Cascade(tree) => {
                let mut node = 1;
                let mut offset = 0.0;
                for _ in 0..LEVELS {
                    let (probability, addend) = tree[node];
                    offset += addend;
                    node = node << 1 | usize::from(rng.random_bool(probability));
                }
                // The cast removes the leading one of the node's number.
                (node as u16, offset)
            }
        }
    }

    fn cascade(with_offsets: bool, rng: &mut impl Rng) -> Self {
        let split = Beta::new(0.6, 0.6).expect("both parameters are positive");
        // The offsets of all levels together have the variance of a network in `new`.
        let deviation = if with_offsets {
            NETWORK_DEVIATION / (LEVELS as f64).sqrt()
        } else {
            0.0
        };
        let tree = (0..1 << LEVELS)
            .map(|_| {
                let addend: f64 = StandardNormal.sample(rng);
                (split.sample(rng), deviation * addend)
            })
            .collect();
        Self::Cascade(tree)
    }
}

/// `count` distinct networks.
fn networks(count: usize, rng: &mut impl Rng) -> Vec<u16> {
    let sample = index::sample(rng, 1 << 16, count);
    sample.into_iter().map(|network| network as u16).collect()
}

impl HeteroFlows {
    /// A generator with this seed. A class has 40 source networks, drawn uniformly, and 60 destination
    /// networks (scans: 4 000), drawn by Zipf's law; each destination network shifts the mean log
    /// size by a normal deviate with standard deviation 0.35.
    #[must_use]
    pub fn new(seed: &SeedTree) -> Self {
        let offset = Normal::new(0.0, NETWORK_DEVIATION).expect("the deviation is positive");
        Self::with_networks(seed, |class, rng| Networks {
            sources: Addresses::Uniform(networks(SOURCES, rng)),
            destinations: Addresses::Zipf {
                list: networks(class.destinations, rng)
                    .into_iter()
                    .map(|network| (network, offset.sample(rng)))
                    .collect(),
                law: Zipf::new(class.destinations as f64, 1.0).expect("there are networks"),
            },
        })
    }

    /// A generator whose address prefixes are informative at every length, as in real address space:
    /// networks are drawn bit by bit from a multiplicative cascade with Beta(0.6, 0.6) splits, and every
    /// level of the destination contributes to the mean log size.
    #[must_use]
    pub fn with_cascade(seed: &SeedTree) -> Self {
        Self::with_networks(seed, |_, rng| Networks {
            sources: Addresses::cascade(false, rng),
            destinations: Addresses::cascade(true, rng),
        })
    }

    fn with_networks(
        seed: &SeedTree,
        mut make: impl FnMut(&Class, &mut ChaCha8Rng) -> Networks,
    ) -> Self {
        let seed = seed.child("hetero flows");
        let classes = CLASSES
            .iter()
            .map(|class| make(class, &mut seed.child("networks").child(class.name).rng()))
            .collect();
        Self {
            seed,
            classes,
            packet_scale: 1,
        }
    }

    /// Multiplies the packets of every flow by `factor`.
    #[must_use]
    pub fn scale_packets(mut self, factor: u64) -> Self {
        self.packet_scale = factor;
        self
    }

    /// The flows of window `number`, which do not depend on other windows.
    ///
    /// Two flows of a window can have the same key, with probability below 10^-4 for a window of a
    /// million flows.
    #[must_use]
    pub fn window(&self, number: u64, flows: usize) -> FlowWindow {
        let mut rng = self.seed.child("window").index(number).rng();
        let mut window = FlowWindow {
            keys: Vec::with_capacity(flows),
            counts: Vec::with_capacity(flows),
            laws: Vec::with_capacity(flows),
        };
        // For each flow: its class, its networks, hosts and ports, and its size.
        for _ in 0..flows {
            let index = class_of(rng.random());
            let class = &CLASSES[index];
            let networks = &self.classes[index];
            let (source, source_offset) = networks.sources.draw(&mut rng);
            let (destination, destination_offset) = networks.destinations.draw(&mut rng);
            let address = |network: u16, host: u16| {
                Ipv4Addr::from_bits(u32::from(network) << 16 | u32::from(host))
            };
            let source = address(source, rng.random());
            let destination = address(destination, rng.random());
            window.keys.push(FlowKey {
                source: SocketAddrV4::new(source, rng.random_range(1024..=65535)),
                destination: SocketAddrV4::new(
                    destination,
                    rng.random_range(class.ports.0..=class.ports.1),
                ),
                protocol: class.protocol,
            });
            let mean = class.mu + source_offset + destination_offset;
            let deviate: f64 = StandardNormal.sample(&mut rng);
            let packets = count_of(mean + class.sigma * deviate) as u64;
            window.counts.push(packets * self.packet_scale);
            window.laws.push((mean, class.sigma));
        }
        window
    }
}

/// The class for a uniform deviate.
fn class_of(uniform: f64) -> usize {
    let mut sum = 0.0;
    CLASSES
        .iter()
        .position(|class| {
            sum += class.share;
            uniform < sum
        })
        .unwrap_or(CLASSES.len() - 1)
}

/// The score of an optimal oracle, which knows `mu` and `sigma` of the log size given the addresses and
/// ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FlowScore {
    /// `mu`: the mean of the log size.
    MeanLog,
    /// The mean of the logarithm of the count, the target of the squared error of logarithms. It exceeds
    /// `mu`, especially in classes with large `sigma`: counts are rounded up, and are at least 1.
    MeanLogCount,
    /// `mu + sigma^2 / 2`: the logarithm of the mean size. No ranking has a higher expected coverage.
    Mean,
    /// `mu + sigma^2`: the logarithm of the mean size of the flow of a random packet, the target of the
    /// squared error of logarithms when flows are sampled by size.
    SizeBiased,
}

/// The mean of the logarithm of a count, by numerical integration over the normal deviate.
fn mean_log_count(mean: f64, deviation: f64) -> f64 {
    const STEPS: i32 = 400;
    const REACH: f64 = 6.0;
    let (mut sum, mut weights) = (0.0, 0.0);
    for step in -STEPS..=STEPS {
        let deviate = REACH * f64::from(step) / f64::from(STEPS);
        let weight = (-deviate * deviate / 2.0).exp();
        sum += weight * count_of(mean + deviation * deviate).ln();
        weights += weight;
    }
    sum / weights
}

/// The count of a flow with this log size.
fn count_of(log_size: f64) -> f64 {
    log_size.exp().ceil().clamp(1.0, MAX_PACKETS)
}

/// The flows of a window.
#[derive(Clone, Debug)]
pub struct FlowWindow {
    keys: Vec<FlowKey>,
    counts: Vec<u64>,
    /// Mean and standard deviation of the log size of each flow.
    laws: Vec<(f64, f64)>,
}

impl FlowWindow {
    /// The flows.
    #[must_use]
    pub fn keys(&self) -> &[FlowKey] {
        &self.keys
    }

    /// The packets of each flow, at least 1.
    #[must_use]
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// The total number of packets.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The closed-form scores of the flows.
    #[must_use]
    pub fn scores(&self, score: FlowScore) -> Vec<f64> {
        let factor = match score {
            FlowScore::MeanLog => 0.0,
            FlowScore::MeanLogCount => return self.mean_log_counts(),
            FlowScore::Mean => 0.5,
            FlowScore::SizeBiased => 1.0,
        };
        self.laws
            .iter()
            .map(|(mean, deviation)| mean + factor * deviation * deviation)
            .collect()
    }

    /// The mean of the logarithm of the count of each flow.
    fn mean_log_counts(&self) -> Vec<f64> {
        // Flows of one network have the same distribution, which is integrated once.
        let mut known: HashMap<(u64, u64), f64> = HashMap::new();
        self.laws
            .iter()
            .map(|&(mean, deviation)| {
                let law = (mean.to_bits(), deviation.to_bits());
                *known
                    .entry(law)
                    .or_insert_with(|| mean_log_count(mean, deviation))
            })
            .collect()
    }

    /// The packets in uniformly random order, each as the index of its flow.
    #[must_use]
    pub fn packets(&self, seed: &SeedTree) -> Vec<u32> {
        shuffled(&self.counts, &mut seed.child("packets").rng())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_reproducible_and_differ() {
        let world = HeteroFlows::new(&SeedTree::new(1));
        let again = HeteroFlows::new(&SeedTree::new(1));
        assert_eq!(world.window(3, 500).keys(), again.window(3, 500).keys());
        assert_eq!(world.window(3, 500).counts(), again.window(3, 500).counts());
        assert_ne!(world.window(3, 500).keys(), world.window(4, 500).keys());
        let other = HeteroFlows::new(&SeedTree::new(2));
        assert_ne!(world.window(3, 500).keys(), other.window(3, 500).keys());
    }

    #[test]
    fn packets_are_the_flows_shuffled() {
        let window = HeteroFlows::new(&SeedTree::new(1))
            .scale_packets(3)
            .window(0, 2000);
        let packets = window.packets(&SeedTree::new(9));
        let mut counts = vec![0; 2000];
        for &packet in &packets {
            counts[packet as usize] += 1;
        }
        assert_eq!(counts, window.counts());
        assert!(!packets.is_sorted());
    }

    #[test]
    fn keys_hardly_repeat() {
        for world in [
            HeteroFlows::new(&SeedTree::new(1)),
            HeteroFlows::with_cascade(&SeedTree::new(1)),
        ] {
            let mut keys = world.window(0, 100_000).keys().to_vec();
            keys.extend(world.window(1, 100_000).keys());
            keys.sort_unstable();
            keys.dedup();
            assert!(keys.len() >= 199_998, "{}", keys.len());
        }
    }

    #[test]
    fn the_mean_of_logs_is_that_of_the_flows() {
        let window = HeteroFlows::new(&SeedTree::new(4)).window(0, 131_072);
        let predicted = window.scores(FlowScore::MeanLogCount);
        let logs = window.counts().iter().map(|&count| (count as f64).ln());
        // By class, told by the deviation: the mean over thousands of flows.
        for deviation in [0.3, 0.9, 2.4, 1.8] {
            let (mut sum, mut found, mut flows) = (0.0, 0.0, 0.0);
            for ((predicted, log), law) in predicted.iter().zip(logs.clone()).zip(&window.laws) {
                if law.1 == deviation {
                    (sum, found, flows) = (sum + predicted, found + log, flows + 1.0);
                }
            }
            let off = (sum - found).abs() / flows;
            assert!(
                off < 6.0 * deviation / f64::sqrt(flows) + 0.005,
                "{deviation}: {off}"
            );
        }
    }

    #[test]
    fn sizes_have_the_stated_moments() {
        let window = HeteroFlows::new(&SeedTree::new(4)).window(0, 131_072);
        // 1.32 million packets and 28 % flows of one packet, by the specification; worlds differ.
        let total = window.total() as f64;
        assert!((1.0e6..1.8e6).contains(&total), "{total}");
        let ones = window.counts().iter().filter(|&&count| count == 1).count();
        let share = ones as f64 / 131_072.0;
        assert!((0.2..0.36).contains(&share), "{share}");
    }
}
