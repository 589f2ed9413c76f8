//! A million requests in virtual time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use septet_coded_serving::Tensor;
use septet_coded_serving::code::{InvNet, MixedQueries};
use septet_coded_serving::engine::{Backend, BackendError, Call, Engine, Query};
use septet_coded_serving::load::{Arrivals, Delay, Outcome, Synthetic, open_loop};
use septet_core::seed::SeedTree;

/// Kilobytes that this process holds; none where the system does not tell.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Workers of which some tasks fail.
#[derive(Clone)]
struct Failing {
    pool: Synthetic,
    tasks: Arc<AtomicU64>,
}

impl Backend for Failing {
    fn workers(&self) -> usize {
        self.pool.workers()
    }

    fn serves(&self, worker: usize, model: &septet_coded_serving::code::Model) -> bool {
        self.pool.serves(worker, model)
    }

    async fn infer(&self, worker: usize, call: Call) -> Result<Tensor, BackendError> {
        let answer = self.pool.infer(worker, call).await?;
        // Two in a hundred, at places that follow no rhythm of the groups.
        let number = self.tasks.fetch_add(1, Ordering::Relaxed);
        if number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 57 < 3 {
            let reason = "crashed".to_owned();
            return Err(BackendError {
                worker,
                reason,
                refused: false,
            });
        }
        Ok(answer)
    }
}

#[tokio::test(start_paused = true)]
async fn a_million_requests_leave_nothing_behind() {
    let seed = SeedTree::new(1);
    let service = Delay::log_normal(Duration::from_millis(20), 0.1)
        .unwrap()
        .with_stragglers(0.05, Duration::from_millis(100))
        .unwrap();
    let pool = Failing {
        pool: Synthetic::new(40, service, &seed),
        tasks: Arc::default(),
    };
    let code = Arc::new(InvNet::new(10, 1, MixedQueries).unwrap());
    let engine = Engine::builder(code, pool)
        .max_batch_delay(Duration::from_millis(50))
        .failure_cooldown(Duration::from_millis(10))
        .build()
        .unwrap();
    let mut held = Vec::new();
    let mut sent = 0;
    for part in 0..10 {
        let of_part = engine.clone();
        let arrivals = Arrivals::poisson(800.0).unwrap();
        let summary = open_loop(100_000, arrivals, &seed.index(part), move |number| {
            let engine = of_part.clone();
            let mut query = Query::new(Tensor::vector(vec![number as f32, 1.0]));
            // Some clients leave before they have an answer.
            query.timeout = (number % 50 == 0).then(|| Duration::from_millis(15));
            async move { Outcome::from(&engine.predict(query).await) }
        })
        .await;
        sent += summary.sent();
        assert_eq!(summary.sent(), 100_000);
        assert!(summary.failed < 2_200 + 100, "{summary:?}");
        held.push(resident());
    }
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(sent, 1_000_000);
    assert_eq!(engine.active_groups(), 0);
    assert_eq!(engine.queue_len(), 0);
    let counted = engine.statistics();
    let ended = counted.direct + counted.reconstructed + counted.lost + counted.abandoned;
    assert_eq!(counted.accepted + counted.rejected, 1_000_000);
    assert_eq!(counted.accepted, ended, "{counted:?}");
    // From the second part on nothing more is held: five per cent, and a megabyte for the allocator.
    if let (Some(early), Some(late)) = (held[1], held[9]) {
        assert!(late <= early + early / 20 + 1024, "{held:?} kB");
    }
}
