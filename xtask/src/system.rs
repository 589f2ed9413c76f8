//! The papers that can be reproduced: every member of the workspace whose manifest describes one.

use anyhow::bail;
use septet_core::cli::Failure;
use septet_core::paper::{Paper, Run};

use crate::packages;
use crate::reproduce::Profile;

/// A paper with the package of its experiment.
#[derive(Debug)]
pub(crate) struct System {
    pub(crate) paper: Paper,
    /// The package in Cargo's sense.
    pub(crate) package: String,
}

impl System {
    /// The name on the command line, which is also the system's folder.
    pub(crate) fn name(&self) -> &str {
        &self.paper.id
    }

    /// The program that runs the paper's experiment.
    pub(crate) fn program(&self) -> String {
        format!("reproduce-{}", self.name())
    }

    /// What a profile takes and uses.
    pub(crate) fn run(&self, profile: Profile) -> &Run {
        match profile {
            Profile::Quick => &self.paper.quick,
            Profile::Full => &self.paper.full,
        }
    }
}

/// All papers, the quickest first: who runs all of them sees a verdict early.
pub(crate) fn all() -> anyhow::Result<Vec<System>> {
    let members = packages::members()?.into_iter();
    let systems = members.filter_map(|package| {
        let paper = package.paper?;
        Some(System {
            paper,
            package: package.name,
        })
    });
    let mut systems: Vec<System> = systems.collect();
    if systems.is_empty() {
        bail!("no member of the workspace has a paper in [package.metadata.septet]");
    }
    systems.sort_by(|a, b| {
        // By name among equals, so that the order does not depend on cargo's.
        let key = |system: &System| (system.paper.quick.seconds, system.name().to_owned());
        key(a).cmp(&key(b))
    });
    Ok(systems)
}

/// The paper of this name or alias; `all` for every one.
pub(crate) fn select(name: &str) -> anyhow::Result<Vec<System>> {
    let mut systems = all()?;
    if name == "all" {
        return Ok(systems);
    }
    let is_named = |system: &System| {
        system.name() == name || system.paper.aliases.iter().any(|alias| alias == name)
    };
    if !systems.iter().any(is_named) {
        let names: Vec<&str> = systems.iter().map(System::name).collect();
        let names = names.join(", ");
        return Err(
            Failure::usage(format!("no paper is named `{name}`\npapers: {names}, all")).into(),
        );
    }
    systems.retain(is_named);
    Ok(systems)
}
