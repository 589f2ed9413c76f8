//! The packages of the workspace, as cargo sees them.

use anyhow::{Context, bail};
use serde::Deserialize;

use crate::cargo::cargo;

/// A member of the workspace.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// Its features except `default`, in alphabetical order.
    pub(crate) features: Vec<String>,
}

/// The part of `cargo metadata` that is of interest here.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<PackageMetadata>,
}

#[derive(Deserialize)]
struct PackageMetadata {
    name: String,
    features: std::collections::BTreeMap<String, Vec<String>>,
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
    let package = |package: PackageMetadata| Package {
        name: package.name,
        features: package
            .features
            .into_keys()
            .filter(|feature| feature != "default")
            .collect(),
    };
    Ok(metadata.packages.into_iter().map(package).collect())
}
