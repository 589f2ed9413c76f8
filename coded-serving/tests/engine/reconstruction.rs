//! What is reconstructed, when, and by whom.

use super::*;

#[tokio::test(start_paused = true)]
async fn without_stragglers_answers_are_direct_and_bitwise_equal() {
    let pool = Pool::new(6, |_, _| Fate::Answers(SERVICE));
    let engine = Engine::builder(parity(4), pool).build().unwrap();
    let answers = all(&engine, (0..40).map(|i| query(i as f32 * 0.1)).collect()).await;
    for (i, answer) in answers.into_iter().enumerate() {
        let answer = answer.unwrap();
        let expected = model(&Tensor::vector(vec![i as f32 * 0.1, 1.0]));
        if let Provenance::Direct { .. } = answer.provenance {
            assert_eq!(answer.output, expected);
        }
    }
    settle().await;
    assert_eq!(engine.active_groups(), 0);
    let counted = engine.statistics();
    assert_eq!(counted.direct + counted.reconstructed, 40);
}

#[tokio::test(start_paused = true)]
async fn a_straggler_is_reconstructed_and_its_late_answer_compared() {
    let pool = Pool::new(5, |worker, _| {
        Fate::Answers(if worker == 2 { 50 * SERVICE } else { SERVICE })
    });
    let engine = Engine::builder(parity(4), pool.clone()).build().unwrap();
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
    assert_eq!(engine.active_groups(), 0);
    // The parity was on the worker that had no query.
    let log = pool.log.lock().unwrap();
    assert_eq!(log.given.last(), Some(&(vec![1.5, 1.0], 4)));
}

#[tokio::test(start_paused = true)]
async fn one_failed_worker_is_tolerated_and_two_of_a_group_are_an_error() {
    for (dead, lost) in [(1, 0), (2, 2)] {
        let pool = Pool::new(5, move |worker, _| {
            if worker < dead {
                Fate::Fails
            } else {
                Fate::Answers(SERVICE)
            }
        });
        let engine = Engine::builder(parity(4), pool)
            .retry_budget(0.0)
            .build()
            .unwrap();
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
        assert_eq!(engine.active_groups(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_parity_waits_for_a_worker_without_an_open_part_in_its_group() {
    // Both workers have a query of the group: the parity waits until one has answered.
    let pool = Pool::new(2, |worker, _| {
        Fate::Answers(if worker == 0 { 10 * SERVICE } else { SERVICE })
    });
    let engine = Engine::builder(parity(2), pool.clone()).build().unwrap();
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
    assert_eq!(engine.active_groups(), 0);

    // With workers to spare it goes to one without any part.
    let pool = Pool::new(4, |_, _| Fate::Answers(SERVICE));
    let engine = Engine::builder(parity(2), pool.clone())
        .max_batch_delay(SERVICE)
        .build()
        .unwrap();
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
        .max_batch_delay(Duration::from_millis(5))
        .build()
        .unwrap();
    let start = Instant::now();
    let answers = all(&engine, (0..2).map(|i| query(i as f32)).collect()).await;
    assert!(start.elapsed() <= Duration::from_millis(5) + 2 * SERVICE);
    assert!(matches!(
        answers[0].as_ref().unwrap().provenance,
        Provenance::Reconstructed { group: 2, .. }
    ));
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
        .max_batch_delay(Duration::from_millis(15))
        .build()
        .unwrap();
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
    assert_eq!((engine.active_groups(), engine.queue_len()), (0, 0));
    assert!(counted.redundant > 0 && counted.reconstructed > 0);
}

#[tokio::test(start_paused = true)]
async fn close_decisions_are_held_back() {
    let slow = |worker: usize, _| Fate::Answers(if worker == 0 { 10 * SERVICE } else { SERVICE });
    for (least, reconstructed) in [(0.0, 1), (1.0, 1), (3.0, 0)] {
        let engine = Engine::builder(parity(4), Pool::new(6, slow))
            .min_margin(least)
            .build()
            .unwrap();
        // The sum of the first is 1: its outputs 1 and -1 differ by 2.
        let answers = all(&engine, (0..4).map(|i| query(i as f32)).collect()).await;
        assert!(answers.iter().all(Result::is_ok));
        settle().await;
        let counted = engine.statistics();
        assert_eq!(counted.reconstructed, reconstructed, "{least}");
        assert_eq!(counted.withheld, 1 - reconstructed);
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
            .build()
            .unwrap();
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
    let engine = Engine::builder(parity(3), pool).build().unwrap();
    let begin = Instant::now();
    let answers = all(&engine, (0..3).map(|i| query(i as f32)).collect()).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert!(begin.elapsed() < 10 * SERVICE);
    settle().await;
    assert_eq!(engine.active_groups(), 0);
    assert_eq!(engine.statistics().reconstructed, 1);

    // And where the other workers fail as well, nothing waits for a place that will not come.
    let pool = Pool::new(3, |worker, _| match worker {
        2 => Fate::Answers(SERVICE),
        _ => Fate::Fails,
    });
    let engine = Engine::builder(parity(3), pool).build().unwrap();
    let begin = Instant::now();
    let answers = all(&engine, (0..3).map(|i| query(i as f32)).collect()).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert!(begin.elapsed() < 10 * SERVICE);
    settle().await;
    assert_eq!(engine.active_groups(), 0);
    assert!(engine.statistics().retries >= 1);
}

#[tokio::test(start_paused = true)]
async fn exact_answers_are_not_held_back() {
    // Outputs of the same size: no margin at all. The first worker hangs.
    let pool = Pool::new(3, |worker, _| {
        Fate::Answers(SERVICE * if worker == 0 { 1000 } else { 1 })
    });
    let code = Arc::new(Replication::new(1, 1).unwrap());
    let engine = Engine::builder(code, pool)
        .min_margin(1000.0)
        .build()
        .unwrap();
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
