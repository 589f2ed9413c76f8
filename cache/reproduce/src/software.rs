//! Beyond the paper: the combiner on traces of software caches, and miss-ratio curves.

use septet_cache::miss_ratio_curve::LruCurve;
use septet_cache::predict::{ReuseTable, predictions};
use septet_cache::trace::{self, ReadOptions, Trace, TraceFormat};
use septet_cache::{PolicySpec, SeedTree};
use septet_core::experiment::{
    Column, Context, DataSet, ExperimentError, Figure, Series, Table, Value,
};
use serde::{Deserialize, Serialize};

const POLICIES: [&str; 16] = [
    "Belady",
    "LRU",
    "FIFO",
    "CLOCK",
    "SIEVE",
    "S3FIFO",
    "2Q",
    "SLRU",
    "ARC",
    "LIRS",
    "WTinyLFU",
    "LeCaR",
    "Marker",
    "FtP",
    "D(FtP, S3FIFO)",
    "D(S3FIFO, LIRS, LRU)",
];

/// A trace, where it lies, and the capacities it is run with.
struct Source {
    set: &'static str,
    file: &'static str,
    name: &'static str,
    format: TraceFormat,
    capacities: &'static [u64],
}

const SOURCES: [Source; 7] = [
    Source {
        set: "cache-lirs",
        file: "gli.trace.gz",
        name: "glimpse",
        format: TraceFormat::Lirs,
        capacities: &[500, 1_000],
    },
    Source {
        set: "cache-lirs",
        file: "multi3.trace.gz",
        name: "multi3",
        format: TraceFormat::Lirs,
        capacities: &[500, 2_000],
    },
    Source {
        set: "cache-lirs",
        file: "sprite.trace.gz",
        name: "sprite",
        format: TraceFormat::Lirs,
        capacities: &[500, 1_000],
    },
    Source {
        set: "cache-lirs",
        file: "2_pools.trace.gz",
        name: "2_pools",
        format: TraceFormat::Lirs,
        capacities: &[100, 450],
    },
    Source {
        set: "cache-arc",
        file: "OLTP.lis.zst",
        name: "OLTP",
        format: TraceFormat::Arc,
        capacities: &[1_000, 5_000, 15_000],
    },
    Source {
        set: "cache-arc",
        file: "P3.lis.zst",
        name: "P3",
        format: TraceFormat::Arc,
        capacities: &[20_000, 80_000],
    },
    Source {
        set: "cache-cloudphysics",
        file: "w106.trace.xz",
        name: "w106",
        format: TraceFormat::CloudPhysics,
        capacities: &[10_000, 50_000],
    },
];

#[derive(Serialize)]
struct Job {
    trace: &'static str,
    capacity: u64,
    policy: &'static str,
}

#[derive(Serialize, Deserialize)]
struct MissRatio {
    miss_ratio: f64,
}

pub(crate) fn run(cx: &mut Context) -> Result<(), ExperimentError> {
    if !cx.selects("software caches") {
        return Ok(());
    }
    let mut columns = vec![
        Column::text("Trace"),
        Column::integer("Requests"),
        Column::integer("Capacity"),
    ];
    columns.extend(POLICIES.map(|policy| Column::number(policy, 4)));
    let mut table = Table::new("Miss ratios on traces of software caches", columns).note(
        "Unit sizes. FtP follows an online predictor of reuse distances; one seed. Beyond the \
         paper: no claim is judged.",
    );
    for source in &SOURCES {
        let Some(set) = cx.data(source.set) else {
            continue;
        };
        let trace = load(&set, source)?;
        rows(cx, source, &trace, &mut table)?;
        if source.name == "OLTP" || source.name == "P3" {
            let figure = curve(source, &trace);
            cx.figure(figure);
        }
    }
    cx.table(table);
    Ok(())
}

fn load(set: &DataSet, source: &Source) -> Result<Trace, ExperimentError> {
    let reader = trace::open(
        &set.path(source.file)?,
        source.format,
        &ReadOptions::default(),
    )?;
    let mut trace = Trace::from_records(reader)?;
    trace.ignore_sizes();
    trace.annotate();
    let column = predictions(&mut ReuseTable::new(16, 1 << 20), &trace);
    trace.set_predictions(column)?;
    Ok(trace)
}

fn rows(
    cx: &mut Context,
    source: &Source,
    trace: &Trace,
    table: &mut Table,
) -> Result<(), ExperimentError> {
    // One grid for each trace, which is loaded once for all capacities and policies.
    let jobs: Vec<Job> = source
        .capacities
        .iter()
        .flat_map(|&capacity| {
            POLICIES.map(|policy| Job {
                trace: source.name,
                capacity,
                policy,
            })
        })
        .collect();
    let grid = cx
        .grid(&format!("software cache, {}", source.name), jobs)
        .version(2)
        .reads([source.set])
        .run(|job, cell| miss_ratio(job, trace, cell.seed()))?;
    // A row for each capacity, in the order of the columns; the job is the key of its result.
    for &capacity in source.capacities {
        let mut row = vec![
            Value::from(source.name),
            Value::from(trace.len() as u64),
            Value::from(capacity),
        ];
        for policy in POLICIES {
            let job = Job {
                trace: source.name,
                capacity,
                policy,
            };
            row.push(Value::from(grid.get(&job)?.miss_ratio));
        }
        table.push(row);
    }
    Ok(())
}

fn miss_ratio(job: &Job, trace: &Trace, seed: &SeedTree) -> Result<MissRatio, ExperimentError> {
    let spec: PolicySpec = job.policy.parse()?;
    let tally = spec.build(job.capacity, seed)?.replay(trace)?;
    Ok(MissRatio {
        miss_ratio: tally.miss_ratio(),
    })
}

fn curve(source: &Source, trace: &Trace) -> Figure {
    let curve = LruCurve::new(trace);
    let pages = trace.page_count() as f64;
    let points = (0..=24).map(|step| {
        let capacity = (pages * 0.001_f64.powf(1.0 - f64::from(step) / 24.0)).max(1.0);
        (capacity, curve.miss_ratio(capacity as u64))
    });
    Figure::new(
        format!("lru-curve-{}", source.name.to_lowercase()),
        format!(
            "Miss ratio of LRU on {} by capacity, from one pass",
            source.name
        ),
        "capacity (pages)",
        "miss ratio",
    )
    .log_x()
    .series(Series::new("LRU").points(points))
}
