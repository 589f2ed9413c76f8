//! Generated flows, which are new in each window.

use std::thread;

use septet_core::experiment::{Context, ExperimentError, Profile, SeedTree};
use septet_sketch::SketchError;
use septet_sketch::oracle::FlowFeatures;
use septet_sketch::stream::{FlowWindow, HeteroFlows};

use super::entry::Window;
use super::oracle_scores::advise;
use super::results::{claim, run_all};
use super::workload::{Trial, Workload};
use super::{alone, oracle_kinds, others};

/// Bytes per flow at which the oracle is claimed to reduce the error.
const CLAIMED_BYTES_A_FLOW: [usize; 3] = [2, 4, 6];

pub(super) fn flows(cx: &mut Context) -> Result<(), ExperimentError> {
    let quick = cx.profile() == Profile::Quick;
    let (flows, worlds) = if quick { (49_152, 4) } else { (131_072, 6) };
    // From 8 flows per byte, where a model takes much of the budget, to several bytes per flow.
    let mut budgets = vec![flows / 8];
    if !quick {
        budgets.extend([flows / 2, flows]);
    }
    budgets.extend(CLAIMED_BYTES_A_FLOW.map(|bytes| bytes * flows));
    let oracle_kinds = oracle_kinds(cx.profile());
    let root = cx.seed().child("league of flows");
    // Worlds are the replicates: windows of one world follow the same law.
    let trial = |world: u64| -> Result<(Option<Window>, Trial), SketchError> {
        let seed = root.index(world);
        let flows_of = HeteroFlows::new(&seed);
        let [first, second, validation, test] =
            [0, 1, 2, 3].map(|number| flows_of.window(number, flows));
        // Two windows to learn from, one to set thresholds, one to test.
        let keys = [first.keys(), second.keys()].concat();
        let counts = [first.counts(), second.counts()].concat();
        let window = |window: &FlowWindow, seed: SeedTree| Window {
            counts: window.counts().to_vec(),
            stream: window.packets(&seed),
        };
        let trial = Trial {
            window_scores: advise(
                &oracle_kinds,
                &FlowFeatures::new(&[16])?,
                (&keys, &counts),
                validation.keys(),
                test.keys(),
            )?,
            test: window(&test, seed.child("test")),
        };
        // Settings are chosen once, in the first world, and hold for all.
        let validation = (world == 0).then(|| window(&validation, seed.child("validation")));
        Ok((validation, trial))
    };
    // Worlds are independent and slow to make: one thread each.
    let made: Vec<Result<_, SketchError>> = thread::scope(|scope| {
        let trial = &trial;
        let threads: Vec<_> = (0..worlds)
            .map(|world| scope.spawn(move || trial(world)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("worlds do not panic"))
            .collect()
    });
    let mut trials = Vec::new();
    let mut chosen_on = None;
    for made in made {
        let (validation, trial) = made?;
        chosen_on = chosen_on.or(validation);
        trials.push(trial);
    }
    let workload = Workload {
        title: format!("{flows} generated flows, packets shuffled, {worlds} worlds"),
        id: "flows",
        reads: None,
        of: "worlds",
        validation: chosen_on.ok_or_else(|| ExperimentError::new("no world"))?,
        trials,
        budgets,
        oracle_kinds,
        alone: alone(cx.profile()),
        others: others(cx.profile()),
        rounds: if quick { 1 } else { 2 },
    };
    let results = run_all(cx, &workload)?;
    let stream = "generated flows";
    claim(cx, &results, "F5.flows-8-flows-a-byte", flows / 8, stream);
    for bytes_a_flow in CLAIMED_BYTES_A_FLOW {
        let id = format!("F5.flows-{bytes_a_flow}-bytes-a-flow");
        claim(cx, &results, &id, bytes_a_flow * flows, stream);
    }
    Ok(())
}
