//! Q6: new words, told by their letters. A stream whose keys are new but whose parts are not: what a
//! lookup table cannot know.
//!
//! Books are put into an order by the seed and cut into four parts. The words of the first part are
//! known; oracles are trained on the words that are new in the second part, with their counts there,
//! rate and steps are chosen on the words that are new in the third, and the words that are new in the
//! fourth are tested.

use std::collections::{HashMap, HashSet};
use std::io::Read;

use rand::seq::SliceRandom;
use septet_core::experiment::{
    Cell, Column, Context, Expected, ExperimentError, Grid, Profile, Scale, SeedTree, Series,
    Table, Value,
};
use septet_core::stats;
use septet_sketch::Key;
use septet_sketch::metrics;
use septet_sketch::oracle::Features;
use septet_sketch::stream::open_text;
use septet_sketch::train::{EmbedMlpNetwork, EmbedMlpSize};
use serde::{Deserialize, Serialize};

use crate::block_trace::{IMPROVEMENT, with_point};
use crate::char_lstm::{CharLstm, CharLstmSize};
use crate::geometric_mean;
use crate::method::{Examples, GRID, Method, Protocol, best_on_validation, covered, scores_of};

const DATA: &str = "sketch-books";
const HOW_TO_GET: &str = "see `cargo xtask data list` for sketch-books";

/// The parts of the books' words, cumulated: known, trained on, chosen on; the rest is tested.
const PARTS: [f64; 3] = [0.3, 0.6, 0.75];

/// The words of a book by number.
type Book = Vec<u32>;

struct Library {
    words: Vec<String>,
    books: Vec<Book>,
}

impl Library {
    fn of(text: &str) -> Self {
        let mut numbers: HashMap<String, u32> = HashMap::new();
        let mut words = Vec::new();
        let books = text.split('\x0c').map(|book| {
            let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '\'';
            let book = book
                .split(|c| !is_letter(c))
                .filter(|word| !word.is_empty());
            book.map(|word| {
                let word = word.to_ascii_lowercase();
                *numbers.entry(word).or_insert_with_key(|word| {
                    words.push(word.clone());
                    words.len() as u32 - 1
                })
            })
            .collect()
        });
        let books = books.collect();
        Self { words, books }
    }

    /// The words that are new in each part after the first, with their counts there.
    fn new_words(&self, seed: &SeedTree) -> [New; 3] {
        // Orders of the books are the replicates: the text is one, but what is new depends on the order.
        let mut order: Vec<usize> = (0..self.books.len()).collect();
        order.shuffle(&mut seed.child("order of books").rng());
        let total: usize = self.books.iter().map(Vec::len).sum();
        let mut read = 0;
        let mut counts: [HashMap<u32, u64>; 4] = Default::default();
        for book in order {
            // A book goes whole to the part where it begins: its words repeat, and a cut would leak them.
            let place = read as f64 / total as f64;
            let part = PARTS.iter().filter(|&&end| place >= end).count();
            for &word in &self.books[book] {
                *counts[part].entry(word).or_default() += 1;
            }
            read += self.books[book].len();
        }
        let [known, parts @ ..] = counts;
        // What is known grows from part to part, so that new means new to all parts before.
        let mut known: HashSet<u32> = known.into_keys().collect();
        parts.map(|part| {
            let mut new: Vec<(u32, u64)> = part
                .iter()
                .filter(|(word, _)| !known.contains(word))
                .map(|(&word, &count)| (word, count))
                .collect();
            // By number: the order of a hash map differs from run to run.
            new.sort_unstable();
            known.extend(part.into_keys());
            let (words, counts): (Vec<u32>, Vec<u64>) = new.into_iter().unzip();
            let words = words.iter().map(|&word| self.words[word as usize].clone());
            New {
                words: words.collect(),
                counts,
            }
        })
    }
}

/// Words that no earlier part has.
struct New {
    words: Vec<String>,
    counts: Vec<u64>,
}

/// The ends of a word: its first and its last one to four bytes, its length, and whether it has digits
/// and apostrophes.
#[derive(Clone, Copy, Debug)]
struct Letters;

const ENDS: usize = 4;

impl Features<String> for Letters {
    fn count(&self) -> usize {
        2 * ENDS + 2
    }

    fn hash(&self, key: &String, hashes: &mut [u32]) {
        let bytes = key.as_bytes();
        let mut put = |index: usize, value: &[u8]| {
            hashes[index] = (value.hash64(index as u64) >> 32) as u32;
        };
        for length in 1..=ENDS {
            put(length - 1, &bytes[..bytes.len().min(length)]);
            put(
                ENDS + length - 1,
                &bytes[bytes.len().saturating_sub(length)..],
            );
        }
        put(2 * ENDS, &[bytes.len().min(31) as u8]);
        let has = |is: fn(&u8) -> bool| u8::from(bytes.iter().any(is));
        put(
            2 * ENDS + 1,
            &[has(u8::is_ascii_digit), has(|&byte| byte == b'\'')],
        );
    }

    fn describe(&self) -> String {
        "ends of a word".to_owned()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
enum Model {
    /// Hashed ends of the word and a small network.
    Ends,
    /// A recurrent network over the letters, as the paper's for queries, but smaller.
    Recurrent,
}

impl Model {
    fn name(self) -> &'static str {
        match self {
            Self::Ends => "ends of words",
            Self::Recurrent => "recurrent",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Training {
    model: Model,
    method: Method,
    protocol: Protocol,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Trained {
    /// At each share of [`GRID`].
    coverage: Vec<f64>,
    /// The same of the true counts.
    ideal: Vec<f64>,
    words: usize,
    chosen: Vec<(f64, u64)>,
}

/// Orders of the books: for the claims, and for the recurrent network.
const ORDERS: u64 = 40;
const ORDERS_OF_RECURRENT: u64 = 4;

/// The places in [`GRID`] of the claims: 10 and 20 %. Smaller shares are of so few words that their
/// coverage differs by half between orders of the books.
const CLAIMED: [usize; 2] = [5, 6];

impl Training {
    fn new(model: Model, method: Method) -> Self {
        let rates = match model {
            Model::Ends => vec![3e-3, 1e-3],
            Model::Recurrent => vec![3e-3],
        };
        let protocol = Protocol {
            rates,
            steps: 400,
            looks: 8,
            batch: 512,
        };
        Self {
            model,
            method,
            protocol,
        }
    }
}

pub(crate) fn run(cx: &mut Context) -> Result<Option<Series>, ExperimentError> {
    if !cx.selects("Q6") || cx.profile() == Profile::Quick {
        return Ok(None);
    }
    let Some(data) = cx.data(DATA) else {
        for method in [Method::BatchRank8, Method::Poisson] {
            cx.skip(
                &id(method),
                &statement(method),
                "the text is not here",
                HOW_TO_GET,
            );
        }
        return Ok(None);
    };
    let mut text = String::new();
    open_text(&data.path("books.txt.zst")?)?.read_to_string(&mut text)?;
    let library = Library::of(&text);
    drop(text);
    let root = cx.seed().child("new words");
    // Log-MSE comes first: it is what the others are compared with.
    let ends = [Method::LogMse, Method::BatchRank8, Method::Poisson]
        .map(|method| Training::new(Model::Ends, method));
    let recurrent =
        [Method::LogMse, Method::BatchRank8].map(|method| Training::new(Model::Recurrent, method));
    // The order of the books depends on the seed index alone, so losses are paired.
    let work = |job: &Training, cell: &Cell| train(job, &library, &root.index(cell.seed_index()));
    let of_ends = cx
        .grid("trained on new words", ends.clone())
        .seeds(ORDERS)
        .reads([DATA])
        .version(2)
        .run(work)?;
    let of_recurrent = cx
        .grid("recurrent on new words", recurrent.clone())
        .seeds(ORDERS_OF_RECURRENT)
        .reads([DATA])
        .version(2)
        .run(work)?;
    show(cx, &ends, &of_ends, &recurrent, &of_recurrent)?;

    // Ratios are averaged as logarithms: gains and losses of one factor cancel.
    let theirs = of_ends.by_seed(&ends[0])?;
    for job in &ends[1..] {
        let ours = of_ends.by_seed(job)?;
        let logarithms = theirs.iter().zip(ours).map(|(theirs, ours)| {
            let ratios = CLAIMED.map(|place| ours.coverage[place] / theirs.coverage[place]);
            stats::mean(&ratios.map(f64::ln))
        });
        let logarithms: Vec<f64> = logarithms.collect();
        let measured = geometric_mean(&logarithms, "orders of the books");
        let claim = cx
            .claim(&id(job.method), &statement(job.method))
            .paper_ref("abstract: training for coverage improves on earlier losses")
            .expect(Expected::AtLeast(IMPROVEMENT))
            .source("the bound of Q5");
        // The paper does not have the Poisson loss.
        let scale = match job.method {
            Method::Poisson => Scale::Beyond,
            _ => Scale::Scaled,
        };
        claim.scale(scale).measured(measured);
    }
    // The ratio of masses left, for the figure that all streams share.
    let ours = of_ends.by_seed(&ends[1])?;
    let mut series = Series::new("new words");
    for (place, share) in GRID.into_iter().enumerate() {
        let left = theirs.iter().zip(ours);
        let left = left.map(|(a, b)| (1.0 - a.coverage[place]) / (1.0 - b.coverage[place]));
        let left: Vec<f64> = left.collect();
        series = with_point(cx, series, share, &left, "orders of the books");
    }
    Ok(Some(series))
}

fn show(
    cx: &mut Context,
    ends: &[Training],
    of_ends: &Grid<Training, Trained>,
    recurrent: &[Training],
    of_recurrent: &Grid<Training, Trained>,
) -> Result<(), ExperimentError> {
    let mut columns = vec![Column::text("Network"), Column::text("Trained for")];
    columns.extend(GRID.map(|share| Column::number(format!("{} %", 100.0 * share), 4)));
    let mut table = Table::new(
        "Coverage by the share of explicit keys, new words of books",
        columns,
    );
    // One row: means over orders of the books.
    let mut push = |model: &str, name: &str, trained: &[Trained], of: fn(&Trained) -> &[f64]| {
        let mut row: Vec<Value> = vec![model.into(), name.into()];
        for place in 0..GRID.len() {
            let values: Vec<f64> = trained.iter().map(|trained| of(trained)[place]).collect();
            row.push(stats::mean(&values).into());
        }
        table.push(row);
    };
    for (jobs, trained) in [(ends, of_ends), (recurrent, of_recurrent)] {
        for job in jobs {
            let trained = trained.by_seed(job)?;
            push(job.model.name(), job.method.name(), trained, |t| {
                &t.coverage
            });
        }
    }
    // The bound and the number of words depend on the order of the books alone: any loss has them.
    let first = of_ends.by_seed(&ends[0])?;
    push("", "true counts", first, |t| &t.ideal);
    let words: Vec<f64> = first.iter().map(|trained| trained.words as f64).collect();
    cx.table(table.note(format!(
        "Means over {ORDERS} orders of the 152 books, of the recurrent network over \
         {ORDERS_OF_RECURRENT}; some {:.0} new words are tested. Rate and steps are chosen on other new \
         words, for each loss and share.",
        stats::mean(&words)
    )));
    Ok(())
}

fn id(method: Method) -> String {
    format!("Q6.{}", method.id())
}

fn statement(method: Method) -> String {
    format!(
        "New words of books, by their letters: {} covers at least 1.08 times as much as log-MSE with 10 and 20 % \
         of the words: ratio of coverage",
        method.name()
    )
}

fn train(job: &Training, library: &Library, seed: &SeedTree) -> Result<Trained, ExperimentError> {
    let [examples, validation, test] = library.new_words(seed);
    // A word that is known would make this a test of memory.
    let known: HashSet<&String> = examples.words.iter().chain(&validation.words).collect();
    if test.words.iter().any(|word| known.contains(word)) {
        return Err(ExperimentError::new("a tested word is not new"));
    }
    let examples = &Examples {
        keys: &examples.words,
        counts: &examples.counts,
        validation: &validation.counts,
    };
    // The two networks have different types, and score keys in different ways.
    let choices = match job.model {
        Model::Ends => best_on_validation(
            job.method,
            &job.protocol,
            seed,
            || {
                Ok(EmbedMlpNetwork::new(
                    Letters,
                    EmbedMlpSize::default(),
                    seed,
                )?)
            },
            examples,
            &GRID,
            |network| {
                let oracle = network.oracle::<String>()?;
                Ok([&validation, &test].map(|new| scores_of(&oracle, &new.words)))
            },
        )?,
        Model::Recurrent => best_on_validation(
            job.method,
            &job.protocol,
            seed,
            || Ok(CharLstm::new(CharLstmSize::SMALL, seed)?),
            examples,
            &GRID,
            |network| {
                Ok([
                    network.scores(&validation.words)?,
                    network.scores(&test.words)?,
                ])
            },
        )?,
    };
    // The bound: words ranked by their own counts.
    let true_counts: Vec<f64> = test.counts.iter().map(|&count| count as f64).collect();
    Ok(Trained {
        coverage: covered(&test.counts, &choices, &GRID),
        ideal: metrics::coverage_at(&test.counts, &true_counts, &GRID),
        words: test.words.len(),
        chosen: choices
            .iter()
            .map(|choice| (choice.rate, choice.step))
            .collect(),
    })
}
