//! Hash designs, as Python sees them.

use ::septet_robust_stats::aggregate::{CountMatrix, DesignCounts};
use ::septet_robust_stats::design::{Certificate, DesignMatrix, DesignParameters, HashDesign};
use ::septet_robust_stats::labels::Labels;
use ::septet_robust_stats::mechanism::{Mechanism, client_generator};
use ::septet_robust_stats::wire::{Protocol, ProtocolFile};
use ::septet_robust_stats::{Epsilon, Gamma, RobustStatsError};
use numpy::PyArray1;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::arrays::{self, Integers, fixed, vector};
use crate::estimate::Estimate;
use crate::server::DesignServer;
use crate::wrong;

/// A hash design, the robust protocol: the server assigns each client one of many random partitions of the
/// symbols into cells, and the client reports the cell of its value, randomized if the design has an epsilon.
/// Public: clients and server hold the same design.
#[pyclass(frozen, module = "septet_robust_stats")]
pub(crate) struct Design {
    pub(crate) table: HashDesign,
    pub(crate) certificate: Option<Certificate>,
    labels: Option<Labels>,
}

impl Design {
    fn new(
        parameters: DesignParameters,
        certificate: Option<Certificate>,
        labels: Option<Labels>,
    ) -> Result<Self, RobustStatsError> {
        Ok(Self {
            table: HashDesign::new(parameters)?,
            certificate,
            labels,
        })
    }

    /// The shape of a count matrix.
    pub(crate) fn shape(&self) -> (usize, usize) {
        (self.table.groups(), self.table.cells())
    }

    /// The counts of this design from an array of shape `(groups, cells)`.
    pub(crate) fn count_matrix(&self, counts: &Bound<'_, PyAny>) -> PyResult<CountMatrix> {
        let (groups, cells) = self.shape();
        let counts = arrays::count_matrix(counts, "counts", (groups, cells))?;
        CountMatrix::from_counts(groups, cells, counts).map_err(wrong)
    }

    /// The symbols of an array of numbers or, with labels, of a sequence of labels.
    fn symbols(&self, values: &Bound<'_, PyAny>) -> PyResult<Vec<u64>> {
        if let Some(labels) = &self.labels
            && !arrays::is_integer_array(values)
            && let Ok(names) = values.extract::<Vec<String>>()
        {
            let symbol = |(index, name): (usize, &String)| {
                let found = labels.symbol(name).map(|symbol| symbol as u64);
                found.ok_or_else(|| {
                    let message =
                        format!("values[{index}]: expected a label of the design, found {name:?}");
                    PyValueError::new_err(message)
                })
            };
            return names.iter().enumerate().map(symbol).collect();
        }
        let domain = self.table.domain() as u64;
        Integers::read_vector(values, "values")?.below("values", "a symbol", domain)
    }

    fn file(&self) -> ProtocolFile {
        ProtocolFile {
            protocol: (*self.table.parameters()).into(),
            certificate: self.certificate,
            labels: self.labels.clone(),
        }
    }
}

#[pymethods]
impl Design {
    /// Draws several random designs and returns the one with the best certificate.
    ///
    /// Parameters
    /// ----------
    /// domain : int
    ///     Number of symbols, which are numbered from 0.
    /// cells : int
    ///     Number of cells of a partition: a report has log2(cells) bits.
    /// epsilon : float, optional
    ///     Privacy parameter of a report. Without it cells are sent in the clear.
    /// groups : int, optional
    ///     Number of partitions. Default: 4 domain / cells.
    /// epoch : int
    ///     Reports of other epochs belong to other designs.
    /// seed : bytes, optional
    ///     32 public bytes that determine the design. Default: random.
    /// labels : sequence of str, optional
    ///     The names of the symbols, which `encode` then accepts too.
    ///
    /// Takes milliseconds for 20 symbols and seconds for hundreds, without the GIL. Raises ValueError
    /// if a parameter is out of range or no design of these sizes identifies the distribution.
    #[staticmethod]
    #[pyo3(signature = (domain, cells, *, epsilon=None, groups=None, epoch=0, seed=None, labels=None))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments with defaults")]
    fn draw(
        py: Python<'_>,
        domain: usize,
        cells: usize,
        epsilon: Option<f64>,
        groups: Option<usize>,
        epoch: u32,
        seed: Option<&[u8]>,
        labels: Option<Vec<String>>,
    ) -> PyResult<Self> {
        let seed = match seed {
            Some(seed) => fixed(seed, "seed")?,
            None => random(py)?,
        };
        let labels = labels.map(Labels::new).transpose().map_err(wrong)?;
        py.detach(|| {
            let mut parameters = DesignParameters::new(domain, cells, seed)?.with_epoch(epoch);
            if let Some(groups) = groups {
                parameters = parameters.with_groups(groups)?;
            }
            if let Some(epsilon) = epsilon {
                parameters = parameters.with_epsilon(Epsilon::new(epsilon)?)?;
            }
            let drawn = parameters.drawn()?;
            let design = Self::new(drawn.parameters, drawn.certificate, labels)?;
            // Refuses labels that do not match the domain.
            design.file().to_bytes()?;
            Ok(design)
        })
        .map_err(wrong)
    }

    /// Reads the bytes of `to_bytes`, or a protocol file of the program robust-stats.
    #[staticmethod]
    fn from_bytes(py: Python<'_>, data: &[u8]) -> PyResult<Self> {
        let file = ProtocolFile::from_bytes(data).map_err(wrong)?;
        let Protocol::Design(parameters) = file.protocol else {
            let message = "data: expected the protocol of a hash design, found another protocol";
            return Err(PyValueError::new_err(message));
        };
        py.detach(|| Self::new(parameters, file.certificate, file.labels))
            .map_err(wrong)
    }

    /// Serializes the design with its certificate and labels: a protocol file of the program robust-stats.
    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.file().to_bytes().map_err(wrong)?))
    }

    /// Number of symbols.
    #[getter]
    fn domain(&self) -> usize {
        self.table.domain()
    }

    /// Number of cells of a partition, at most the domain.
    #[getter]
    fn cells(&self) -> usize {
        self.table.cells()
    }

    /// Number of groups, hence of partitions.
    #[getter]
    fn groups(&self) -> usize {
        self.table.groups()
    }

    /// Privacy parameter of a report; None if cells are sent in the clear.
    #[getter]
    fn epsilon(&self) -> Option<f64> {
        self.table.parameters().epsilon().map(Epsilon::get)
    }

    /// The epoch.
    #[getter]
    fn epoch(&self) -> u32 {
        self.table.parameters().epoch()
    }

    /// The seed of the partitions, 32 public bytes.
    #[getter]
    fn seed<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.table.parameters().seed())
    }

    /// The names of the symbols; None without labels.
    #[getter]
    fn labels(&self) -> Option<Vec<String>> {
        self.labels.as_ref().map(|labels| labels.names().to_vec())
    }

    /// The certificate: at least this fraction of the distance of two distributions remains between
    /// their messages without randomization. None if the design is too large for a proof.
    #[getter]
    fn kept(&self) -> Option<f64> {
        self.certificate.map(|certificate| certificate.kept)
    }

    /// A server for this design.
    ///
    /// `key` is the server's secret, 16 bytes, which assigns clients to groups. Default: random. An adversary
    /// that knows it registers names until enough of them are in the most valuable groups.
    #[pyo3(signature = (*, key=None))]
    fn server(&self, py: Python<'_>, key: Option<&[u8]>) -> PyResult<DesignServer> {
        let key = match key {
            Some(key) => fixed(key, "key")?,
            None => random(py)?,
        };
        DesignServer::new(*self.table.parameters(), self.certificate, key).map_err(wrong)
    }

    /// Encodes values as clients of their groups.
    ///
    /// Parameters
    /// ----------
    /// values : array of int, shape (n,)
    ///     Symbols; with labels also a sequence of labels.
    /// groups : array of int, shape (n,)
    ///     The group of each client, as assigned by `DesignServer.groups`.
    ///
    /// Returns the cells, a uint32 array of shape (n,). Noise is from a generator that the operating system
    /// seeds for each call. Raises ValueError if a symbol or group is out of range.
    fn encode(
        &self,
        py: Python<'_>,
        values: &Bound<'_, PyAny>,
        groups: &Bound<'_, PyAny>,
    ) -> PyResult<Py<PyArray1<u32>>> {
        let values = self.symbols(values)?;
        let groups = Integers::read_vector(groups, "groups")?;
        same_length(("values", values.len()), ("groups", groups.len()))?;
        let groups = groups.below("groups", "a group", self.table.groups() as u64)?;
        let cells = py.detach(|| {
            // A generator for each call: a process that forks between two calls repeats no noise.
            let mut rng = client_generator()?;
            let encode = |(&value, &group): (&u64, &u64)| {
                let cell = self.table.cell(group as usize, value as usize);
                match self.table.response() {
                    Some(response) => response.encode(cell, &mut rng),
                    // A cell is below 2^16.
                    None => Ok(cell as u32),
                }
            };
            values
                .iter()
                .zip(&groups)
                .map(encode)
                .collect::<Result<Vec<u32>, _>>()
        });
        Ok(vector(py, cells.map_err(wrong)?))
    }

    /// The min-L1 estimate of the clients' distribution from counts.
    ///
    /// Parameters
    /// ----------
    /// counts : array of int, shape (groups, cells)
    ///     Numbers of reports, as `DesignServer.counts` returns them.
    /// gamma : float
    ///     The fraction of reports that may be manipulated, in [0, 0.5). Determines the bounds only.
    ///
    /// Raises ValueError if there are no reports.
    fn decode(&self, py: Python<'_>, counts: &Bound<'_, PyAny>, gamma: f64) -> PyResult<Estimate> {
        let gamma = Gamma::new(gamma).map_err(wrong)?;
        let matrix = self.count_matrix(counts)?;
        let estimate = py.detach(|| {
            let counts = DesignCounts {
                matrix,
                ..DesignCounts::new(*self.table.parameters())?
            };
            counts.estimate(self.certificate, gamma)
        });
        Estimate::new(py, estimate.map_err(wrong)?)
    }

    /// Certifies the design anew, and searches for the direction that it identifies least.
    fn audit(&self, py: Python<'_>) -> PyResult<DesignAudit> {
        let audit = py.detach(|| Ok(DesignMatrix::from_design(&self.table)?.audit()));
        let audit = audit.map_err(wrong)?;
        let (ratio, direction) = audit
            .weakest
            .map(|w| (w.ratio, vector(py, w.direction)))
            .unzip();
        Ok(DesignAudit {
            rank: audit.rank,
            kept: audit.certificate.map(|certificate| certificate.kept),
            weakest_ratio: ratio,
            weakest_direction: direction,
        })
    }

    /// Designs are equal if they make the same reports; certificates and labels do not count.
    fn __eq__(&self, other: &Self) -> bool {
        self.table.id() == other.table.id()
    }

    fn __hash__(&self) -> u64 {
        u64::from_le_bytes(self.table.id().tag().0)
    }

    /// Designs can be pickled: processes of a pool share them.
    fn __reduce__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyBytes>,))> {
        let read = py.get_type::<Self>().getattr("from_bytes")?;
        Ok((read, (self.to_bytes(py)?,)))
    }

    fn __repr__(&self) -> String {
        let none = || "None".to_owned();
        let epsilon = self
            .epsilon()
            .map_or_else(none, |epsilon| epsilon.to_string());
        let kept = self.kept().map_or_else(none, |kept| format!("{kept:.4}"));
        let (domain, cells, groups) = (self.domain(), self.cells(), self.groups());
        format!(
            "Design(domain={domain}, cells={cells}, groups={groups}, epsilon={epsilon}, kept={kept})"
        )
    }
}

/// What a design keeps of the distance of two distributions, from both sides.
#[pyclass(frozen, get_all, module = "septet_robust_stats")]
pub(crate) struct DesignAudit {
    /// The rank of the design; it identifies every distribution if this is the number of symbols. `None` if
    /// the design is too large for a proof.
    rank: Option<usize>,
    /// The proven fraction; None if the design is too large for a proof.
    kept: Option<f64>,
    /// The fraction kept along the weakest direction that a search finds, at least `kept`; None for a
    /// single symbol.
    weakest_ratio: Option<f64>,
    /// This direction, float64 of shape (domain,): the difference of two distributions at distance 1.
    weakest_direction: Option<Py<PyArray1<f64>>>,
}

#[pymethods]
impl DesignAudit {
    fn __repr__(&self) -> String {
        let number =
            |value: Option<f64>| value.map_or_else(|| "None".to_owned(), |x| format!("{x:.4}"));
        let (kept, weakest) = (number(self.kept), number(self.weakest_ratio));
        let rank = self.rank.map_or_else(|| "None".to_owned(), |rank| rank.to_string());
        format!("DesignAudit(rank={rank}, kept={kept}, weakest_ratio={weakest})")
    }
}

/// Random bytes of the operating system.
fn random<const N: usize>(py: Python<'_>) -> PyResult<[u8; N]> {
    let bytes = py.import("os")?.call_method1("urandom", (N,))?;
    fixed(bytes.extract()?, "os.urandom")
}

/// Checks that two arrays have one entry for each client.
pub(crate) fn same_length(left: (&str, usize), right: (&str, usize)) -> PyResult<()> {
    if left.1 == right.1 {
        return Ok(());
    }
    let ((left, expected), (right, found)) = (left, right);
    let message = format!("{right}: expected {expected} entries as in {left}, found {found}");
    Err(PyValueError::new_err(message))
}
