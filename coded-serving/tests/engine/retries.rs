//! What is sent again, and what goes first.

use super::*;

#[tokio::test(start_paused = true)]
async fn failures_beyond_the_code_are_retried() {
    // Two of a group are lost: the parity is of no use, two other workers are.
    let pool = Pool::new(6, |worker, _| {
        if worker < 2 {
            Fate::Fails
        } else {
            Fate::Answers(SERVICE)
        }
    });
    let engine = Engine::builder(parity(4), pool.clone()).build().unwrap();
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
    assert_eq!(engine.active_groups(), 0);

    // Three attempts more, not for ever.
    let dead = Pool::new(3, |_, _| Fate::Fails);
    let engine = Engine::builder(parity(1), dead).build().unwrap();
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
    let engine = Engine::builder(parity(4), pool).build().unwrap();
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
    let engine = Engine::builder(parity(4), pool).build().unwrap();
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
        let engine = builder.build().unwrap();
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
        assert_eq!(engine.active_groups(), 0);
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
async fn without_reconstruction_failed_queries_are_retried() {
    let pool = Pool::new(4, |worker, _| {
        if worker == 0 {
            Fate::Fails
        } else {
            Fate::Answers(SERVICE)
        }
    });
    let engine = Engine::builder(parity(2), pool)
        .policy(ReconstructionPolicy::Never)
        .build()
        .unwrap();
    let answers = all(&engine, (0..2).map(|i| query(i as f32)).collect()).await;
    for answer in answers {
        let provenance = answer.unwrap().provenance;
        assert!(matches!(provenance, Provenance::Direct { .. }));
    }
    assert_eq!(engine.statistics().redundant, 0);
}

#[tokio::test(start_paused = true)]
async fn abandoned_queries_are_not_retried() {
    let pool = Pool::new(1, |_, count| {
        if count == 0 {
            Fate::Fails
        } else {
            Fate::Answers(SERVICE)
        }
    });
    let code = Arc::new(Replication::new(1, 0).unwrap());
    let engine = Engine::builder(code, pool.clone())
        .failure_cooldown(Duration::from_millis(500))
        .build()
        .unwrap();
    let hasty = Query {
        timeout: Some(Duration::from_millis(100)),
        ..query(1.0)
    };
    let answer = engine.predict(hasty).await;
    assert!(matches!(answer, Err(ServeError::DeadlineExceeded(_))));
    settle().await;
    // It was queued again while the worker rested, and its time was over when the worker came back.
    assert_eq!(engine.statistics().retries, 1);
    assert_eq!(pool.log.lock().unwrap().given.len(), 1);
    assert_eq!(engine.active_groups(), 0);
}

#[tokio::test(start_paused = true)]
async fn tasks_that_replace_a_failure_are_queued_before_queries() {
    // The first worker is busy with another query, the second fails, and eighty queries wait.
    let pool = Pool::new(3, |worker, count| match (worker, count) {
        (1, 0) => Fate::FailsAfter(SERVICE / 2),
        _ => Fate::Answers(SERVICE),
    });
    let engine = Engine::builder(parity(2), pool)
        .shed_above(usize::MAX)
        .max_queue_len(1000)
        .retry_budget(0.0)
        .failure_cooldown(Duration::from_secs(1))
        .build()
        .unwrap();
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
        .build()
        .unwrap();
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
