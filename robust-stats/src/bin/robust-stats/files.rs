//! Files of the commands.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use septet_core::cli::{Failure, Report, warn};
use septet_core::io::{self, WholeFile};
use septet_robust_stats::aggregate::{Countable, DesignCounts, MAX_SLOTS};
use septet_robust_stats::design::{Certificate, DesignMatrix, DesignParameters, HashDesign};
use septet_robust_stats::distribution::read_counts;
use septet_robust_stats::labels::Labels;
use septet_robust_stats::mechanism::Mechanism;
use septet_robust_stats::wire::{Protocol, ProtocolFile, read_design_counts};
use septet_robust_stats::{Epsilon, Pmf, RobustStatsError};

use crate::aggregate::with_mechanism;

/// Maximum number of partition entries of a design that only a count file specifies, which bounds the
/// memory that a few bytes can claim.
const MAX_ENTRIES: usize = 1 << 27;

/// Reads a file.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Writes a file atomically, or to standard output when the path is `-`.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let written = WholeFile::create_or_stdout(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.finish()
    });
    written.with_context(|| format!("cannot write {}", path.display()))
}

/// Prints what a command found, unless its output itself went to standard output.
pub(crate) fn print(report: &Report, json: bool, output: &Path) -> anyhow::Result<()> {
    if io::is_stdio(output) {
        return Ok(());
    }
    Ok(report.print(json)?)
}

/// Writes a new file that only its owner may read.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options
        .open(path)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Privacy parameters above it hardly protect: a value is up to `e^10 = 22 000` times as probable as
/// another one.
const LARGE_EPSILON: f64 = 10.0;

/// Warns of a privacy parameter that hardly protects.
pub(crate) fn warn_of_large_epsilon(epsilon: Option<Epsilon>) {
    if let Some(epsilon) = epsilon.map(Epsilon::get)
        && epsilon > LARGE_EPSILON
    {
        warn(&format!(
            "epsilon {epsilon}: above {LARGE_EPSILON} reports hardly protect their clients' values"
        ));
    }
}

/// Marks a library error as one of the data in a file.
pub(crate) fn damaged(path: &Path) -> impl FnOnce(RobustStatsError) -> Failure {
    let name = path.display().to_string();
    |error| Failure::data(anyhow::Error::new(error).context(name))
}

/// Reads the protocol of a protocol file.
pub(crate) fn protocol(path: &Path) -> anyhow::Result<Protocol> {
    Ok(protocol_file(path)?.protocol)
}

/// Reads a protocol file.
pub(crate) fn protocol_file(path: &Path) -> anyhow::Result<ProtocolFile> {
    let at = || path.display().to_string();
    let file = ProtocolFile::from_bytes(&read(path)?).map_err(damaged(path))?;
    check_size(file.protocol).with_context(at)?;
    Ok(file)
}

/// Designs of at most this many entries are certified while decoding, in some 100 ms: their files need not
/// be believed.
const MAX_CERTIFIED_ENTRIES: usize = 1 << 14;

/// The map of a hash design with a certificate: computed for small designs and those without one in their
/// file, otherwise that of the file.
pub(crate) fn matrix(
    design: DesignParameters,
    stored: Option<Certificate>,
) -> anyhow::Result<DesignMatrix> {
    let matrix = DesignMatrix::from_design(&HashDesign::new(design)?)?;
    let is_small = design.groups().saturating_mul(design.domain()) <= MAX_CERTIFIED_ENTRIES;
    let Some(stored) = stored.filter(|_| !is_small) else {
        let matrix = matrix.certified();
        if let (Some(stored), Some(proved)) = (stored, matrix.certificate())
            && stored.kept > proved.kept * (1.0 + CERTIFICATE_ROUNDING)
        {
            warn("the protocol file states more than is proved of its design, and is not believed");
        }
        return Ok(matrix);
    };
    Ok(matrix.with_certificate(stored))
}

/// A stored certificate may differ from a computed one in the last digits, on another processor.
pub(crate) const CERTIFICATE_ROUNDING: f64 = 1e-6;

/// Reads labels, one per line.
pub(crate) fn labels(path: &Path) -> anyhow::Result<Labels> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Labels::new(text.lines().map(str::to_owned).collect())
        .map_err(damaged(path))
        .map_err(Into::into)
}

/// Checks that the symbols and the counts of a protocol fit into memory.
pub(crate) fn check_size(protocol: Protocol) -> anyhow::Result<()> {
    let (domain, slots) = with_mechanism!(
        protocol,
        mechanism => (mechanism.domain(), mechanism.slots()),
        design => (design.domain(), design.groups().saturating_mul(design.cells()))
    );
    for (name, size) in [("symbols", domain), ("counts on the server", slots)] {
        ensure!(
            size <= MAX_SLOTS,
            "domain: expected at most {MAX_SLOTS} {name}, found {size}"
        );
    }
    Ok(())
}

/// Parses the counts of a hash design, which must be that of the protocol if given, and small otherwise.
pub(crate) fn design_counts(
    path: &Path,
    bytes: &[u8],
    from: Option<&Path>,
) -> anyhow::Result<DesignCounts> {
    let counts = read_design_counts(bytes).map_err(damaged(path))?;
    let design = counts.parameters;
    if let Some(from) = from {
        let Protocol::Design(expected) = protocol(from)? else {
            bail!(
                "{}: expected a hash design, found another protocol",
                from.display()
            );
        };
        ensure!(
            design == expected,
            "{}: expected counts of the design of {}, found another design",
            path.display(),
            from.display()
        );
    } else if design.groups().saturating_mul(design.domain()) > MAX_ENTRIES {
        bail!(
            "{}: {} groups of {} symbols are too large without --protocol",
            path.display(),
            design.groups(),
            design.domain()
        );
    }
    Ok(counts)
}

/// Reads the server's key: 32 hexadecimal digits.
pub(crate) fn key(path: &Path) -> anyhow::Result<[u8; 16]> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    io::hex::decode(text.trim()).with_context(|| {
        format!(
            "{}: expected a key of 32 hexadecimal digits",
            path.display()
        )
    })
}

/// Reads a distribution over the symbols of a design: `uniform`, or a file of weights. Labels that are
/// the numbers of all symbols are matched with them; other labels are in the order of the symbols.
pub(crate) fn reference(name: &str, domain: usize) -> anyhow::Result<Pmf> {
    if name == "uniform" {
        return Ok(Pmf::uniform(domain)?);
    }
    let counts = read_counts(Path::new(name))?;
    let found = counts.labels.len();
    ensure!(
        found == domain,
        "{name}: expected {domain} weights, found {found}"
    );
    let numbers: Result<Vec<usize>, _> = counts.labels.iter().map(|l| l.trim().parse()).collect();
    let Ok(numbers) = numbers else {
        return Ok(counts.pmf()?);
    };
    let mut weights = vec![None; domain];
    for (&number, weight) in numbers.iter().zip(&counts.weights) {
        let place = weights.get_mut(number).filter(|place| place.is_none());
        let place = place.with_context(|| {
            let last = domain - 1;
            format!("{name}: expected each symbol in 0..={last} once, found {number}")
        })?;
        *place = Some(*weight);
    }
    let weights: Vec<f64> = weights.into_iter().flatten().collect();
    Ok(Pmf::from_weights(&weights)?)
}
