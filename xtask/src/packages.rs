//! The packages of the workspace, as cargo sees them.

use std::path::PathBuf;

use anyhow::{Context, bail};
use septet_core::paper::Paper;
use serde::Deserialize;

use crate::cargo::cargo;

/// A member of the workspace.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// Its folder.
    pub(crate) folder: PathBuf,
    /// Its features except `default`, in alphabetical order.
    pub(crate) features: Vec<String>,
    /// The paper, when the package is an experiment.
    pub(crate) paper: Option<Paper>,
}

/// The part of `cargo metadata` that is of interest here.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<PackageMetadata>,
}

#[derive(Deserialize)]
struct PackageMetadata {
    name: String,
    manifest_path: PathBuf,
    features: std::collections::BTreeMap<String, Vec<String>>,
    metadata: Option<Custom>,
}

/// What packages add to their manifests for other tools.
#[derive(Deserialize)]
struct Custom {
    septet: Option<serde_json::Value>,
}

/// The members of the workspace.
pub(crate) fn members() -> anyhow::Result<Vec<Package>> {
    let output = cargo("metadata")
        .args(["--no-deps", "--format-version", "1"])
        .output()
        .context("cannot run `cargo metadata`")?;
    if !output.status.success() {
        bail!(
            "`cargo metadata` failed:\n{}",
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    }
    let metadata: Metadata =
        serde_json::from_slice(&output.stdout).context("cannot read `cargo metadata`")?;
    metadata.packages.into_iter().map(package).collect()
}

fn package(found: PackageMetadata) -> anyhow::Result<Package> {
    // Only experiments have the table. One that does not fit is an error: otherwise the paper would
    // silently be missing from `reproduce all`.
    let septet = found.metadata.and_then(|custom| custom.septet);
    let paper = septet.map(serde_json::from_value).transpose();
    let paper = paper.with_context(|| {
        let manifest = found.manifest_path.display();
        format!("[package.metadata.septet] of {manifest} does not describe a paper")
    })?;
    let features = found.features.into_keys();
    Ok(Package {
        name: found.name,
        folder: found
            .manifest_path
            .parent()
            .map(Into::into)
            .unwrap_or_default(),
        features: features.filter(|feature| feature != "default").collect(),
        paper,
    })
}
