//! What is wrong in a call is said by name, and before the query runs where that can be known.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, Int64Array};
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;
use septet_sketch::SketchError;

use crate::tables::{add_table, query, session, u64_column};

fn table() -> SessionContext {
    let context = session(2);
    let weights = Arc::new(Int64Array::from(vec![Some(1), Some(-3), None])) as ArrayRef;
    let numbers = Arc::new(Float64Array::from(vec![0.5, 1.5, 2.5])) as ArrayRef;
    let columns = [
        ("k", u64_column(&[1, 2, 3])),
        ("w", weights),
        ("x", numbers),
    ];
    add_table(&context, "t", &columns);
    context
}

/// The error of planning a query, without running it.
async fn planning_error(context: &SessionContext, sql: &str) -> DataFusionError {
    let plan = match context.sql(sql).await {
        Ok(frame) => frame.create_physical_plan().await,
        Err(error) => Err(error),
    };
    plan.expect_err(sql)
}

/// The error of the sketches under an error of a query.
fn sketch_error(error: &DataFusionError) -> Option<&SketchError> {
    match error.find_root() {
        DataFusionError::External(source) => source.downcast_ref(),
        _ => None,
    }
}

#[tokio::test]
async fn wrong_arguments_are_found_when_planning() {
    let context = table();
    for (call, expected) in [
        (
            "cms_agg(k, 0, 0.9)",
            "cms_agg: epsilon: expected a number above 0 and below 1, found 0",
        ),
        (
            "cms_agg(k, 0.1, 1)",
            "cms_agg: confidence: expected a number above 0 and below 1, found 1",
        ),
        (
            "cms_agg(k, 0.1, 0.99999999)",
            "cms_agg: confidence: expected at most 0.99999989",
        ),
        (
            "cms_agg(k, 1e-12, 0.9)",
            "cms_agg: epsilon: expected one for which the sketch fits into 1 GiB",
        ),
        (
            "cms_agg(k, x, 0.9)",
            "cms_agg: epsilon: expected a constant",
        ),
        (
            "cms_agg(k, NULL, 0.9)",
            "cms_agg: epsilon: expected a constant, found NULL",
        ),
        (
            "cms_agg(k, 'a', 0.9)",
            "cms_agg: epsilon: expected a number, found Utf8",
        ),
        (
            "cms_agg(k, 0.1, 0.9, -1)",
            "cms_agg: seed: expected an integer from 0 to",
        ),
        (
            "cms_agg(k, 0.1, 0.9, 0.5)",
            "cms_agg: seed: expected an integer, found Float64",
        ),
        (
            "cms_agg(k, 0.1)",
            "cms_agg: expected cms_agg(key, epsilon, confidence[, seed]), found 2 arguments",
        ),
        (
            "cms_agg(x, 0.1, 0.9)",
            "cms_agg: key: expected an integer, a string or binary, found Float64",
        ),
        (
            "cms_agg(DISTINCT k, 0.1, 0.9)",
            "cms_agg: DISTINCT is not supported",
        ),
        (
            "cms_agg_weighted(k, x, 0.1, 0.9)",
            "cms_agg_weighted: weight: expected an integer, found Float64",
        ),
        (
            "cms_agg_weighted(k, w, 2, 0.9)",
            "cms_agg_weighted: epsilon: expected a number above 0",
        ),
        (
            "cms_merge(k)",
            "cms_merge: sketch: expected a stored sketch (binary), found UInt64",
        ),
        (
            "cms_estimate(k, 1)",
            "cms_estimate: sketch: expected a stored sketch (binary), found UInt64",
        ),
        (
            "cms_estimate(arrow_cast('', 'Binary'), 1.5)",
            "cms_estimate: key: expected an integer",
        ),
        (
            "cms_total('a')",
            "cms_total: sketch: expected a stored sketch",
        ),
        (
            "approx_top_k(k, 0)",
            "approx_top_k: k: expected an integer from 1 to 1000000, found 0",
        ),
        (
            "approx_top_k(k, 10, 9)",
            "approx_top_k: counters: expected an integer from 10 to 1000000, found 9",
        ),
        ("approx_top_k(k, k)", "approx_top_k: k: expected a constant"),
        (
            "approx_top_k(DISTINCT k, 3)",
            "approx_top_k: DISTINCT is not supported",
        ),
        (
            "approx_top_k(x, 3)",
            "approx_top_k: key: expected an integer, a string or binary, found Float64",
        ),
    ] {
        let error = planning_error(&context, &format!("SELECT {call} FROM t"))
            .await
            .to_string();
        assert!(error.contains(expected), "{call}: {error}");
    }
}

#[tokio::test]
async fn negative_weights_are_refused() {
    let context = table();
    for function in [
        "cms_agg_weighted(k, w, 0.1, 0.9)",
        "approx_top_k_weighted(k, w, 3)",
    ] {
        let error = query(&context, &format!("SELECT {function} FROM t")).await;
        let error = error.expect_err("a negative weight").to_string();
        assert!(
            error.contains("weight: expected 0 or more, found -3"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn sketches_that_do_not_fit_together_are_named() {
    let context = table();
    for (other, field) in [
        ("cms_agg(k, 0.2, 0.9)", "width"),
        ("cms_agg(k, 0.1, 0.999)", "depth"),
        ("cms_agg(k, 0.1, 0.9, 7)", "seed"),
    ] {
        let sql = format!(
            "SELECT cms_merge(s) FROM \
             (SELECT cms_agg(k, 0.1, 0.9) AS s FROM t UNION ALL SELECT {other} FROM t)"
        );
        let error = query(&context, &sql).await.expect_err("they differ");
        let Some(SketchError::Incompatible { field: found, .. }) = sketch_error(&error) else {
            panic!("{error}");
        };
        assert_eq!(*found, field);
        assert!(error.to_string().contains("cms_merge: sketch"), "{error}");
    }
}

#[tokio::test]
async fn malformed_sketches_are_refused() {
    let context = table();
    let sql = "CREATE TABLE stored AS SELECT cms_agg(k, 0.1, 0.9) AS s FROM t";
    query(&context, sql).await.expect(sql);
    for bytes in [
        "arrow_cast('not a sketch', 'Binary')",
        "arrow_cast('', 'Binary')",
    ] {
        for call in [
            "cms_merge(b)",
            "cms_estimate(b, 1)",
            "cms_total(b)",
            "cms_info(b)",
        ] {
            let sql = format!("SELECT {call} FROM (SELECT {bytes} AS b FROM t)");
            let error = query(&context, &sql).await.expect_err("no sketch");
            assert!(
                matches!(sketch_error(&error), Some(SketchError::Decode { .. })),
                "{sql}: {error}"
            );
            assert!(error.to_string().contains(": sketch"), "{error}");
        }
    }
}
