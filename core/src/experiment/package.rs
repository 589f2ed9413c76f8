//! What an experiment's package states about itself: the paper, and what is known to be
//! contradicted.

use serde::Deserialize;

use super::Profile;
use crate::paper::Paper;
use crate::report::Build;

/// What an experiment's package states about itself. [`package!`](crate::package) gives that of the
/// package it is called in.
#[derive(Clone, Debug)]
pub struct Package {
    /// The text of its `Cargo.toml`, with the [`Paper`] as `[package.metadata.septet]`.
    pub manifest: &'static str,
    /// The text of its `contradictions.toml`: claims that are known to be contradicted, each as a
    /// table `[[contradiction]]` with `claim`, `reason`, and, when it is so in one profile only,
    /// `profile`.
    pub contradictions: &'static str,
    /// The sources and the compiler that the program was built from.
    pub build: Build,
}

/// The [`Package`](crate::experiment::Package) of the package that calls this macro: its
/// `Cargo.toml`, its `contradictions.toml`, and what its build script found.
#[macro_export]
macro_rules! package {
    () => {
        $crate::experiment::Package {
            manifest: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")),
            contradictions: include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/contradictions.toml"
            )),
            build: $crate::report::Build {
                commit: option_env!("SEPTET_COMMIT").map(::std::borrow::ToOwned::to_owned),
                changed: option_env!("SEPTET_CHANGED").is_some(),
                compiler: option_env!("SEPTET_COMPILER").map(::std::borrow::ToOwned::to_owned),
            },
        }
    };
}

/// A claim that is known to be contradicted.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Contradiction {
    pub(super) claim: String,
    pub(super) reason: String,
    /// The profile in which it is; both when absent.
    profile: Option<Profile>,
}

#[derive(Deserialize)]
struct Manifest {
    package: ManifestPackage,
}

#[derive(Deserialize)]
struct ManifestPackage {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    septet: Paper,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Contradictions {
    #[serde(default)]
    contradiction: Vec<Contradiction>,
}

impl Package {
    /// The paper that the manifest names.
    ///
    /// # Errors
    ///
    /// What is wrong in the manifest, with its line.
    pub fn paper(&self) -> Result<Paper, super::ExperimentError> {
        let manifest: Manifest = toml::from_str(self.manifest).map_err(|error| {
            super::ExperimentError::from(error)
                .while_doing("reading the manifest of the experiment")
        })?;
        Ok(manifest.package.metadata.septet)
    }

    /// The contradictions that are known of a profile.
    pub(super) fn contradictions(
        &self,
        profile: Profile,
    ) -> Result<Vec<Contradiction>, super::ExperimentError> {
        let listed: Contradictions = toml::from_str(self.contradictions).map_err(|error| {
            super::ExperimentError::from(error).while_doing("reading contradictions.toml")
        })?;
        let mut listed = listed.contradiction;
        // An entry without a profile is for both.
        listed.retain(|entry| entry.profile.is_none_or(|of| of == profile));
        Ok(listed)
    }
}
