//! The engine in virtual time: workers that straggle, fail and lie idle.

#![expect(clippy::unwrap_used, reason = "what fails in a test is its message")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::RngCore;
use septet_coded_serving::CodeError;
use septet_coded_serving::Tensor;
use septet_coded_serving::code::policy::Hedging;
use septet_coded_serving::code::{
    Code, Cost, Decoded, Inference, Interpolation, InvNet, MixedQueries, Model, Replication, Slots,
    Smoother, Task,
};
use septet_coded_serving::engine::{
    Backend, BackendError, Call, Engine, Provenance, Query, ReconstructionPolicy, ServeError,
};
use septet_core::seed::SeedTree;
use tokio::time::{Instant, sleep};

const SERVICE: Duration = Duration::from_millis(20);

/// What a worker does with a task.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Answers(Duration),
    Fails,
    FailsAfter(Duration),
}

/// A pool with a linear model, for which the mean of the queries is an exact parity.
#[derive(Clone)]
struct Pool {
    workers: usize,
    fate: Arc<dyn Fn(usize, u64) -> Fate + Send + Sync>,
    /// Tasks so far, by worker, and who was given what.
    log: Arc<Mutex<Log>>,
}

#[derive(Default)]
struct Log {
    tasks: HashMap<usize, u64>,
    given: Vec<(Vec<f32>, usize)>,
    running: HashMap<usize, usize>,
}

impl Pool {
    fn new(workers: usize, fate: impl Fn(usize, u64) -> Fate + Send + Sync + 'static) -> Self {
        Self {
            workers,
            fate: Arc::new(fate),
            log: Arc::default(),
        }
    }
}

fn model(input: &Tensor) -> Tensor {
    let sum: f32 = input.values().iter().sum();
    Tensor::vector(vec![sum, -sum])
}

impl Backend for Pool {
    fn workers(&self) -> usize {
        self.workers
    }

    fn serves(&self, _: usize, _: &Model) -> bool {
        true
    }

    async fn infer(&self, worker: usize, call: Call) -> Result<Tensor, BackendError> {
        let input = call.input;
        assert_eq!(call.model, Model::Base);
        let fate = {
            let mut log = self.log.lock().unwrap();
            log.given.push((input.values().to_vec(), worker));
            let running = log.running.entry(worker).or_default();
            *running += 1;
            assert_eq!(*running, 1, "worker {worker} has two tasks");
            let count = log.tasks.entry(worker).or_default();
            *count += 1;
            (self.fate)(worker, *count - 1)
        };
        let result = match fate {
            Fate::Answers(time) => {
                sleep(time).await;
                Ok(model(&input))
            }
            Fate::Fails | Fate::FailsAfter(_) => {
                let time = match fate {
                    Fate::FailsAfter(time) => time,
                    _ => Duration::from_millis(1),
                };
                sleep(time).await;
                Err(BackendError {
                    worker,
                    reason: "dead".to_owned(),
                    refused: false,
                })
            }
        };
        *self.log.lock().unwrap().running.get_mut(&worker).unwrap() -= 1;
        result
    }
}

fn parity(queries: usize) -> Arc<dyn Code> {
    Arc::new(InvNet::new(queries, 1, MixedQueries).unwrap())
}

fn query(number: f32) -> Query {
    Query::new(Tensor::vector(vec![number, 1.0]))
}

/// Sends one query for each number at once.
async fn all(
    engine: &Engine<Pool>,
    queries: Vec<Query>,
) -> Vec<Result<septet_coded_serving::engine::Prediction, ServeError>> {
    let tasks: Vec<_> = queries
        .into_iter()
        .map(|query| {
            let engine = engine.clone();
            tokio::spawn(async move { engine.predict(query).await })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}

/// Lets late outputs come in.
async fn settle() {
    sleep(Duration::from_secs(60)).await;
}

#[tokio::test(start_paused = true)]
async fn nobody_slow_means_direct_answers_bit_for_bit() {
    let pool = Pool::new(6, |_, _| Fate::Answers(SERVICE));
    let engine = Engine::builder(parity(4), pool).build();
    let answers = all(&engine, (0..40).map(|i| query(i as f32 * 0.1)).collect()).await;
    for (i, answer) in answers.into_iter().enumerate() {
        let answer = answer.unwrap();
        let expected = model(&Tensor::vector(vec![i as f32 * 0.1, 1.0]));
        if let Provenance::Direct { .. } = answer.provenance {
            assert_eq!(answer.output, expected);
        }
    }
    settle().await;
    assert_eq!(engine.open_groups(), 0);
    let counted = engine.statistics();
    assert_eq!(counted.direct + counted.reconstructed, 40);
}

#[tokio::test(start_paused = true)]
async fn a_straggler_is_reconstructed_and_its_late_answer_compared() {
    let pool = Pool::new(5, |worker, _| {
        Fate::Answers(if worker == 2 { 50 * SERVICE } else { SERVICE })
    });
    let engine = Engine::builder(parity(4), pool.clone()).build();
    let start = Instant::now();
    let answers = all(&engine, (0..4).map(|i| query(i as f32)).collect()).await;
    assert!(start.elapsed() <= 2 * SERVICE);
    let flagged: Vec<bool> = answers
        .iter()
        .map(|a| {
            matches!(
                a.as_ref().unwrap().provenance,
                Provenance::Reconstructed { group: 4, .. }
            )
        })
        .collect();
    assert_eq!(flagged, [false, false, true, false]);
    let answer = answers[2].as_ref().unwrap();
    assert!((answer.output.values()[0] - 3.0).abs() < 1e-4);
    settle().await;
    let counted = engine.statistics();
    assert_eq!((counted.agreed, counted.disagreed), (1, 0));
    assert_eq!(engine.open_groups(), 0);
    // The parity was on the worker that had no query.
    let log = pool.log.lock().unwrap();
    assert_eq!(log.given.last(), Some(&(vec![1.5, 1.0], 4)));
}

#[tokio::test(start_paused = true)]
async fn clients_can_refuse_and_policies_can_wait() {
    let slow = |worker: usize, _| Fate::Answers(if worker == 0 { 10 * SERVICE } else { SERVICE });
    let engine = Engine::builder(parity(3), Pool::new(4, slow)).build();
    let mut queries: Vec<Query> = (0..3).map(|i| query(i as f32)).collect();
    queries[0].accepts_reconstruction = false;
    let start = Instant::now();
    let answers = all(&engine, queries).await;
    assert_eq!(start.elapsed(), 10 * SERVICE);
    assert_eq!(
        answers[0].as_ref().unwrap().provenance,
        Provenance::Direct { worker: 0 }
    );
    for (policy, waited, reconstructed) in [
        (ReconstructionPolicy::FirstWins, 2 * SERVICE, 1),
        (
            ReconstructionPolicy::AfterDelay(5 * SERVICE),
            5 * SERVICE,
            1,
        ),
        (
            ReconstructionPolicy::AfterDelay(20 * SERVICE),
            10 * SERVICE,
            0,
        ),
        (ReconstructionPolicy::Never, 10 * SERVICE, 0),
    ] {
        let engine = Engine::builder(parity(3), Pool::new(4, slow))
            .policy(policy)
            .build();
        let start = Instant::now();
        all(&engine, (0..3).map(|i| query(i as f32)).collect()).await;
        assert!(
            start.elapsed() <= waited,
            "{policy:?}: {:?}",
            start.elapsed()
        );
        assert_eq!(
            engine.statistics().reconstructed,
            reconstructed,
            "{policy:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn one_dead_worker_costs_nothing_two_of_a_group_are_told() {
    for (dead, lost) in [(1, 0), (2, 2)] {
        let pool = Pool::new(5, move |worker, _| {
            if worker < dead {
                Fate::Fails
            } else {
                Fate::Answers(SERVICE)
            }
        });
        let engine = Engine::builder(parity(4), pool).retries(0.0).build();
        let answers = all(&engine, (0..4).map(|i| query(i as f32)).collect()).await;
        let errors: Vec<&ServeError> = answers.iter().filter_map(|a| a.as_ref().err()).collect();
        assert_eq!(errors.len(), lost);
        for error in errors {
            assert!(
                matches!(error, ServeError::Unrecoverable { missing: 2, .. }),
                "{error}"
            );
        }
        settle().await;
        assert_eq!(engine.open_groups(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_parity_waits_for_a_worker_without_an_open_part_in_its_group() {
    // Both workers have a query of the group: the parity waits until one has answered.
    let pool = Pool::new(2, |worker, _| {
        Fate::Answers(if worker == 0 { 10 * SERVICE } else { SERVICE })
    });
    let engine = Engine::builder(parity(2), pool.clone()).build();
    let start = Instant::now();
    all(&engine, (0..2).map(|i| query(i as f32)).collect()).await;
    assert!(start.elapsed() >= 2 * SERVICE && start.elapsed() < 3 * SERVICE);
    settle().await;
    let counted = engine.statistics();
    assert_eq!(
        (counted.redundant, counted.reconstructed),
        (1, 1),
        "{counted:?}"
    );
    {
        let log = pool.log.lock().unwrap();
        let to: Vec<usize> = log.given.iter().map(|(_, worker)| *worker).collect();
        assert_eq!(to, [0, 1, 1]);
    }
    assert_eq!(engine.open_groups(), 0);

    // With workers to spare it goes to one without any part.
    let pool = Pool::new(4, |_, _| Fate::Answers(SERVICE));
    let engine = Engine::builder(parity(2), pool.clone())
        .fill_deadline(SERVICE)
        .build();
    let (first, second) = tokio::join!(engine.predict(query(1.0)), async {
        sleep(SERVICE / 2).await;
        engine.predict(query(2.0)).await
    });
    assert!(first.is_ok() && second.is_ok());
    settle().await;
    let log = pool.log.lock().unwrap();
    let to: Vec<usize> = log.given.iter().map(|(_, worker)| *worker).collect();
    assert_eq!(to, [0, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn partial_groups_are_protected_after_the_fill_deadline() {
    let pool = Pool::new(4, |worker, _| {
        Fate::Answers(if worker == 0 { 50 * SERVICE } else { SERVICE })
    });
    let engine = Engine::builder(parity(10), pool)
        .fill_deadline(Duration::from_millis(5))
        .build();
    let start = Instant::now();
    let answers = all(&engine, (0..2).map(|i| query(i as f32)).collect()).await;
    assert!(start.elapsed() <= Duration::from_millis(5) + 2 * SERVICE);
    assert!(matches!(
        answers[0].as_ref().unwrap().provenance,
        Provenance::Reconstructed { group: 2, .. }
    ));
}

#[tokio::test(start_paused = true)]
async fn too_many_are_turned_away_and_parity_goes_first() {
    let pool = Pool::new(3, |_, _| Fate::Answers(SERVICE));
    let engine = Engine::builder(parity(2), pool.clone())
        .most_waiting(10)
        .shed_above(1)
        .build();
    let answers = all(&engine, (0..30).map(|i| query(i as f32)).collect()).await;
    let turned: usize = answers
        .iter()
        .filter(|a| matches!(a, Err(ServeError::Overloaded { .. })))
        .count();
    let counted = engine.statistics();
    // One for each worker, and ten that wait.
    assert_eq!(turned, 30 - 13);
    assert_eq!((counted.accepted, counted.rejected), (13, 17));
    assert!(counted.shed >= 4, "{counted:?}");
    settle().await;
    assert_eq!(engine.open_groups(), 0);
}

#[tokio::test(start_paused = true)]
async fn patience_ends_and_draining_loses_nothing() {
    let pool = Pool::new(3, |_, _| Fate::Answers(SERVICE));
    let engine = Engine::builder(parity(8), pool).build();
    let mut hasty = query(1.0);
    hasty.patience = Some(SERVICE / 2);
    assert_eq!(
        engine.predict(hasty).await,
        Err(ServeError::DeadlineExceeded(SERVICE / 2))
    );
    let nan = Query::new(Tensor::vector(vec![f32::NAN]));
    assert!(matches!(
        engine.predict(nan).await,
        Err(ServeError::InvalidInput(_))
    ));
    let served: Vec<_> = (0..5)
        .map(|i| {
            let engine = engine.clone();
            tokio::spawn(async move { engine.predict(query(i as f32)).await })
        })
        .collect();
    tokio::task::yield_now().await;
    assert_eq!(engine.drain(Duration::from_secs(1)).await, 0);
    for answer in served {
        answer.await.unwrap().unwrap();
    }
    assert_eq!(
        engine.predict(query(0.0)).await,
        Err(ServeError::ShuttingDown)
    );
}

/// Every query is answered once or told why not, whatever fails.
#[tokio::test(start_paused = true)]
async fn ten_thousand_queries_are_conserved() {
    let seed = SeedTree::new(5);
    let pool = Pool::new(12, move |worker, task| {
        let mut rng = seed.index(worker as u64).index(task).rng();
        match rng.next_u32() % 100 {
            0..2 => Fate::Fails,
            2..7 => Fate::Answers(5 * SERVICE),
            _ => Fate::Answers(SERVICE),
        }
    });
    let engine = Engine::builder(parity(4), pool.clone())
        .fill_deadline(Duration::from_millis(15))
        .build();
    let mut tasks = Vec::new();
    for i in 0..10_000 {
        // Half of the capacity.
        sleep(Duration::from_micros(3_300)).await;
        let engine = engine.clone();
        tasks.push(tokio::spawn(async move {
            engine.predict(query(i as f32)).await
        }));
    }
    let (mut answered, mut refused) = (0_u64, 0_u64);
    for (i, task) in tasks.into_iter().enumerate() {
        match task.await.unwrap() {
            Ok(answer) => {
                answered += 1;
                let expected = model(&Tensor::vector(vec![i as f32, 1.0]));
                match answer.provenance {
                    Provenance::Direct { .. } => assert_eq!(answer.output, expected),
                    Provenance::Reconstructed { .. } => {
                        let error = answer.output.values()[0] - expected.values()[0];
                        assert!(error.abs() <= 1e-5 * (1.0 + 4.0 * i as f32), "{i}: {error}");
                    }
                }
            }
            Err(_) => refused += 1,
        }
    }
    settle().await;
    let counted = engine.statistics();
    println!("{counted:?}");
    assert_eq!(answered + refused, 10_000);
    assert_eq!(counted.direct + counted.reconstructed, answered);
    assert_eq!(counted.lost + counted.rejected, refused);
    assert!(refused < 100, "{refused}");
    assert_eq!((engine.open_groups(), engine.waiting()), (0, 0));
    assert!(counted.redundant > 0 && counted.reconstructed > 0);
}

#[tokio::test(start_paused = true)]
async fn what_the_code_cannot_make_up_for_is_sent_again() {
    // Two of a group are lost: the parity is of no use, two other workers are.
    let pool = Pool::new(6, |worker, _| {
        if worker < 2 {
            Fate::Fails
        } else {
            Fate::Answers(SERVICE)
        }
    });
    let engine = Engine::builder(parity(4), pool.clone()).build();
    let answers = all(&engine, (0..4).map(|i| query(i as f32)).collect()).await;
    for (number, answer) in answers.iter().enumerate() {
        let answer = answer.as_ref().unwrap();
        assert_eq!(answer.output.values()[0], number as f32 + 1.0);
    }
    settle().await;
    let counted = engine.statistics();
    // The first retry makes the other lost answer decodable.
    assert!((1..=2).contains(&counted.retries), "{counted:?}");
    assert_eq!(counted.lost, 0);
    assert_eq!(engine.open_groups(), 0);

    // Three attempts more, not for ever.
    let dead = Pool::new(3, |_, _| Fate::Fails);
    let engine = Engine::builder(parity(1), dead).build();
    let answers = all(&engine, vec![query(1.0)]).await;
    assert!(matches!(answers[0], Err(ServeError::Unrecoverable { .. })));
    assert_eq!(engine.statistics().retries, 3);

    // One lost answer needs no retry: the parity has it.
    let pool = Pool::new(6, |worker, _| {
        if worker == 0 {
            Fate::Fails
        } else {
            Fate::Answers(SERVICE)
        }
    });
    let engine = Engine::builder(parity(4), pool).build();
    all(&engine, (0..4).map(|i| query(i as f32)).collect()).await;
    let counted = engine.statistics();
    assert_eq!((counted.retries, counted.reconstructed), (0, 1));

    // A client who refuses reconstruction gets the true answer.
    let pool = Pool::new(6, |worker, _| {
        if worker == 0 {
            Fate::Fails
        } else {
            Fate::Answers(SERVICE)
        }
    });
    let engine = Engine::builder(parity(4), pool).build();
    let strict = |i| Query {
        accepts_reconstruction: false,
        ..query(i as f32)
    };
    let answers = all(&engine, (0..4).map(strict).collect()).await;
    for answer in answers {
        let provenance = answer.unwrap().provenance;
        assert!(matches!(provenance, Provenance::Direct { .. }));
    }
    assert_eq!(engine.statistics().retries, 1);
}

#[tokio::test(start_paused = true)]
async fn late_queries_are_hedged_within_the_budget() {
    // No code; one task in ten is slow.
    let pool = Pool::new(8, |worker, task| {
        let is_slow = (3 * worker as u64 + task) % 10 == 9;
        Fate::Answers(if is_slow { 20 * SERVICE } else { SERVICE })
    });
    let uncoded = Arc::new(Replication::new(1, 0).unwrap());
    for hedged in [false, true] {
        let mut builder = Engine::builder(uncoded.clone(), pool.clone());
        if hedged {
            builder = builder.hedging(Hedging::new(0.85, 0.2).unwrap());
        }
        let engine = builder.build();
        let mut late = 0;
        for _ in 0..400 {
            let begin = Instant::now();
            for answer in all(&engine, vec![query(1.0), query(2.0)]).await {
                answer.unwrap();
            }
            late += u32::from(begin.elapsed() >= 10 * SERVICE);
        }
        settle().await;
        let counted = engine.statistics();
        assert_eq!(counted.direct, 800);
        assert_eq!(engine.open_groups(), 0);
        if hedged {
            // Until the latencies are known, and when the copy is slow, too.
            assert!(late <= 20, "{late}");
            assert!(counted.hedges <= 800 / 5 + 10, "{counted:?}");
        } else {
            assert!(late >= 60, "{late}");
            assert_eq!(counted.hedges, 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn close_decisions_are_held_back() {
    let slow = |worker: usize, _| Fate::Answers(if worker == 0 { 10 * SERVICE } else { SERVICE });
    for (least, reconstructed) in [(0.0, 1), (1.0, 1), (3.0, 0)] {
        let engine = Engine::builder(parity(4), Pool::new(6, slow))
            .least_margin(least)
            .build();
        // The sum of the first is 1: its outputs 1 and -1 differ by 2.
        let answers = all(&engine, (0..4).map(|i| query(i as f32)).collect()).await;
        assert!(answers.iter().all(Result::is_ok));
        settle().await;
        let counted = engine.statistics();
        assert_eq!(counted.reconstructed, reconstructed, "{least}");
        assert_eq!(counted.doubtful, 1 - reconstructed);
    }
}

#[tokio::test(start_paused = true)]
async fn reconstruction_waits_for_a_quantile() {
    let slow = |worker, task: u64| {
        // One task in fifty is very late, one in ten a little.
        Fate::Answers(match (7 * worker as u64 + task) % 50 {
            49 => 20 * SERVICE,
            n if n % 10 == 0 => 2 * SERVICE,
            _ => SERVICE,
        })
    };
    let mut approximate = Vec::new();
    for policy in [
        ReconstructionPolicy::FirstWins,
        ReconstructionPolicy::AfterQuantile(0.95),
    ] {
        let engine = Engine::builder(parity(4), Pool::new(12, slow))
            .policy(policy)
            .build();
        let mut late = 0;
        for _ in 0..300 {
            let begin = Instant::now();
            all(&engine, (0..4).map(|i| query(i as f32)).collect()).await;
            late += u32::from(begin.elapsed() >= 10 * SERVICE);
        }
        assert!(late <= 3, "{policy:?}: {late}");
        approximate.push(engine.statistics().reconstructed);
    }
    assert!(2 * approximate[1] < approximate[0], "{approximate:?}");
}

#[tokio::test(start_paused = true)]
async fn a_group_as_large_as_the_pool_survives_a_failure() {
    // Every worker has a part in the group: the parity goes to one that has answered.
    let pool = Pool::new(3, |worker, task| match (worker, task) {
        (0, _) => Fate::Fails,
        _ => Fate::Answers(SERVICE),
    });
    let engine = Engine::builder(parity(3), pool).build();
    let begin = Instant::now();
    let answers = all(&engine, (0..3).map(|i| query(i as f32)).collect()).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert!(begin.elapsed() < 10 * SERVICE);
    settle().await;
    assert_eq!(engine.open_groups(), 0);
    assert_eq!(engine.statistics().reconstructed, 1);

    // And where the other workers fail as well, nothing waits for a place that will not come.
    let pool = Pool::new(3, |worker, _| match worker {
        2 => Fate::Answers(SERVICE),
        _ => Fate::Fails,
    });
    let engine = Engine::builder(parity(3), pool).build();
    let begin = Instant::now();
    let answers = all(&engine, (0..3).map(|i| query(i as f32)).collect()).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert!(begin.elapsed() < 10 * SERVICE);
    settle().await;
    assert_eq!(engine.open_groups(), 0);
    assert!(engine.statistics().retries >= 1);
}

#[tokio::test(start_paused = true)]
async fn without_reconstruction_what_failed_is_sent_again() {
    let pool = Pool::new(4, |worker, _| {
        if worker == 0 {
            Fate::Fails
        } else {
            Fate::Answers(SERVICE)
        }
    });
    let engine = Engine::builder(parity(2), pool)
        .policy(ReconstructionPolicy::Never)
        .build();
    let answers = all(&engine, (0..2).map(|i| query(i as f32)).collect()).await;
    for answer in answers {
        let provenance = answer.unwrap().provenance;
        assert!(matches!(provenance, Provenance::Direct { .. }));
    }
    assert_eq!(engine.statistics().redundant, 0);
}

#[tokio::test(start_paused = true)]
async fn clients_that_have_gone_hold_nothing() {
    // One worker that takes for ever, and clients that do not wait.
    let pool = Pool::new(1, |_, _| Fate::Answers(1000 * SERVICE));
    let engine = Engine::builder(parity(4), pool).most_waiting(8).build();
    let hasty = |i| Query {
        patience: Some(SERVICE),
        ..query(i as f32)
    };
    for answer in all(&engine, (0..9).map(hasty).collect()).await {
        assert!(matches!(answer, Err(ServeError::DeadlineExceeded(_))));
    }
    // The queue is full of their queries, which make room.
    let answer = engine.predict(hasty(1)).await;
    assert!(
        matches!(answer, Err(ServeError::DeadlineExceeded(_))),
        "{answer:?}"
    );
    assert_eq!(engine.statistics().rejected, 0);
    tokio::time::sleep(3000 * SERVICE).await;
    assert_eq!(engine.open_groups(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_refuses_approximate_answers_is_told_when_there_are_no_others() {
    let code = Interpolation::new(3, 5, 1, Smoother::Berrut).unwrap();
    let pool = Pool::new(5, |_, _| Fate::Answers(SERVICE));
    let engine = Engine::builder(Arc::new(code), pool).build();
    let strict = Query {
        accepts_reconstruction: false,
        ..query(1.0)
    };
    let answer = engine.predict(strict).await;
    assert!(matches!(answer, Err(ServeError::OnlyApproximate(_))));
}

/// Three workers that double, and panic at negative numbers.
#[derive(Clone)]
struct Panicking;

impl Backend for Panicking {
    fn workers(&self) -> usize {
        3
    }

    fn serves(&self, _: usize, _: &Model) -> bool {
        true
    }

    async fn infer(&self, _: usize, call: Call) -> Result<Tensor, BackendError> {
        sleep(SERVICE).await;
        let values = call.input.values();
        assert!(values[0] >= 0.0, "a bug of the backend");
        Ok(Tensor::vector(values.iter().map(|x| 2.0 * x).collect()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_panics_costs_its_query_and_nothing_else() {
    let code = Arc::new(Replication::new(1, 0).unwrap());
    let engine = Engine::builder(code, Panicking).build();
    let bad = engine.predict(query(-1.0)).await;
    assert!(
        matches!(bad, Err(ServeError::Unrecoverable { .. })),
        "{bad:?}"
    );
    settle().await;
    for number in 0..10 {
        let answer = engine.predict(query(number as f32)).await.unwrap();
        assert_eq!(answer.output.values()[0], 2.0 * number as f32);
    }
    settle().await;
    assert_eq!((engine.open_groups(), engine.busy_workers()), (0, 0));
}

/// A code with a bug.
#[derive(Debug)]
struct Broken(InvNet<MixedQueries>, bool);

impl Code for Broken {
    fn name(&self) -> String {
        self.0.name()
    }

    fn shape(&self) -> septet_coded_serving::code::Shape {
        self.0.shape()
    }

    fn encode(&self, queries: &[Tensor]) -> Result<Vec<Task>, CodeError> {
        assert!(self.1, "a bug of the encoder");
        self.0.encode(queries)
    }

    fn decodable(&self, queries: usize, arrived: Slots) -> Slots {
        self.0.decodable(queries, arrived)
    }

    fn decode(
        &self,
        _: usize,
        _: &[(usize, &Tensor)],
        _: Slots,
    ) -> Result<Vec<Decoded>, CodeError> {
        panic!("a bug of the decoder")
    }

    fn cost(&self, base: Inference) -> Cost {
        self.0.cost(base)
    }
}

#[tokio::test(start_paused = true)]
async fn a_code_that_panics_costs_its_redundancy_and_nothing_else() {
    for encodes in [false, true] {
        let code = Broken(InvNet::new(4, 1, MixedQueries).unwrap(), encodes);
        // The first worker is slow: its answer would be reconstructed.
        let pool = Pool::new(6, |worker, _| {
            Fate::Answers(SERVICE * if worker == 0 { 10 } else { 1 })
        });
        let engine = Engine::builder(Arc::new(code), pool).build();
        let answers = all(&engine, (0..8).map(|i| query(i as f32)).collect()).await;
        for answer in answers {
            let provenance = answer.unwrap().provenance;
            assert!(matches!(provenance, Provenance::Direct { .. }));
        }
        settle().await;
        assert_eq!((engine.open_groups(), engine.busy_workers()), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn exact_answers_are_not_held_back() {
    // Outputs of the same size: no margin at all. The first worker hangs.
    let pool = Pool::new(3, |worker, _| {
        Fate::Answers(SERVICE * if worker == 0 { 1000 } else { 1 })
    });
    let code = Arc::new(Replication::new(1, 1).unwrap());
    let engine = Engine::builder(code, pool).least_margin(1000.0).build();
    let start = Instant::now();
    // Who refuses what is approximate takes a copy, which is the model's own answer.
    let strict = Query {
        accepts_reconstruction: false,
        ..query(1.0)
    };
    let answer = engine.predict(strict).await.unwrap();
    assert_eq!(answer.provenance, Provenance::Direct { worker: 1 });
    assert!(start.elapsed() < SERVICE * 3);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_again_for_a_client_that_has_given_up() {
    let pool = Pool::new(1, |_, count| {
        if count == 0 {
            Fate::Fails
        } else {
            Fate::Answers(SERVICE)
        }
    });
    let code = Arc::new(Replication::new(1, 0).unwrap());
    let engine = Engine::builder(code, pool.clone())
        .rest_after_failure(Duration::from_millis(500))
        .build();
    let hasty = Query {
        patience: Some(Duration::from_millis(100)),
        ..query(1.0)
    };
    let answer = engine.predict(hasty).await;
    assert!(matches!(answer, Err(ServeError::DeadlineExceeded(_))));
    settle().await;
    // It was queued again while the worker rested, and its time was over when the worker came back.
    assert_eq!(engine.statistics().retries, 1);
    assert_eq!(pool.log.lock().unwrap().given.len(), 1);
    assert_eq!(engine.open_groups(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_whose_time_is_over_is_told_so_and_costs_no_retry() {
    // One worker, busy for 20 ms; the second query has 10 ms.
    let pool = Pool::new(1, |_, _| Fate::Answers(SERVICE));
    let code = Arc::new(Replication::new(1, 0).unwrap());
    let engine = Engine::builder(code, pool.clone()).build();
    let hasty = Query {
        patience: Some(SERVICE / 2),
        ..query(2.0)
    };
    // Its own timer runs at the same time as the worker's; both orders must end so.
    for wait in [SERVICE / 2, SERVICE] {
        let hasty = Query {
            patience: Some(wait),
            ..hasty.clone()
        };
        let answers = all(&engine, vec![query(1.0), hasty]).await;
        assert!(answers[0].is_ok());
        let late = &answers[1];
        assert!(
            matches!(late, Err(ServeError::DeadlineExceeded(_)) | Ok(_)),
            "{late:?}"
        );
        settle().await;
    }
    let counted = engine.statistics();
    assert_eq!((counted.retries, counted.lost), (0, 0));
    assert_eq!(engine.open_groups(), 0);
}

#[tokio::test(start_paused = true)]
async fn mixtures_for_clients_that_have_gone_are_not_worked_on() {
    // Every task of these four workers takes a second; ten groups are sent, and all clients go at once:
    // because their time is over, or for no known reason.
    for patience in [Some(Duration::from_millis(500)), None] {
        let pool = Pool::new(4, |_, _| Fate::Answers(Duration::from_secs(1)));
        let code = Arc::new(Interpolation::new(3, 4, 1, Smoother::Berrut).unwrap());
        let engine = Engine::builder(code, pool.clone())
            .most_waiting(1000)
            .build();
        let tasks: Vec<_> = (0..30_u8)
            .map(|i| {
                let engine = engine.clone();
                let query = Query {
                    patience,
                    ..query(f32::from(i))
                };
                tokio::spawn(async move { engine.predict(query).await })
            })
            .collect();
        sleep(Duration::from_millis(600)).await;
        tasks.iter().for_each(tokio::task::JoinHandle::abort);
        settle().await;
        assert_eq!(engine.open_groups(), 0);
        // The first group was begun, and none after that.
        assert_eq!(engine.statistics().tasks, 4);
    }
}

#[tokio::test(start_paused = true)]
async fn a_huge_query_is_refused_and_its_group_is_not() {
    for code in [
        parity(3),
        Arc::new(Interpolation::new(3, 4, 1, Smoother::Berrut).unwrap()),
    ] {
        let engine = Engine::builder(code, Pool::new(5, |_, _| Fate::Answers(SERVICE))).build();
        let queries = [1.0, 3e38, 2.0, 3.0].map(query);
        let answers = all(&engine, queries.to_vec()).await;
        assert!(matches!(answers[1], Err(ServeError::InvalidInput(_))));
        for place in [0, 2, 3] {
            assert!(answers[place].is_ok(), "{:?}", answers[place]);
        }
        settle().await;
        assert_eq!(engine.statistics().uncoded, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_decoded_is_sent_again() {
    let code = Broken(InvNet::new(3, 1, MixedQueries).unwrap(), true);
    let pool = Pool::new(6, |worker, _| {
        if worker == 0 {
            Fate::Fails
        } else {
            Fate::Answers(SERVICE)
        }
    });
    let engine = Engine::builder(Arc::new(code), pool).build();
    let answers = all(&engine, (0..3).map(|i| query(i as f32)).collect()).await;
    for answer in answers {
        assert!(matches!(
            answer.unwrap().provenance,
            Provenance::Direct { .. }
        ));
    }
    let counted = engine.statistics();
    assert_eq!((counted.retries, counted.lost), (1, 0), "{counted:?}");
    assert_eq!(counted.uncoded, 1);
}

#[tokio::test(start_paused = true)]
async fn the_longest_patience_and_delay_are_for_ever() {
    let pool = Pool::new(5, |_, _| Fate::Answers(SERVICE));
    let engine = Engine::builder(parity(3), pool)
        .policy(ReconstructionPolicy::AfterDelay(Duration::MAX))
        .build();
    let patient = Query {
        patience: Some(Duration::MAX),
        ..query(1.0)
    };
    let answers = all(&engine, vec![patient; 3]).await;
    assert!(answers.iter().all(Result::is_ok));
}

#[tokio::test(start_paused = true)]
async fn a_flushed_engine_waits_for_no_group() {
    let code = Arc::new(Interpolation::new(3, 4, 1, Smoother::Berrut).unwrap());
    let pool = Pool::new(4, |_, _| Fate::Answers(SERVICE));
    let engine = Engine::builder(code, pool)
        .fill_deadline(Duration::from_secs(3600))
        .build();
    let start = Instant::now();
    let first = tokio::spawn({
        let engine = engine.clone();
        async move { engine.predict(query(1.0)).await }
    });
    sleep(SERVICE).await;
    engine.flush();
    assert!(first.await.unwrap().is_ok());
    // And one that comes later.
    assert!(engine.predict(query(2.0)).await.is_ok());
    assert!(start.elapsed() < SERVICE * 10);
}

#[tokio::test(start_paused = true)]
async fn several_queries_are_let_in_together_or_not_at_all() {
    let pool = Pool::new(2, |_, _| Fate::Answers(SERVICE));
    let code = Arc::new(Replication::new(1, 0).unwrap());
    let engine = Engine::builder(code, pool).most_waiting(10).build();
    assert_eq!(engine.capacity(), 12);
    let eight = || (0..8).map(|i| query(i as f32)).collect();
    let (first, second) = tokio::join!(engine.predict_all(eight()), engine.predict_all(eight()));
    for (place, answer) in first.unwrap().iter().enumerate() {
        assert_eq!(answer.output.values()[0], place as f32 + 1.0);
    }
    assert!(matches!(second, Err(ServeError::Overloaded { waiting: 6 })));
    let counted = engine.statistics();
    assert_eq!((counted.accepted, counted.rejected), (8, 8));
    // One that cannot be answered fails all, and nothing of them is left.
    let mut mixed: Vec<Query> = eight();
    mixed[5].input = Tensor::vector(vec![f32::NAN]);
    assert!(matches!(
        engine.predict_all(mixed).await,
        Err(ServeError::InvalidInput(_))
    ));
    assert_eq!((engine.open_groups(), engine.waiting()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_makes_up_for_a_failure_does_not_wait_behind_queries() {
    // The first worker is busy with another query, the second fails, and eighty queries wait.
    let pool = Pool::new(3, |worker, count| match (worker, count) {
        (1, 0) => Fate::FailsAfter(SERVICE / 2),
        _ => Fate::Answers(SERVICE),
    });
    let engine = Engine::builder(parity(2), pool)
        .shed_above(usize::MAX)
        .most_waiting(1000)
        .retries(0.0)
        .rest_after_failure(Duration::from_secs(1))
        .build();
    let send = |queries: Vec<Query>| {
        let engine = engine.clone();
        tokio::spawn(async move { all(&engine, queries).await })
    };
    let other = Query::new(Tensor::vector(vec![1.0; 3]));
    let first = send(vec![other]);
    sleep(Duration::from_millis(1)).await;
    let start = Instant::now();
    let group = send(vec![query(1.0), query(2.0)]);
    let others = send((0..80).map(|i| query(i as f32)).collect());
    let answers = group.await.unwrap();
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert!(start.elapsed() < SERVICE * 4, "{:?}", start.elapsed());
    assert!(first.await.unwrap().iter().all(Result::is_ok));
    assert!(others.await.unwrap().iter().all(Result::is_ok));
}

#[tokio::test(start_paused = true)]
async fn a_query_whose_hedge_finds_no_worker_is_sent_again_when_it_fails() {
    // One worker: the hedge of a late query waits for it, and is taken back when it fails.
    let pool = Pool::new(1, |_, count| match count {
        100 => Fate::FailsAfter(SERVICE * 20),
        _ => Fate::Answers(SERVICE),
    });
    let code = Arc::new(Replication::new(1, 0).unwrap());
    let engine = Engine::builder(code, pool)
        .hedging(Hedging::new(0.95, 0.1).unwrap())
        .build();
    for number in 0..101 {
        let answer = engine.predict(query(number as f32)).await;
        assert!(answer.is_ok(), "{number}: {answer:?}");
    }
    let counted = engine.statistics();
    assert_eq!(
        (counted.hedges, counted.retries, counted.lost),
        (1, 1, 0),
        "{counted:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_is_done_for_groups_whose_clients_have_gone() {
    // Two busy workers; four queries of two groups wait when all clients go.
    let pool = Pool::new(2, |_, _| Fate::Answers(Duration::from_secs(1)));
    let engine = Engine::builder(parity(2), pool).build();
    let hasty = |i: u8| Query {
        patience: Some(Duration::from_secs(100)),
        ..query(f32::from(i))
    };
    let tasks: Vec<_> = (0..6)
        .map(|i| {
            let engine = engine.clone();
            tokio::spawn(async move { engine.predict(hasty(i)).await })
        })
        .collect();
    sleep(Duration::from_millis(100)).await;
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    settle().await;
    let counted = engine.statistics();
    assert_eq!((counted.tasks, engine.open_groups()), (2, 0), "{counted:?}");
    assert_eq!(counted.abandoned, 6);
}
