//! Private frequency oracles for Python, in the verbs of pure-ldp: `privatize`, `aggregate`,
//! `estimate`, `estimate_all`. Symbols are numbered from 0, and reports are bytes.
//!
//! The robust half works on NumPy arrays: `Design` is protocol and client, `DesignServer` counts and estimates
//! with bounds, `identity_test` and others test, and `plan` plans.

mod arrays;
mod design;
mod estimate;
mod planning;
mod server;
mod testing;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use ::septet_robust_stats::aggregate::{Aggregate, Countable, FrequencyOracle};
use ::septet_robust_stats::mechanism::{
    ClientGenerator, HadamardResponse, LocalHashing, Mechanism, RandomizedResponse, SubsetSelection, UnaryEncoding,
    client_generator,
};
use ::septet_robust_stats::rand_core::RngCore;
use ::septet_robust_stats::wire::{
    Protocol, WireReport, read_counts, read_report, write_counts, write_report,
};
use ::septet_robust_stats::{Epsilon, RobustStatsError};

fn wrong(error: RobustStatsError) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// The protocol of a mechanism by its name: GRR, SUE, OUE, SS, OLH or HR.
fn protocol(mechanism: &str, domain: usize, epsilon: f64) -> PyResult<Protocol> {
    let epsilon = Epsilon::new(epsilon).map_err(wrong)?;
    let made = match mechanism {
        "GRR" => RandomizedResponse::new(domain, epsilon).map(Into::into),
        "SUE" => UnaryEncoding::symmetric(domain, epsilon).map(Into::into),
        "OUE" => UnaryEncoding::optimized(domain, epsilon).map(Into::into),
        "SS" => SubsetSelection::new(domain, epsilon).map(Into::into),
        "OLH" => LocalHashing::new(domain, epsilon).map(Into::into),
        "HR" => HadamardResponse::new(domain, epsilon).map(Into::into),
        other => {
            let message = format!("mechanism: expected GRR, SUE, OUE, SS, OLH or HR, found {other}");
            return Err(PyValueError::new_err(message));
        }
    };
    made.map_err(wrong)
}

/// Evaluates an expression with the mechanism of a protocol.
macro_rules! with_mechanism {
    ($protocol:expr, $mechanism:ident => $body:expr) => {
        match $protocol {
            Protocol::RandomizedResponse($mechanism) => $body,
            Protocol::UnaryEncoding($mechanism) => $body,
            Protocol::SubsetSelection($mechanism) => $body,
            Protocol::LocalHashing($mechanism) => $body,
            Protocol::HadamardResponse($mechanism) => $body,
            _ => unreachable!("made by `protocol`"),
        }
    };
}

/// A client: `privatize` turns a symbol into a report.
#[pyclass]
struct Client {
    protocol: Protocol,
    generator: ClientGenerator,
}

#[pymethods]
impl Client {
    /// `mechanism` is GRR, SUE, OUE, SS, OLH or HR. The generator is seeded by the
    /// operating system, and again in the child after a fork.
    #[new]
    fn new(mechanism: &str, epsilon: f64, d: usize) -> PyResult<Self> {
        Ok(Self {
            protocol: protocol(mechanism, d, epsilon)?,
            generator: client_generator().map_err(wrong)?,
        })
    }

    /// The report of a symbol from 0 to `d - 1`, as bytes.
    fn privatize<'py>(&mut self, py: Python<'py>, data: usize) -> PyResult<Bound<'py, PyBytes>> {
        let tag = self.protocol.tag();
        let rng = &mut self.generator;
        let bytes = with_mechanism!(self.protocol, m => {
            write_report(tag, &m.encode(data, rng).map_err(wrong)?)
        });
        Ok(PyBytes::new(py, &bytes))
    }

    /// `privatize` under the name that pure-ldp has for it.
    fn privatise<'py>(&mut self, py: Python<'py>, data: usize) -> PyResult<Bound<'py, PyBytes>> {
        self.privatize(py, data)
    }
}

/// A server: `aggregate` counts reports, `estimate` and `estimate_all` give estimated numbers of clients.
#[pyclass]
struct Server(Counts);

enum Counts {
    Response(Aggregate<RandomizedResponse>),
    Unary(Aggregate<UnaryEncoding>),
    Subset(Aggregate<SubsetSelection>),
    Hashing(Aggregate<LocalHashing>),
    Hadamard(Aggregate<HadamardResponse>),
}

/// Evaluates an expression with the aggregate.
macro_rules! with_counts {
    ($counts:expr, $aggregate:ident => $body:expr) => {
        match $counts {
            Counts::Response($aggregate) => $body,
            Counts::Unary($aggregate) => $body,
            Counts::Subset($aggregate) => $body,
            Counts::Hashing($aggregate) => $body,
            Counts::Hadamard($aggregate) => $body,
        }
    };
}

/// An aggregate that rejects repeated reports of a client. Its key is never needed again, because the
/// names of clients are not stored.
fn empty<M: Countable>(mechanism: M) -> PyResult<Aggregate<M>> {
    let mut key = [0; 16];
    client_generator().map_err(wrong)?.fill_bytes(&mut key);
    let aggregate = Aggregate::try_new(mechanism).map_err(wrong)?;
    Ok(aggregate.with_duplicate_detection(key))
}

fn push<M>(aggregate: &mut Aggregate<M>, bytes: &[u8], client: Option<&[u8]>) -> PyResult<()>
where
    M: Countable<Report: WireReport> + Into<Protocol>,
{
    let tag = aggregate.mechanism().clone().into().tag();
    let pushed = match read_report(tag, bytes) {
        Ok(report) => match client {
            Some(client) => aggregate.push_from(client, &report),
            None => aggregate.push(&report),
        },
        Err(reason) => {
            aggregate.reject(reason);
            Err(reason)
        }
    };
    pushed.map_err(|reason| PyValueError::new_err(format!("report rejected: {reason}")))
}

fn merge<M>(aggregate: &mut Aggregate<M>, bytes: &[u8]) -> PyResult<()>
where
    M: FrequencyOracle + Into<Protocol>,
{
    let more = read_counts(aggregate.mechanism().clone(), bytes).map_err(wrong)?;
    aggregate.merge(&more).map_err(wrong)
}

#[pymethods]
impl Server {
    /// The parameters must be those of the clients.
    #[new]
    fn new(mechanism: &str, epsilon: f64, d: usize) -> PyResult<Self> {
        Ok(Self(match protocol(mechanism, d, epsilon)? {
            Protocol::RandomizedResponse(m) => Counts::Response(empty(m)?),
            Protocol::UnaryEncoding(m) => Counts::Unary(empty(m)?),
            Protocol::SubsetSelection(m) => Counts::Subset(empty(m)?),
            Protocol::LocalHashing(m) => Counts::Hashing(empty(m)?),
            Protocol::HadamardResponse(m) => Counts::Hadamard(empty(m)?),
            _ => unreachable!("made by `protocol`"),
        }))
    }

    /// Counts a report. Raises `ValueError` with the reason if it is rejected, which is counted too.
    /// With `client`, the name of the client as bytes, a second report of a client is rejected.
    #[pyo3(signature = (data, client=None))]
    fn aggregate(&mut self, data: &[u8], client: Option<&[u8]>) -> PyResult<()> {
        with_counts!(&mut self.0, aggregate => push(aggregate, data, client))
    }

    /// The estimated number of clients that hold a symbol.
    fn estimate(&self, data: usize) -> PyResult<f64> {
        let all = self.estimates();
        let found = all.get(data).copied();
        found.ok_or_else(|| PyValueError::new_err(format!("data: expected a symbol below {}", all.len())))
    }

    /// The estimated numbers of clients that hold these symbols.
    fn estimate_all(&self, data_list: Vec<usize>) -> PyResult<Vec<f64>> {
        let all = self.estimates();
        let pick = |symbol: usize| {
            let found = all.get(symbol).copied();
            found.ok_or_else(|| {
                PyValueError::new_err(format!("data_list: expected symbols below {}", all.len()))
            })
        };
        data_list.into_iter().map(pick).collect()
    }

    /// Number of reports counted.
    #[getter]
    fn n(&self) -> u64 {
        with_counts!(&self.0, aggregate => aggregate.reports())
    }

    /// Number of reports rejected.
    #[getter]
    fn rejected(&self) -> u64 {
        with_counts!(&self.0, aggregate => aggregate.rejected().total())
    }

    /// Serializes the counts, for storage and merging.
    fn counts<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let bytes = with_counts!(&self.0, aggregate => write_counts(aggregate));
        PyBytes::new(py, &bytes)
    }

    /// Adds counts of another server with the same parameters. They have no names of clients, so that
    /// all reports of a client must go to the same server.
    fn merge(&mut self, counts: &[u8]) -> PyResult<()> {
        with_counts!(&mut self.0, aggregate => merge(aggregate, counts))
    }
}

impl Server {
    fn estimates(&self) -> Vec<f64> {
        with_counts!(&self.0, aggregate => {
            let reports = aggregate.reports() as f64;
            aggregate.estimates().iter().map(|x| x * reports).collect()
        })
    }
}

#[pymodule]
fn septet_robust_stats(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Client>()?;
    module.add_class::<Server>()?;
    // The robust half, on arrays.
    module.add_class::<design::Design>()?;
    module.add_class::<design::DesignAudit>()?;
    module.add_class::<server::DesignServer>()?;
    module.add_class::<estimate::Estimate>()?;
    module.add_class::<estimate::ManipulationBound>()?;
    module.add_class::<testing::IdentityTestResult>()?;
    module.add_class::<testing::ShiftTestResult>()?;
    module.add_function(wrap_pyfunction!(testing::identity_test, module)?)?;
    module.add_function(wrap_pyfunction!(testing::two_sample_test, module)?)?;
    module.add_function(wrap_pyfunction!(testing::independence_test, module)?)?;
    module.add_function(wrap_pyfunction!(planning::plan, module)?)
}
