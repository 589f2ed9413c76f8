//! The work of an encoder tells nothing about the symbol and the message: with the same random numbers,
//! every symbol takes the same number of them and the same number of instructions, whether it is sent
//! or not.
//!
//! Instructions are counted by Valgrind, if it is installed: this program runs itself under it.

use std::fs;
use std::path::Path;
use std::process::Command;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{CryptoRng, RngCore, SeedableRng};
use septet_robust_stats::Epsilon;
use septet_robust_stats::design::{DesignParameters, GroupClient};
use septet_robust_stats::mechanism::*;

const DOMAIN: usize = 300;
const SYMBOLS: [usize; 4] = [0, 1, 150, DOMAIN - 1];

/// A generator that counts, and replaces one of its 64-bit numbers: the one that decides whether the
/// own symbol is sent.
struct Scripted {
    inner: ChaCha8Rng,
    replaced: (usize, u64),
    /// The numbers taken, of 64 and of 32 bits.
    taken: (usize, usize),
}

impl Scripted {
    fn new(stream: u64, replaced: (usize, u64)) -> Self {
        Self {
            inner: ChaCha8Rng::seed_from_u64(stream),
            replaced,
            taken: (0, 0),
        }
    }
}

impl RngCore for Scripted {
    fn next_u32(&mut self) -> u32 {
        self.taken.1 += 1;
        self.inner.next_u32()
    }

    fn next_u64(&mut self) -> u64 {
        let drawn = self.inner.next_u64();
        let (place, number) = self.replaced;
        // Branch-free, or this would be what is counted.
        let mask = u64::from(self.taken.0 == place).wrapping_neg();
        self.taken.0 += 1;
        drawn & !mask | number & mask
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.taken.1 += bytes.len().div_ceil(4);
        self.inner.fill_bytes(bytes);
    }
}

impl CryptoRng for Scripted {}

/// A mechanism: its name, the place of the deciding number among those of 64 bits, and its encoder.
type Case = (&'static str, usize, Box<dyn Fn(usize, &mut Scripted)>);

fn case<M: Mechanism + 'static>(name: &'static str, deciding: usize, mechanism: M) -> Case {
    let encode = move |symbol, rng: &mut Scripted| {
        std::hint::black_box(mechanism.encode(symbol, rng).expect("in the domain"));
    };
    (name, deciding, Box::new(encode))
}

fn cases() -> Vec<Case> {
    let epsilon = Epsilon::new(1.5).expect("positive");
    let large = Epsilon::new(5.0).expect("positive");
    let shape = SketchShape::new(DOMAIN, 8, 64, 3).expect("in range");
    let design = DesignParameters::new(DOMAIN, 4, [2; 32]).expect("in range");
    let private = design.with_epsilon(epsilon).expect("in range");
    let client = |design| GroupClient::new(design, 0).expect("a group");
    let hashing = LocalHashing::new(DOMAIN, epsilon).expect("in range");
    let rappor = Rappor::new(64, 2, 4, [0.25, 0.75, 0.5]).expect("in range");
    // Unary encodings draw the own bit after 16 numbers for each word of 64 bits.
    let own_bit = 16 * DOMAIN.div_ceil(64);
    macro_rules! cases {
        ($($name:literal, $deciding:expr, $mechanism:expr;)*) => {
            vec![$(case($name, $deciding, $mechanism.expect("in range")),)*]
        };
    }
    let mut cases = cases![
        "randomized response", 0, RandomizedResponse::new(DOMAIN, epsilon);
        "symmetric unary encoding", own_bit, UnaryEncoding::symmetric(DOMAIN, epsilon);
        "optimized unary encoding", own_bit, UnaryEncoding::optimized(DOMAIN, epsilon);
        "subset selection", 0, SubsetSelection::new(DOMAIN, epsilon);
        "subset selection by picks", 0, SubsetSelection::new(DOMAIN, large);
        "family of hash functions", 0, hashing.with_family(20);
        "Hadamard response", 0, HadamardResponse::new(DOMAIN, epsilon);
        "Hadamard response, one block", 0, HadamardResponse::one_block(DOMAIN, epsilon);
        "count-mean sketch", 0, CountMeanSketch::new(shape, epsilon);
        "Hadamard count-mean sketch", 0, HadamardCountMeanSketch::new(shape, epsilon);
    ];
    cases.push(case("local hashing", 1, hashing));
    cases.push(case("hash design", 0, client(&design)));
    cases.push(case("private hash design", 0, client(&private)));
    let encode = move |symbol: usize, rng: &mut Scripted| {
        let value = (symbol as u64).to_le_bytes();
        std::hint::black_box(rappor.encode(1, &[3; 32], &value, rng).expect("a cohort"));
    };
    cases.push(("RAPPOR", 0, Box::new(encode)));
    cases
}

/// Calls with the symbol and the decision, of which one extreme sends the own symbol and the other not.
fn for_each_secret(mut each: impl FnMut(usize, u64)) {
    for symbol in SYMBOLS {
        for number in [0, u64::MAX] {
            each(symbol, number);
        }
    }
}

#[test]
fn all_secrets_take_the_same_random_numbers() {
    for (name, deciding, encode) in cases() {
        for stream in 0..200 {
            let mut taken = None;
            for_each_secret(|symbol, number| {
                let mut rng = Scripted::new(stream, (deciding, number));
                encode(symbol, &mut rng);
                let first = *taken.get_or_insert(rng.taken);
                assert_eq!(rng.taken, first, "{name}, symbol {symbol}, {number:x}");
                assert!(
                    rng.taken.0 > deciding || name == "hash design" || name.starts_with("count")
                );
            });
        }
    }
}

// The bits must not decide it either: with two symbols, one of which is replaced by the own bit, the
// time to draw them would tell which.
#[test]
fn random_bits_take_the_same_random_numbers() {
    let epsilon = Epsilon::new(1.0).expect("positive");
    for domain in [2, 64, 100] {
        let optimized = UnaryEncoding::optimized(domain, epsilon).expect("in range");
        let symmetric = UnaryEncoding::symmetric(domain, epsilon).expect("in range");
        for mechanism in [optimized, symmetric] {
            for stream in 0..500 {
                let mut rng = Scripted::new(stream, (usize::MAX, 0));
                mechanism.encode(1, &mut rng).expect("in the domain");
                // 6e-12 per word is the probability of more.
                assert_eq!(rng.taken, (16 * domain.div_ceil(64) + 1, 0));
            }
        }
    }
}

/// The name of the next function in Valgrind.
const COUNTED: &str = "constant_work::counted_encode";

#[inline(never)]
fn counted_encode(encode: &dyn Fn(usize, &mut Scripted), symbol: usize, rng: &mut Scripted) {
    encode(symbol, rng);
    // Returns here, not from the encoder.
    std::hint::black_box(());
}

const STREAMS: u64 = 2;

#[test]
#[ignore = "run under Valgrind by the next test"]
fn encode_all_secrets() {
    for (_, deciding, encode) in cases() {
        // Memory is allocated from the same lists afterwards.
        encode(0, &mut Scripted::new(0, (deciding, 0)));
        for stream in 0..STREAMS {
            for_each_secret(|symbol, number| {
                let mut rng = Scripted::new(stream, (deciding, number));
                counted_encode(&*encode, symbol, &mut rng);
            });
        }
    }
}

/// The instructions of this program in a file of Callgrind. Those of the memory allocator, which is in
/// another one, depend on what was allocated before.
fn own_instructions(counts: &str, program: &Path) -> u64 {
    // Sections of objects, whose names are written once and then abbreviated by their number.
    let program = program.to_str().expect("text");
    let (mut number, mut own, mut called, mut total) = (None, false, false, 0);
    for line in counts.lines() {
        let named = line.strip_prefix("ob=").or(line.strip_prefix("cob="));
        if let Some((id, name)) = named.and_then(|object| object.split_once(' '))
            && name == program
        {
            number = Some(id);
        }
        if let Some(object) = line.strip_prefix("ob=") {
            let id = object.split(' ').next();
            own = id == number;
        } else if line.starts_with("calls=") {
            // The next line is the sum of the called function, which has its own lines.
            called = true;
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            if own && !called {
                let count = line.split_once(' ').expect("a place and a count").1;
                total += count.parse::<u64>().expect("a number");
            }
            called = false;
        }
    }
    total
}

#[test]
fn all_secrets_take_the_same_instructions() {
    if Command::new("valgrind").arg("--version").output().is_err() {
        eprintln!("skipped: valgrind is not installed");
        return;
    }
    let program = std::env::current_exe().expect("this program");
    let folder = tempfile::tempdir().expect("a temporary folder");
    // One file of counts for each call.
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=counts"])
        .args([
            format!("--toggle-collect={COUNTED}"),
            format!("--dump-after={COUNTED}"),
        ])
        .arg(&program)
        .args([
            "encode_all_secrets",
            "--exact",
            "--ignored",
            "--test-threads=1",
        ])
        .current_dir(folder.path())
        .output()
        .expect("valgrind runs");
    assert!(output.status.success(), "{output:?}");
    let mut call = 0;
    for (name, ..) in cases() {
        for stream in 0..STREAMS {
            let mut first = None;
            for_each_secret(|symbol, number| {
                call += 1;
                let file = folder.path().join(format!("counts.{call}"));
                let text = fs::read_to_string(file).expect("the counts of a call");
                let total = own_instructions(&text, &program);
                assert!(total > 50, "{name}: {total}");
                let first = *first.get_or_insert(total);
                assert_eq!(
                    total, first,
                    "{name}, stream {stream}, symbol {symbol}, {number:x}"
                );
            });
        }
    }
}
