//! Tests that are valid under manipulation, as Python sees them.

use ::septet_robust_stats::aggregate::checked_total;
use ::septet_robust_stats::testing::{
    IdentityTest, ShiftReport, TestReport, independence, two_sample,
};
use ::septet_robust_stats::{Gamma, Pmf};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::arrays::{Integers, numbers, test_seed};
use crate::design::Design;
use crate::wrong;

/// The result of an identity test.
#[pyclass(frozen, get_all, module = "septet_robust_stats")]
pub(crate) struct IdentityTestResult {
    /// The total variation between frequencies and reference.
    statistic: f64,
    /// Its minimum over all data that differ by at most the assumed number of manipulated samples.
    min_statistic: f64,
    /// The p-value, valid without manipulation.
    p_value: f64,
    /// The p-value, valid under any manipulation of a fraction `gamma` of the samples.
    robust_p_value: f64,
    /// The maximum fraction of manipulated samples with which the test still rejects at `level`; None if
    /// it does not reject even without manipulation.
    gamma_star: Option<f64>,
}

#[pymethods]
impl IdentityTestResult {
    fn __repr__(&self) -> String {
        let star = self
            .gamma_star
            .map_or_else(|| "None".to_owned(), |star| format!("{star:.4}"));
        let (plain, robust) = (self.p_value, self.robust_p_value);
        format!("IdentityTestResult(p_value={plain}, robust_p_value={robust}, gamma_star={star})")
    }
}

impl From<TestReport> for IdentityTestResult {
    fn from(report: TestReport) -> Self {
        Self {
            statistic: report.statistic,
            min_statistic: report.min_statistic,
            p_value: report.p_value,
            robust_p_value: report.robust_p_value,
            gamma_star: report.gamma_star,
        }
    }
}

/// The result of a permutation test that is shifted by its sensitivity to manipulation.
#[pyclass(frozen, get_all, module = "septet_robust_stats")]
pub(crate) struct ShiftTestResult {
    /// The statistic: a total variation.
    statistic: f64,
    /// The shift: what manipulated samples change at most, of the statistic and of its permutations.
    shift: f64,
    /// The p-value, valid without manipulation.
    p_value: f64,
    /// The p-value, valid under any manipulation of a fraction `gamma` of the samples.
    robust_p_value: f64,
}

#[pymethods]
impl ShiftTestResult {
    fn __repr__(&self) -> String {
        let (plain, robust) = (self.p_value, self.robust_p_value);
        format!("ShiftTestResult(p_value={plain}, robust_p_value={robust})")
    }
}

impl From<ShiftReport> for ShiftTestResult {
    fn from(report: ShiftReport) -> Self {
        Self {
            statistic: report.statistic,
            shift: report.shift,
            p_value: report.p_value,
            robust_p_value: report.robust_p_value,
        }
    }
}

/// Tests whether data follow a reference distribution.
///
/// Parameters
/// ----------
/// counts : array of int, shape (k,) or, with `design`, (groups, cells)
///     Numbers of samples by symbol, or of reports of a design.
/// reference : array of float, shape (k,), optional
///     Weights of the symbols, scaled to sum 1. Default: the uniform distribution.
/// gamma : float
///     The fraction of samples that may be manipulated, in [0, 0.5).
/// level : float
///     The significance level of `gamma_star`.
/// design : Design, optional
///     The design of the reports.
/// draws : int
///     Number of simulated data sets: p-values are multiples of 1 / (draws + 1).
/// seed : int
///     Seed of the simulation; equal arguments give equal results.
#[pyfunction]
#[pyo3(signature = (counts, reference=None, *, gamma=0.0, level=0.05, design=None, draws=999, seed=7))]
#[expect(clippy::too_many_arguments, reason = "keyword arguments with defaults")]
pub(crate) fn identity_test(
    py: Python<'_>,
    counts: &Bound<'_, PyAny>,
    reference: Option<&Bound<'_, PyAny>>,
    gamma: f64,
    level: f64,
    design: Option<&Bound<'_, Design>>,
    draws: usize,
    seed: u64,
) -> PyResult<IdentityTestResult> {
    let gamma = Gamma::new(gamma).map_err(wrong)?;
    let seed = test_seed(seed);
    let reference = reference
        .map(|weights| numbers(weights, "reference"))
        .transpose()?;
    let pmf = |symbols: usize| match &reference {
        Some(weights) => Pmf::from_weights(weights),
        None => Pmf::uniform(symbols),
    };
    let report = match design {
        Some(design) => {
            let design = design.get();
            let counts = design.count_matrix(counts)?;
            py.detach(|| {
                let table = &design.table;
                let sizes = (0..table.groups())
                    .map(|group| counts.group_reports(group))
                    .collect();
                let pmf = pmf(table.domain())?;
                let test = IdentityTest::distributed(table, &pmf, sizes, draws, &seed)?;
                test.run_groups(&counts, gamma, level)
            })
        }
        None => {
            let counts = Integers::read_vector(counts, "counts")?.counts("counts")?;
            py.detach(|| {
                let samples = checked_total(&counts)?;
                let test = IdentityTest::new(&pmf(counts.len())?, samples, draws, &seed)?;
                test.run(&counts, gamma, level)
            })
        }
    };
    report.map(Into::into).map_err(wrong)
}

/// Tests whether two samples come from one distribution.
///
/// `first` and `second` are arrays of counts by symbol, of shape (k,). `gamma` is the fraction of manipulated
/// samples among both together, `permutations` the number of random permutations, and `seed` theirs.
#[pyfunction]
#[pyo3(signature = (first, second, *, gamma=0.0, permutations=999, seed=7))]
pub(crate) fn two_sample_test(
    py: Python<'_>,
    first: &Bound<'_, PyAny>,
    second: &Bound<'_, PyAny>,
    gamma: f64,
    permutations: usize,
    seed: u64,
) -> PyResult<ShiftTestResult> {
    let gamma = Gamma::new(gamma).map_err(wrong)?;
    let first = Integers::read_vector(first, "first")?.counts("first")?;
    let second = Integers::read_vector(second, "second")?.counts("second")?;
    py.detach(|| {
        two_sample(
            &first,
            &second,
            gamma,
            permutations,
            &mut test_seed(seed).rng(),
        )
    })
    .map(Into::into)
    .map_err(wrong)
}

/// Tests whether the rows and columns of a contingency table are independent.
///
/// `table` is an array of counts of shape (rows, columns); the other parameters are those of
/// `two_sample_test`.
#[pyfunction]
#[pyo3(signature = (table, *, gamma=0.0, permutations=999, seed=7))]
pub(crate) fn independence_test(
    py: Python<'_>,
    table: &Bound<'_, PyAny>,
    gamma: f64,
    permutations: usize,
    seed: u64,
) -> PyResult<ShiftTestResult> {
    let gamma = Gamma::new(gamma).map_err(wrong)?;
    let table = Integers::read(table, "table")?;
    let &[_, columns] = table.shape() else {
        let found = table.shape().len();
        let message = format!("table: expected an array of 2 dimensions, found {found}");
        return Err(PyValueError::new_err(message));
    };
    let counts = table.counts("table")?;
    py.detach(|| {
        independence(
            &counts,
            columns,
            gamma,
            permutations,
            &mut test_seed(seed).rng(),
        )
    })
    .map(Into::into)
    .map_err(wrong)
}
