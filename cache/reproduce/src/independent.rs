//! Q6: slow versions that share no code with the crate, on the generated traces: the optimum that all
//! is compared with, and both combiners with every miss of their real caches.

use rand::Rng;
use septet_cache::predict::PredictorSpec;
use septet_cache::trace::Trace;
use septet_cache::{PolicySpec, SeedTree};
use septet_core::experiment::{Context, Estimate, Expected, ExperimentError, Scale};
use serde::{Deserialize, Serialize};

use crate::families::{Family, Origin};
use crate::{EPSILON, SEEDS, insurance, predictor};

/// How often both versions of R run on a trace.
const REPETITIONS: u64 = 3;

#[derive(Serialize)]
struct Job {
    family: String,
    requests: usize,
    predictor: PredictorSpec,
}

/// Misses, summed over instances, and the sum of the differences in one instance.
#[derive(Serialize, Deserialize)]
struct Compared {
    optimum: u64,
    optimum_differs: u64,
    combiner: u64,
    combiner_differs: u64,
    randomized: u64,
    randomized_slow: u64,
}

pub(crate) fn run(cx: &mut Context, families: &[&Family]) -> Result<(), ExperimentError> {
    if !cx.selects("Q6") {
        return Ok(());
    }
    let job = |family: &Family, predictor| Job {
        family: family.name.clone(),
        requests: family.requests(),
        predictor,
    };
    // Every generated family with every predictor that the combiners are measured with.
    let pairs: Vec<(&Family, PredictorSpec)> = families
        .iter()
        .filter(|family| family.origin == Origin::Generated)
        .flat_map(|&family| {
            let predictors = insurance::predictors(family);
            predictors
                .into_iter()
                .map(move |predictor| (family, predictor))
        })
        .collect();
    let jobs: Vec<Job> = pairs
        .iter()
        .map(|&(family, predictor)| job(family, predictor))
        .collect();
    // The root makes the seeds, so that a draw has equal seeds with all predictors.
    let root = *cx.seed();
    let compared = cx
        .grid("independent versions", jobs)
        .version(3)
        .run(|job, _| {
            let pair = pairs.iter().find(|(family, predictor)| {
                family.name == job.family && *predictor == job.predictor
            });
            let Some((family, predictor)) = pair else {
                return Err(ExperimentError::new(format!("no family {}", job.family)));
            };
            let of_draw = |(index, draw)| {
                let seed = root.child("run").index(index);
                let instances = predictor::apply(*predictor, family, draw, &seed)?;
                compare(&instances, family.capacity, &seed)
            };
            (0..).zip(&family.draws).map(of_draw).collect()
        })?;
    let by_pair: Vec<Vec<Compared>> = compared.into_firsts();
    let compared: Vec<&Compared> = by_pair.iter().flatten().collect();
    // Deterministic policies: every instance has to agree, so the claims are on the sum of
    // differences.
    let sum = |of: fn(&Compared) -> u64| compared.iter().map(|one| of(one)).sum::<u64>() as f64;
    let (optimum, combiner) = (sum(|one| one.optimum), sum(|one| one.combiner));
    for (id, statement, differs) in [
        (
            "Q6.optimum",
            format!(
                "Belady's policy has the {optimum} misses of an optimum found as a schedule of \
                 intervals; sum of differences"
            ),
            sum(|one| one.optimum_differs),
        ),
        (
            "Q6.combiner",
            format!(
                "BlindOracle_D has the {combiner} misses of a slow version written from the rule; \
                 sum of differences"
            ),
            sum(|one| one.combiner_differs),
        ),
    ] {
        cx.claim(id, &statement)
            .scale(Scale::Beyond)
            .expect(Expected::Equals(0.0))
            .source("a slow version in this experiment, on every generated trace")
            .measured(Estimate::exact(differs, "misses"));
    }
    // Two random runs agree only in the mean. The unit is a draw of all traces: within a draw, the
    // predictors share traces.
    let ratios: Vec<f64> = (0..SEEDS as usize)
        .map(|draw| {
            let sum = |of: fn(&Compared) -> u64| {
                let draws = by_pair.iter().filter_map(|draws| draws.get(draw));
                draws.map(of).sum::<u64>() as f64
            };
            sum(|one| one.randomized) / sum(|one| one.randomized_slow)
        })
        .collect();
    cx.claim(
        "Q6.randomized",
        "RobustFtP_R over a slow version written from the rule, both with random draws of their own",
    )
    .scale(Scale::Beyond)
    .expect(Expected::near(1.0, 0.01))
    .source("a slow version in this experiment, sums over all generated traces")
    .tolerance_because("a few standard errors of the ratio of two means")
    .measured(Estimate::mean(
        &ratios,
        "draws of all generated traces",
        "",
        // Few draws have Student's interval, which uses no random numbers.
        &mut SeedTree::new(0).rng(),
    ));
    Ok(())
}

fn compare(
    instances: &[Trace],
    capacity: usize,
    seed: &SeedTree,
) -> Result<Compared, ExperimentError> {
    let mut sum = Compared {
        optimum: 0,
        optimum_differs: 0,
        combiner: 0,
        combiner_differs: 0,
        randomized: 0,
        randomized_slow: 0,
    };
    for (index, instance) in (0..).zip(instances) {
        let seed = seed.index(index);
        let misses = |policy: &str| -> Result<u64, ExperimentError> {
            let spec: PolicySpec = policy.parse()?;
            Ok(spec.build(capacity as u64, &seed)?.replay(instance)?.misses)
        };
        // Absolute differences by instance, so that errors of opposite sign do not cancel.
        let optimum = optimum(instance.pages(), capacity);
        sum.optimum += optimum;
        sum.optimum_differs += optimum.abs_diff(misses("Belady")?);
        // Both versions of D follow the same predictions.
        let predictions = instance.predictions().unwrap_or_default();
        let slow = deterministic(instance.pages(), predictions, capacity);
        sum.combiner += slow;
        sum.combiner_differs += slow.abs_diff(misses("BlindOracle_D")?);
        // R is random in both versions: each repeats with draws of its own, to narrow the spread.
        let mut rng = seed.child("slow version").rng();
        for repetition in 0..REPETITIONS {
            let spec: PolicySpec = "RobustFtP_R".parse()?;
            let mut policy = spec.build(capacity as u64, &seed.index(repetition))?;
            sum.randomized += policy.replay(instance)?.misses;
            sum.randomized_slow += randomized(instance.pages(), predictions, capacity, &mut rng);
        }
    }
    Ok(sum)
}

/// The least number of misses: the most hits are the most intervals between two requests of a page
/// that can be kept with at most `capacity - 1` of them at the time of any request in between.
/// Intervals are taken by their ends as long as they fit.
fn optimum(pages: &[u32], capacity: usize) -> u64 {
    let mut last = vec![None; pages.iter().max().map_or(0, |&page| page as usize + 1)];
    let mut kept_at = vec![0; pages.len()];
    let mut hits = 0;
    for (now, &page) in pages.iter().enumerate() {
        if let Some(before) = last[page as usize] {
            let between = &mut kept_at[before + 1..now];
            if between.iter().all(|&kept| kept + 1 < capacity) {
                between.iter_mut().for_each(|kept| *kept += 1);
                hits += 1;
            }
        }
        last[page as usize] = Some(now);
    }
    pages.len() as u64 - hits
}

/// A cache that is searched from end to end: pages, in some order, with a number each.
type Slots<T> = Vec<(u32, T)>;

fn holds<T>(slots: &Slots<T>, page: u32) -> bool {
    slots.iter().any(|slot| slot.0 == page)
}

/// The predictor's cache: whether a request missed.
fn follow_prediction(slots: &mut Slots<f64>, page: u32, predicted: f64, capacity: usize) -> bool {
    if let Some(slot) = slots.iter_mut().find(|slot| slot.0 == page) {
        slot.1 = predicted;
        return false;
    }
    if slots.len() < capacity {
        slots.push((page, predicted));
        return true;
    }
    let mut furthest = 0;
    for slot in 1..capacity {
        if slots[slot].1 > slots[furthest].1 {
            furthest = slot;
        }
    }
    slots[furthest] = (page, predicted);
    true
}

/// The real cache, whose pages stand in the order in which they came in: whether a request missed.
fn follow(real: &mut Vec<u32>, page: u32, capacity: usize, held: impl Fn(u32) -> bool) -> bool {
    if real.contains(&page) {
        return false;
    }
    if real.len() == capacity
        && let Some(victim) = real.iter().position(|&page| !held(page))
    {
        real.remove(victim);
    }
    real.push(page);
    true
}

/// D over `FtP` and LRU, from its rule.
fn deterministic(pages: &[u32], predictions: &[f64], capacity: usize) -> u64 {
    let (mut predicted_cache, mut lru, mut real) = (Slots::new(), Slots::new(), Vec::new());
    let (mut costs, mut current, mut bound) = ([0_u64, 0], 0, 1.0);
    let mut misses = 0;
    for (&page, &predicted) in pages.iter().zip(predictions) {
        // Both experts serve the request in caches of their own, and pay for it.
        costs[0] += u64::from(follow_prediction(
            &mut predicted_cache,
            page,
            predicted,
            capacity,
        ));
        // LRU keeps its pages in order of use, the least recent in front.
        let place = lru.iter().position(|slot| slot.0 == page);
        costs[1] += u64::from(place.is_none());
        if let Some(place) = place {
            lru.remove(place);
        } else if lru.len() == capacity {
            lru.remove(0);
        }
        lru.push((page, ()));

        // The switch comes before the real cache serves the request. The loop goes on while the
        // expert it lands on is over the bound too.
        while costs[current] as f64 > bound {
            current = 1 - current;
            bound *= 1.0 + EPSILON;
        }
        // The real cache is lazy: it evicts only at a miss, a page that the current expert does not
        // hold.
        misses += u64::from(follow(&mut real, page, capacity, |page| match current {
            0 => holds(&predicted_cache, page),
            _ => holds(&lru, page),
        }));
    }
    misses
}

/// R over `FtP` and Marker, from its rule.
fn randomized(pages: &[u32], predictions: &[f64], capacity: usize, rng: &mut impl Rng) -> u64 {
    let (mut predicted_cache, mut marker, mut real) = (Slots::new(), Slots::new(), Vec::new());
    let (mut weights, mut current) = ([0.5, 0.5], usize::from(rng.random::<bool>()));
    let mut misses = 0;
    for (&page, &predicted) in pages.iter().zip(predictions) {
        let missed = [
            follow_prediction(&mut predicted_cache, page, predicted, capacity),
            mark(&mut marker, page, capacity, rng),
        ];
        let before: f64 = weights[current];
        for (weight, missed) in weights.iter_mut().zip(missed) {
            *weight *= if missed { 1.0 - EPSILON } else { 1.0 };
        }
        let sum: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= sum);
        if rng.random::<f64>() < (before - weights[current]) / before {
            current = 1 - current;
        }
        misses += u64::from(follow(&mut real, page, capacity, |page| match current {
            0 => holds(&predicted_cache, page),
            _ => holds(&marker, page),
        }));
    }
    misses
}

/// Marker, with a mark for each page: whether a request missed.
fn mark(slots: &mut Slots<bool>, page: u32, capacity: usize, rng: &mut impl Rng) -> bool {
    if let Some(slot) = slots.iter_mut().find(|slot| slot.0 == page) {
        slot.1 = true;
        return false;
    }
    if slots.len() < capacity {
        slots.push((page, true));
        return true;
    }
    if slots.iter().all(|slot| slot.1) {
        slots.iter_mut().for_each(|slot| slot.1 = false);
    }
    let unmarked: Vec<usize> = (0..capacity).filter(|&slot| !slots[slot].1).collect();
    slots[unmarked[rng.random_range(0..unmarked.len())]] = (page, true);
    true
}
