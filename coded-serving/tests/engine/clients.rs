//! Clients that wait, refuse, give up and go; what is let in, and how an engine ends.

use super::*;

#[tokio::test(start_paused = true)]
async fn reconstruction_can_be_rejected_and_delayed() {
    let slow = |worker: usize, _| Fate::Answers(if worker == 0 { 10 * SERVICE } else { SERVICE });
    let engine = Engine::builder(parity(3), Pool::new(4, slow))
        .build()
        .unwrap();
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
            .build()
            .unwrap();
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
async fn too_many_are_turned_away_and_parity_goes_first() {
    let pool = Pool::new(3, |_, _| Fate::Answers(SERVICE));
    let engine = Engine::builder(parity(2), pool.clone())
        .max_queue_len(10)
        .shed_above(1)
        .build()
        .unwrap();
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
    assert_eq!(engine.active_groups(), 0);
}

#[tokio::test(start_paused = true)]
async fn patience_ends_and_draining_loses_nothing() {
    let pool = Pool::new(3, |_, _| Fate::Answers(SERVICE));
    let engine = Engine::builder(parity(8), pool).build().unwrap();
    let mut hasty = query(1.0);
    hasty.timeout = Some(SERVICE / 2);
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

#[tokio::test(start_paused = true)]
async fn clients_that_have_gone_hold_nothing() {
    // One worker that takes for ever, and clients that do not wait.
    let pool = Pool::new(1, |_, _| Fate::Answers(1000 * SERVICE));
    let engine = Engine::builder(parity(4), pool)
        .max_queue_len(8)
        .build()
        .unwrap();
    let hasty = |i| Query {
        timeout: Some(SERVICE),
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
    assert_eq!(engine.active_groups(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_rejects_reconstruction_gets_an_error_when_no_exact_answer_arrives() {
    let code = Interpolation::new(3, 5, 1, Smoother::Berrut).unwrap();
    let pool = Pool::new(5, |_, _| Fate::Answers(SERVICE));
    let engine = Engine::builder(Arc::new(code), pool).build().unwrap();
    let strict = Query {
        accepts_reconstruction: false,
        ..query(1.0)
    };
    let answer = engine.predict(strict).await;
    assert!(matches!(answer, Err(ServeError::OnlyApproximate(_))));
}

#[tokio::test(start_paused = true)]
async fn an_expired_deadline_is_an_error_and_uses_no_retry() {
    // One worker, busy for 20 ms; the second query has 10 ms.
    let pool = Pool::new(1, |_, _| Fate::Answers(SERVICE));
    let code = Arc::new(Replication::new(1, 0).unwrap());
    let engine = Engine::builder(code, pool.clone()).build().unwrap();
    let hasty = Query {
        timeout: Some(SERVICE / 2),
        ..query(2.0)
    };
    // Its own timer runs at the same time as the worker's; both orders must end so.
    for wait in [SERVICE / 2, SERVICE] {
        let hasty = Query {
            timeout: Some(wait),
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
    assert_eq!(engine.active_groups(), 0);
}

#[tokio::test(start_paused = true)]
async fn coded_queries_of_disconnected_clients_are_not_computed() {
    // Every task of these four workers takes a second; ten groups are sent, and all clients go at once:
    // because their time is over, or for no known reason.
    for timeout in [Some(Duration::from_millis(500)), None] {
        let pool = Pool::new(4, |_, _| Fate::Answers(Duration::from_secs(1)));
        let code = Arc::new(Interpolation::new(3, 4, 1, Smoother::Berrut).unwrap());
        let engine = Engine::builder(code, pool.clone())
            .max_queue_len(1000)
            .build()
            .unwrap();
        let tasks: Vec<_> = (0..30_u8)
            .map(|i| {
                let engine = engine.clone();
                let query = Query {
                    timeout,
                    ..query(f32::from(i))
                };
                tokio::spawn(async move { engine.predict(query).await })
            })
            .collect();
        sleep(Duration::from_millis(600)).await;
        tasks.iter().for_each(tokio::task::JoinHandle::abort);
        settle().await;
        assert_eq!(engine.active_groups(), 0);
        // The first group was begun, and none after that.
        assert_eq!(engine.statistics().tasks, 4);
    }
}

#[tokio::test(start_paused = true)]
async fn the_longest_patience_and_delay_are_for_ever() {
    let pool = Pool::new(5, |_, _| Fate::Answers(SERVICE));
    let engine = Engine::builder(parity(3), pool)
        .policy(ReconstructionPolicy::AfterDelay(Duration::MAX))
        .build()
        .unwrap();
    let patient = Query {
        timeout: Some(Duration::MAX),
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
        .max_batch_delay(Duration::from_secs(3600))
        .build()
        .unwrap();
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
    let engine = Engine::builder(code, pool)
        .max_queue_len(10)
        .build()
        .unwrap();
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
    assert_eq!((engine.active_groups(), engine.queue_len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_done_for_groups_whose_clients_have_gone() {
    // Two busy workers; four queries of two groups wait when all clients go.
    let pool = Pool::new(2, |_, _| Fate::Answers(Duration::from_secs(1)));
    let engine = Engine::builder(parity(2), pool).build().unwrap();
    let hasty = |i: u8| Query {
        timeout: Some(Duration::from_secs(100)),
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
    assert_eq!(
        (counted.tasks, engine.active_groups()),
        (2, 0),
        "{counted:?}"
    );
    assert_eq!(counted.abandoned, 6);
}

#[test]
fn settings_outside_their_ranges_are_errors() {
    let builder = || Engine::builder(parity(2), Pool::new(3, |_, _| Fate::Fails));
    let quantile = ReconstructionPolicy::AfterQuantile;
    for (setting, builder) in [
        ("retry_budget", builder().retry_budget(f64::NAN)),
        ("retry_budget", builder().retry_budget(f64::INFINITY)),
        ("retry_budget", builder().retry_budget(-0.1)),
        ("retry_budget", builder().retry_budget(3.1)),
        ("min_margin", builder().min_margin(f32::NAN)),
        ("min_margin", builder().min_margin(f32::INFINITY)),
        ("min_margin", builder().min_margin(-1.0)),
        ("policy", builder().policy(quantile(f64::NAN))),
        ("policy", builder().policy(quantile(1.5))),
        ("max_queue_len", builder().max_queue_len(0)),
    ] {
        let error = builder.build().err().unwrap();
        assert_eq!(error.setting, setting, "{error}");
    }
    let limits = builder().retry_budget(3.0).policy(quantile(1.0));
    assert!(limits.max_queue_len(1).build().is_ok());
}
