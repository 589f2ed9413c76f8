//! The server of a hash design, as Python sees it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use ::septet_robust_stats::aggregate::{DesignAggregator, DesignCounts, RejectReason};
use ::septet_robust_stats::design::{
    Assignment, Certificate, DesignParameters, DesignReport, DesignTag,
};
use ::septet_robust_stats::wire::{read_design_counts, write_design_counts};
use ::septet_robust_stats::{Gamma, RobustStatsError};
use numpy::{PyArray1, PyArray2};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::arrays::{Integers, Names, matrix, vector};
use crate::design::same_length;
use crate::estimate::Estimate;
use crate::wrong;

/// The server of a design: assigns clients to groups, counts their reports and estimates their distribution.
/// Made by `Design.server`. Methods may be called from several threads.
#[pyclass(frozen, module = "septet_robust_stats")]
pub(crate) struct DesignServer {
    parameters: DesignParameters,
    certificate: Option<Certificate>,
    key: [u8; 16],
    assignment: Assignment,
    /// Locked without the interpreter's lock only, hence without deadlocks.
    state: Mutex<State>,
}

struct State {
    tag: DesignTag,
    /// Reports with names: groups are checked, and repeated names rejected.
    named: DesignAggregator,
    /// Reports without names, and counts of other servers.
    unnamed: DesignCounts,
}

impl State {
    fn counts(&self) -> Result<DesignCounts, RobustStatsError> {
        let mut counts = self.named.counts().clone();
        counts.merge(&self.unnamed)?;
        Ok(counts)
    }

    /// Counts a report, or the reason of its rejection. Numbers beyond 32 bits are out of range too.
    fn push(&mut self, name: Option<&[u8]>, group: u64, cell: u64) -> Result<(), RejectReason> {
        let parameters = &self.unnamed.parameters;
        let in_range = group < parameters.groups() as u64 && cell < parameters.cells() as u64;
        if !in_range {
            self.unnamed.rejected.add(RejectReason::Range);
            return Err(RejectReason::Range);
        }
        let Some(name) = name else {
            self.unnamed.matrix.add(group as usize, cell as usize);
            return Ok(());
        };
        let report = DesignReport {
            design: self.tag,
            epoch: parameters.epoch(),
            group: group as u32,
            cell: cell as u32,
        };
        self.named.push(name, &report)
    }
}

impl DesignServer {
    pub(crate) fn new(
        parameters: DesignParameters,
        certificate: Option<Certificate>,
        key: [u8; 16],
    ) -> Result<Self, RobustStatsError> {
        let assignment = Assignment::new(key, &parameters);
        let state = State {
            tag: parameters.id().tag(),
            named: DesignAggregator::new(parameters, assignment)?.with_duplicate_detection(),
            unnamed: DesignCounts::new(parameters)?,
        };
        Ok(Self {
            parameters,
            certificate,
            key,
            assignment,
            state: Mutex::new(state),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_counts(&self, py: Python<'_>) -> PyResult<DesignCounts> {
        py.detach(|| self.lock().counts()).map_err(wrong)
    }
}

#[pymethods]
impl DesignServer {
    /// The secret key, 16 bytes: whoever restores a server from stored counts needs it.
    #[getter]
    fn key<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.key)
    }

    /// The groups of clients, a uint32 array of shape (n,).
    ///
    /// `names` is a sequence of bytes, str (in UTF-8) or int, or an array of integers. Integers from 0 are
    /// names of 8 bytes, little-endian.
    fn groups(&self, py: Python<'_>, names: &Bound<'_, PyAny>) -> PyResult<Py<PyArray1<u32>>> {
        let names = Names::read(names)?;
        let groups = py.detach(|| {
            let groups = names.iter().map(|name| self.assignment.group(name) as u32);
            groups.collect::<Vec<u32>>()
        });
        Ok(vector(py, groups))
    }

    /// Counts reports, and returns the number accepted. The others are counted in `rejections`.
    ///
    /// Parameters
    /// ----------
    /// groups : array of int, shape (n,)
    ///     The groups that the server assigned to the clients.
    /// reports : array of int, shape (n,)
    ///     Cells, as `Design.encode` returns them. Those out of range are rejected.
    /// names : sequence of n names, optional
    ///     The authenticated names of the clients, as for `groups`. With them a report for another group
    ///     than the assigned one and a second report of a client are rejected.
    #[pyo3(signature = (groups, reports, names=None))]
    fn aggregate(
        &self,
        py: Python<'_>,
        groups: &Bound<'_, PyAny>,
        reports: &Bound<'_, PyAny>,
        names: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<usize> {
        let groups = Integers::read_vector(groups, "groups")?.into_values();
        let cells = Integers::read_vector(reports, "reports")?.into_values();
        same_length(("groups", groups.len()), ("reports", cells.len()))?;
        let names = names.map(Names::read).transpose()?;
        if let Some(names) = &names {
            same_length(("groups", groups.len()), ("names", names.len()))?;
        }
        Ok(py.detach(|| {
            let mut state = self.lock();
            let reports = groups.into_iter().zip(cells);
            match &names {
                Some(names) => reports
                    .zip(names.iter())
                    .filter(|&((group, cell), name)| state.push(Some(name), group, cell).is_ok())
                    .count(),
                None => reports
                    .filter(|&(group, cell)| state.push(None, group, cell).is_ok())
                    .count(),
            }
        }))
    }

    /// Adds the reports of another server of the design, or of the bytes of `to_bytes`. Servers also unite
    /// the names that they have seen; a client counted by both stays counted twice.
    fn merge(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<()> {
        if let Ok(server) = other.cast::<Self>() {
            let other = server.get();
            return py
                .detach(|| {
                    // One lock at a time: two servers that merge each other do not wait forever.
                    let (named, unnamed) = {
                        let state = other.lock();
                        (state.named.clone(), state.unnamed.clone())
                    };
                    let mut state = self.lock();
                    state.unnamed.merge(&unnamed)?;
                    state.named.merge(&named)
                })
                .map_err(wrong);
        }
        let counts = read_design_counts(other.extract()?).map_err(wrong)?;
        py.detach(|| self.lock().unnamed.merge(&counts))
            .map_err(wrong)
    }

    /// The numbers of reports, a uint64 array of shape (groups, cells).
    fn counts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<u64>>> {
        let counts = self.read_counts(py)?.matrix;
        let shape = (counts.groups(), counts.cells());
        matrix(py, counts.counts().to_vec(), shape)
    }

    /// Serializes design, counts and rejections, for storage and merging; not the names seen. The program
    /// robust-stats reads the same format.
    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let counts = self.read_counts(py)?;
        Ok(PyBytes::new(py, &write_design_counts(&counts)))
    }

    /// Number of reports counted.
    #[getter]
    fn reports(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(self.read_counts(py)?.matrix.reports())
    }

    /// Number of reports rejected.
    #[getter]
    fn rejected(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(self.read_counts(py)?.rejected.total())
    }

    /// Numbers of rejected reports by reason, such as `{"range": 2, "duplicate": 1}`.
    #[getter]
    fn rejections<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let rejected = self.read_counts(py)?.rejected;
        let reasons = PyDict::new(py);
        for reason in RejectReason::ALL {
            if rejected.get(reason) > 0 {
                reasons.set_item(reason.name(), rejected.get(reason))?;
            }
        }
        Ok(reasons)
    }

    /// The min-L1 estimate of the clients' distribution, with bounds for a fraction `gamma` of manipulated
    /// reports, in [0, 0.5). Raises ValueError if there are no reports.
    fn estimate(&self, py: Python<'_>, gamma: f64) -> PyResult<Estimate> {
        let gamma = Gamma::new(gamma).map_err(wrong)?;
        let counts = self.read_counts(py)?;
        let estimate = py.detach(|| counts.estimate(self.certificate, gamma));
        Estimate::new(py, estimate.map_err(wrong)?)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let counts = self.read_counts(py)?;
        let (groups, cells) = (self.parameters.groups(), self.parameters.cells());
        let (reports, rejected) = (counts.matrix.reports(), counts.rejected.total());
        Ok(format!(
            "DesignServer(groups={groups}, cells={cells}, reports={reports}, rejected={rejected})"
        ))
    }
}
