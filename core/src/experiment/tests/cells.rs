//! Cells: when they are computed, what is kept of them, how they are looked up.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use rand_chacha::rand_core::RngCore as _;

use super::super::*;
use super::{Place, claim};
use crate::cli::Exit;

#[test]
fn finished_cells_are_not_computed_again() {
    let worked = AtomicUsize::new(0);
    let count = || worked.swap(0, Ordering::Relaxed);
    let version = AtomicUsize::new(1);
    let experiment = |cx: &mut Context| {
        let version = version.load(Ordering::Relaxed) as u32;
        let grid = cx.grid("squares", [3_u32, 1, 2]).version(version);
        let squares: Vec<f64> = grid
            .run(|&number, _| {
                worked.fetch_add(1, Ordering::Relaxed);
                Ok(f64::from(number * number) / 7.0)
            })?
            .into_firsts();
        assert_eq!(squares, [9.0 / 7.0, 1.0 / 7.0, 4.0 / 7.0], "in order");
        Ok(())
    };
    let place = Place::new();
    place.run(&[], experiment);
    assert_eq!(count(), 3);
    let first = place.report();
    place.run(&[], experiment);
    assert_eq!(count(), 0, "resumed");
    assert_eq!(
        place.report().without_timing().to_json(),
        first.without_timing().to_json()
    );

    place.run(&["--seed", "2"], experiment);
    assert_eq!(count(), 3, "another seed");
    place.run(&["--profile", "full"], experiment);
    assert_eq!(count(), 3, "another profile");
    place.run(&["--fresh"], experiment);
    assert_eq!(count(), 3, "fresh");

    version.store(2, Ordering::Relaxed);
    place.run(&[], experiment);
    assert_eq!(count(), 3, "another version of the work");
    version.store(1, Ordering::Relaxed);

    // A damaged file is as good as none.
    fs::write(place.folder().join(&first.cells[1].file), "{\"key\":").unwrap();
    place.run(&[], experiment);
    assert_eq!(count(), 1, "damaged");
}

#[test]
fn a_fresh_run_of_some_claims_leaves_the_cells_of_the_others() {
    let computed = std::sync::Mutex::new(Vec::new());
    let experiment = |cx: &mut Context| {
        for id in ["Q1", "Q2"] {
            if cx.selects(id) {
                cx.grid(id, [1]).run(|_, _| {
                    computed.lock().unwrap().push(id);
                    Ok(())
                })?;
                claim(cx, id, 0.0);
            }
        }
        Ok(())
    };
    let place = Place::new();
    place.run(&[], experiment);
    place.run(&["--fresh", "--claims", "Q1"], experiment);
    place.run(&[], experiment);
    assert_eq!(*computed.lock().unwrap(), ["Q1", "Q2", "Q1"]);
}

#[test]
fn cells_of_another_build_are_used_and_said_to_be() {
    let place = Place::new();
    let experiment = |cx: &mut Context| {
        cx.grid("steps", [1, 2]).run(|&step, _| Ok(step))?;
        Ok(())
    };
    let (_, out) = place.run(&[], experiment);
    assert!(!out.contains("another build"), "{out}");
    let cells = place.report().cells;
    let file = place.folder().join(&cells[0].file);
    let mut stored: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    stored["program"] = "0".into();
    fs::write(&file, stored.to_string()).unwrap();

    let (_, out) = place.run(&[], experiment);
    assert!(
        out.contains("1 of 2 cells were computed by another build"),
        "{out}"
    );
    assert!(place.report().cells[0].other_build);
    assert!(!place.report().cells[0].is_new);
    let (_, out) = place.run(&["--fresh"], experiment);
    assert!(!out.contains("another build"), "{out}");
}

#[test]
fn the_scratch_folder_of_a_cell_survives_a_failure_and_goes_when_it_is_finished() {
    let place = Place::new();
    let folder = std::sync::Mutex::new(PathBuf::new());
    let experiment = |cx: &mut Context| {
        let grid = cx.grid("training", [1]).run(|_, cell| {
            let scratch = cell.scratch()?;
            *folder.lock().unwrap() = scratch.clone();
            let file = scratch.join("steps");
            let done = fs::read_to_string(&file).unwrap_or_default();
            fs::write(&file, format!("{done}."))?;
            if done.len() < 2 {
                return Err(ExperimentError::new("stopped"));
            }
            Ok(done.len())
        })?;
        assert_eq!(*grid.get(&1)?, 2);
        Ok(())
    };
    assert_eq!(place.run(&[], experiment).0, Exit::Internal);
    assert_eq!(place.run(&[], experiment).0, Exit::Internal);
    assert!(folder.lock().unwrap().exists());
    assert_eq!(place.run(&[], experiment).0, Exit::Success);
    assert!(!folder.lock().unwrap().exists());
}

#[cfg(unix)]
#[test]
fn a_cell_can_be_a_child_process() {
    use std::process::Command;
    let (exit, _) = Place::new().run(&[], |cx| {
        let grid = cx
            .grid("child", ["echo", "fail", "lie"])
            .run(|&what, cell| {
                let mut shell = Command::new("sh");
                shell.arg("-c").arg(match what {
                    "echo" => r#"test -d "$SEPTET_SCRATCH" && echo "[\"$SEPTET_SEED\"]""#,
                    "fail" => "echo no luck >&2; exit 3",
                    _ => "echo nonsense",
                });
                let result: Result<[String; 1], _> = cell.run(&mut shell);
                Ok(result.map_or_else(|error| error.to_string(), |[seed]| seed))
            })?;
        assert!(grid.get(&"echo")?.parse::<u32>().is_ok());
        let failed = grid.get(&"fail")?;
        assert!(
            failed.contains("exit status: 3") && failed.contains("no luck"),
            "{failed}"
        );
        let lied = grid.get(&"lie")?;
        assert!(
            lied.starts_with("reading what `sh` printed: expected"),
            "{lied}"
        );
        Ok(())
    });
    assert_eq!(exit, Exit::Success);
}

#[test]
fn cells_before_a_failure_are_kept() {
    let worked = AtomicUsize::new(0);
    let place = Place::new();
    let experiment = |fails: bool| {
        let worked = &worked;
        move |cx: &mut Context| {
            for step in [0, 1, 2, 3] {
                cx.grid("steps", [step]).run(|&step, _| {
                    if fails && step == 2 {
                        return Err(ExperimentError::new("the second step failed"));
                    }
                    worked.fetch_add(1, Ordering::Relaxed);
                    Ok(step)
                })?;
            }
            Ok(())
        }
    };
    assert_eq!(place.run(&[], experiment(true)).0, Exit::Internal);
    assert_eq!(worked.swap(0, Ordering::Relaxed), 2);
    assert_eq!(place.run(&[], experiment(false)).0, Exit::Success);
    assert_eq!(worked.swap(0, Ordering::Relaxed), 2);
}

#[test]
fn cells_that_json_cannot_keep_are_errors() {
    type Cells = fn(&mut Context) -> Result<(), ExperimentError>;
    let cases: [(Cells, &str); 2] = [
        (
            |cx| cx.grid("twins", [1, 1]).run(|_, _| Ok(())).map(drop),
            "two cells of twins have the parameters 1",
        ),
        (
            |cx| cx.grid("numbers", [1]).run(|_, _| Ok(f64::NAN)).map(drop),
            "cell numbers 1: invalid type: null, expected f64",
        ),
    ];
    for (cells, expected) in cases {
        let (exit, _) = Place::new().run(&[], |cx| {
            let error = cells(cx).unwrap_err();
            assert_eq!(error.to_string(), expected);
            Ok(())
        });
        assert_eq!(exit, Exit::Success);
    }
}

#[test]
fn a_grid_is_looked_up_by_parameters_and_seeds() {
    let (exit, _) = Place::new().run(&[], |cx| {
        let grid = cx.grid("powers", [2_u32, 3]).seeds(4).run(|&base, cell| {
            Ok((
                base.pow(cell.seed_index() as u32),
                cell.seed().rng().next_u32(),
            ))
        })?;
        let powers: Vec<u32> = grid.by_seed(&3)?.iter().map(|cell| cell.0).collect();
        assert_eq!(powers, [1, 3, 9, 27]);
        assert_eq!(grid.get(&2)?.0, 1);
        assert_eq!(grid.iter().len(), 2);
        let mean = grid.over_seeds(&2, "seeds", "", |cell| f64::from(cell.0))?;
        assert_eq!(mean.value, 3.75);
        assert!(matches!(mean.certainty, Certainty::Confidence { n: 4, .. }));
        let mut draws: Vec<u32> = grid.iter().flatten().map(|cell| cell.1).collect();
        draws.sort_unstable();
        draws.dedup();
        assert_eq!(draws.len(), 8, "every cell has its own seed");
        let error = grid.get(&5).unwrap_err();
        assert_eq!(error.to_string(), "no cell of powers has the parameters 5");
        Ok(())
    });
    assert_eq!(exit, Exit::Success);
}
