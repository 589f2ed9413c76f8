//! Estimates, as Python sees them.

use ::septet_robust_stats::decode;
use numpy::PyArray1;
use pyo3::prelude::*;

use crate::arrays::vector;

/// A bound on the total variation by which manipulated reports move an estimate, in two parts. It holds for
/// every adversary, in every run.
#[pyclass(frozen, get_all, module = "septet_robust_stats")]
pub(crate) struct ManipulationBound {
    /// The part proportional to the fraction of manipulated reports.
    manipulation: f64,
    /// The part by which noise lets manipulated reports move the estimate further; it falls as 1/sqrt(n).
    noise: f64,
    /// The bound: the sum of both parts, at most 1.
    total: f64,
}

#[pymethods]
impl ManipulationBound {
    fn __repr__(&self) -> String {
        let Self {
            manipulation,
            noise,
            total,
        } = self;
        format!(
            "ManipulationBound(manipulation={manipulation:.4}, noise={noise:.4}, total={total:.4})"
        )
    }
}

/// An estimated distribution with its errors. Distances are total variations: half the sum of absolute
/// differences.
#[pyclass(frozen, get_all, module = "septet_robust_stats")]
pub(crate) struct Estimate {
    /// The estimated masses of the symbols, float64 of shape (domain,), with sum 1.
    masses: Py<PyArray1<f64>>,
    /// The standard errors of the masses without manipulation, float64 of shape (domain,). Infinite if the
    /// groups with reports do not identify the distribution.
    standard_errors: Py<PyArray1<f64>>,
    /// The distance by which a fraction `gamma` of manipulated reports moves the estimate at most; None
    /// if the decoder did not converge or the design is too large to certify.
    manipulation_bound: Option<Py<ManipulationBound>>,
    /// With 95 % confidence the distance to the true distribution is at most this, with at most a fraction
    /// `gamma` of manipulated reports; None as `manipulation_bound`.
    error_bound: Option<f64>,
    /// With 95 % confidence at least this fraction of the reports was manipulated. 0 proves nothing.
    gamma_lower_bound: f64,
    /// The minimum fraction of reports that does not fit the estimate.
    residual: f64,
    /// Whether the decoder converged.
    converged: bool,
    /// Number of iterations of the decoder.
    iterations: usize,
}

impl Estimate {
    pub(crate) fn new(py: Python<'_>, estimate: decode::Estimate) -> PyResult<Self> {
        let bound = |bound: decode::ManipulationBound| {
            let parts = ManipulationBound {
                manipulation: bound.manipulation,
                noise: bound.noise,
                total: bound.total(),
            };
            Py::new(py, parts)
        };
        Ok(Self {
            masses: vector(py, estimate.masses),
            standard_errors: vector(py, estimate.standard_errors),
            manipulation_bound: estimate.manipulation_bound.map(bound).transpose()?,
            error_bound: estimate.error_bound,
            gamma_lower_bound: estimate.gamma_lower_bound,
            residual: estimate.residual,
            converged: estimate.convergence.converged,
            iterations: estimate.convergence.iterations,
        })
    }
}

#[pymethods]
impl Estimate {
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let domain = self.masses.bind(py).len()?;
        let bound = self
            .error_bound
            .map_or_else(|| "None".to_owned(), |bound| format!("{bound:.4}"));
        let (gamma, converged) = (
            self.gamma_lower_bound,
            if self.converged { "True" } else { "False" },
        );
        Ok(format!(
            "Estimate(domain={domain}, error_bound={bound}, gamma_lower_bound={gamma:.4}, converged={converged})"
        ))
    }
}
