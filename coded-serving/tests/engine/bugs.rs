//! Backends, codes and queries that are broken.

use super::*;

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
    let engine = Engine::builder(code, Panicking).build().unwrap();
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
    assert_eq!((engine.active_groups(), engine.busy_workers()), (0, 0));
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
        let engine = Engine::builder(Arc::new(code), pool).build().unwrap();
        let answers = all(&engine, (0..8).map(|i| query(i as f32)).collect()).await;
        for answer in answers {
            let provenance = answer.unwrap().provenance;
            assert!(matches!(provenance, Provenance::Direct { .. }));
        }
        settle().await;
        assert_eq!((engine.active_groups(), engine.busy_workers()), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_huge_query_is_refused_and_its_group_is_not() {
    for code in [
        parity(3),
        Arc::new(Interpolation::new(3, 4, 1, Smoother::Berrut).unwrap()),
    ] {
        let engine = Engine::builder(code, Pool::new(5, |_, _| Fate::Answers(SERVICE)))
            .build()
            .unwrap();
        let queries = [1.0, 3e38, 2.0, 3.0].map(query);
        let answers = all(&engine, queries.to_vec()).await;
        assert!(matches!(answers[1], Err(ServeError::InvalidInput(_))));
        for place in [0, 2, 3] {
            assert!(answers[place].is_ok(), "{:?}", answers[place]);
        }
        settle().await;
        assert_eq!(engine.statistics().coding_failures, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn undecodable_groups_are_retried() {
    let code = Broken(InvNet::new(3, 1, MixedQueries).unwrap(), true);
    let pool = Pool::new(6, |worker, _| {
        if worker == 0 {
            Fate::Fails
        } else {
            Fate::Answers(SERVICE)
        }
    });
    let engine = Engine::builder(Arc::new(code), pool).build().unwrap();
    let answers = all(&engine, (0..3).map(|i| query(i as f32)).collect()).await;
    for answer in answers {
        assert!(matches!(
            answer.unwrap().provenance,
            Provenance::Direct { .. }
        ));
    }
    let counted = engine.statistics();
    assert_eq!((counted.retries, counted.lost), (1, 0), "{counted:?}");
    assert_eq!(counted.coding_failures, 1);
}
