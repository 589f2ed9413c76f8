//! `cargo xtask report`: builds the page and the figures of a run again from its `report.json`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::outcome::{CommandError, Outcome};
use crate::reproduce::{Profile, default_output, run_directory};
use crate::system::System;

/// Which reports to build again.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The paper, by folder or alias [default: every paper that has a report]
    #[arg(hide_possible_values = true)]
    paper: Option<System>,

    /// The profile: quick, full or gpu [default: all that have a report]
    #[arg(long, value_enum, hide_possible_values = true)]
    profile: Option<Profile>,

    /// The folder for reports and cells [default: target/septet]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Outcome, CommandError> {
    let out = arguments.out.clone().unwrap_or_else(default_output);
    let folders: Vec<PathBuf> = System::ALL
        .into_iter()
        .filter(|system| arguments.paper.is_none_or(|paper| paper == *system))
        .flat_map(|system| {
            Profile::value_variants()
                .iter()
                .filter(|profile| arguments.profile.is_none_or(|wanted| wanted == **profile))
                .map(move |profile| (system, *profile))
        })
        .map(|(system, profile)| run_directory(&out, system, profile))
        .filter(|folder| folder.join("report.json").exists())
        .collect();
    if folders.is_empty() {
        return Err(missing(arguments));
    }
    build_again(&folders)
}

#[cfg(not(feature = "report"))]
fn build_again(_: &[PathBuf]) -> Result<Outcome, CommandError> {
    Ok(crate::cargo::run_again_with("report")?)
}

#[cfg(feature = "report")]
fn build_again(folders: &[PathBuf]) -> Result<Outcome, CommandError> {
    use septet_core::report::Report;

    for folder in folders {
        let file = folder.join("report.json");
        let report = Report::load(&file).map_err(|error| {
            let again = "make it again with `cargo xtask reproduce`; finished cells are kept";
            CommandError::new(Outcome::DataMissing, anyhow::anyhow!("{error}\n{again}"))
        })?;
        report.write(folder).map_err(anyhow::Error::from)?;
        crate::terminal::say!("{}", crate::summary::of_report(&file)?);
        crate::terminal::say!("{}", folder.join("report.html").display());
    }
    Ok(Outcome::Success)
}

fn missing(arguments: &Arguments) -> CommandError {
    let paper = arguments.paper.map_or("all", System::folder);
    let profile = arguments.profile.unwrap_or(Profile::Quick).name();
    let out = arguments.out.clone().unwrap_or_else(default_output);
    CommandError::new(
        Outcome::DataMissing,
        anyhow::anyhow!(
            "there is no such report\n\
             looked in: {}\n\
             make it:   cargo xtask reproduce {paper} --profile {profile}",
            out.display()
        ),
    )
}
