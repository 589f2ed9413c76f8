//! The planner, as Python sees it: a plan is a dictionary, with the fields of the crate's.

use ::septet_robust_stats::planner::{self, Constraint, Feasibility, Request, Task};
use ::septet_robust_stats::{Epsilon, Gamma};
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use serde_json::Value;

use crate::wrong;

/// Plans a deployment: the number of clients that reaches a target, or that no number does.
///
/// Parameters
/// ----------
/// domain : int
///     Number of symbols.
/// gamma : float
///     The fraction of reports that may be manipulated, in [0, 0.5).
/// target : float
///     The total variation, in (0, 1): the mean error of an estimate, or the distance that a test detects.
/// bits : int, optional
///     Bits of a report. Without `bits` and `epsilon` a report is a symbol in the clear.
/// epsilon : float, optional
///     Privacy parameter of a report; the number of cells is optimized.
/// power : float, optional
///     Plans a test of uniformity with this power and the significance level `level`, not an estimate.
///
/// Returns a dict. `feasible` says whether a number of clients reaches the target: with it come `users`,
/// `groups`, `cells`, `predicted_error`, `manipulation_floor` and others, without it `manipulation_floor`, the
/// error from manipulation alone.
#[pyfunction]
#[pyo3(signature = (domain, *, gamma, target, bits=None, epsilon=None, power=None, level=0.05))]
#[expect(clippy::too_many_arguments, reason = "keyword arguments with defaults")]
pub(crate) fn plan<'py>(
    py: Python<'py>,
    domain: usize,
    gamma: f64,
    target: f64,
    bits: Option<u32>,
    epsilon: Option<f64>,
    power: Option<f64>,
    level: f64,
) -> PyResult<Bound<'py, PyDict>> {
    let constraint = match (bits, epsilon) {
        (Some(_), Some(_)) => {
            let message = "bits and epsilon: expected one of them, found both";
            return Err(PyValueError::new_err(message));
        }
        (Some(bits), None) => Constraint::Bits(bits),
        (None, Some(epsilon)) => Constraint::Private(Epsilon::new(epsilon).map_err(wrong)?),
        (None, None) => Constraint::Central,
    };
    let request = Request {
        task: power.map_or(Task::Learning, |power| Task::Testing { level, power }),
        symbols: domain,
        constraint,
        gamma: Gamma::new(gamma).map_err(wrong)?,
        target,
    };
    let dict = PyDict::new(py);
    match py.detach(|| planner::plan(&request)).map_err(wrong)? {
        Feasibility::Feasible(plan) => {
            dict.set_item("feasible", true)?;
            let value = serde_json::to_value(plan)
                .map_err(|error| PyValueError::new_err(error.to_string()))?;
            for (name, value) in value.as_object().into_iter().flatten() {
                dict.set_item(name, python(py, value)?)?;
            }
        }
        Feasibility::Infeasible { manipulation_floor } => {
            dict.set_item("feasible", false)?;
            dict.set_item("manipulation_floor", manipulation_floor)?;
        }
    }
    Ok(dict)
}

/// The Python object of a JSON value.
fn python<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    match value {
        Value::Null => Ok(py.None().into_bound(py)),
        Value::Bool(value) => value.into_bound_py_any(py),
        Value::Number(number) => match number.as_u64() {
            Some(integer) => integer.into_bound_py_any(py),
            None => number.as_f64().into_bound_py_any(py),
        },
        Value::String(text) => text.into_bound_py_any(py),
        Value::Array(values) => {
            let items: PyResult<Vec<_>> = values.iter().map(|value| python(py, value)).collect();
            Ok(PyList::new(py, items?)?.into_any())
        }
        Value::Object(fields) => {
            let dict = PyDict::new(py);
            for (name, value) in fields {
                dict.set_item(name, python(py, value)?)?;
            }
            Ok(dict.into_any())
        }
    }
}
