//! `cargo xtask report`: builds the page and the figures of a run again from its `report.json`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context;
use clap::{Args, ValueEnum};
use septet_core::cli::{Exit, Failure, named_path};
use septet_core::io::WholeFile;

use crate::reproduce::{Profile, default_output, run_directory};
use crate::system::{self, System};

/// Which reports to build again.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The paper, by folder or alias, or `all`: every paper that has a report
    #[arg(default_value = "all")]
    paper: String,

    /// The profile: quick or full [default: all that have a report]
    #[arg(long, value_enum, hide_possible_values = true)]
    profile: Option<Profile>,

    /// Takes a picture (PNG) of the top of the page of one report, with Chromium
    #[arg(long, value_name = "FILE", value_parser = named_path())]
    picture: Option<PathBuf>,

    /// The folder for reports and cells [default: target/septet]
    #[arg(long, value_name = "DIR", value_parser = named_path())]
    out: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let out = arguments.out.clone().unwrap_or_else(default_output);
    // Every paper and profile that has a report of the default seed.
    let systems = system::select(&arguments.paper)?;
    let profiles = Profile::value_variants()
        .iter()
        .filter(|profile| arguments.profile.is_none_or(|only| only == **profile));
    let folders: Vec<PathBuf> = profiles
        .flat_map(|profile| {
            let folder = |system: &System| run_directory(&out, system.name(), *profile, None);
            systems.iter().map(folder).collect::<Vec<_>>()
        })
        .filter(|folder| folder.join("report.json").exists())
        .collect();
    if folders.is_empty() {
        return Err(missing(arguments).into());
    }
    let outcome = build_again(&folders, &out)?;
    // Where another runner has built the page, that one has taken the picture as well.
    match (&arguments.picture, cfg!(feature = "report")) {
        (Some(file), true) => picture(&folders, file),
        _ => Ok(outcome),
    }
}

/// How much of a page a picture shows, in pixels.
const PICTURE: (u32, u32) = (1100, 1000);

/// Takes a picture of the first report's page.
fn picture(folders: &[PathBuf], file: &Path) -> anyhow::Result<Exit> {
    let [folder] = folders else {
        return Err(
            Failure::usage("`--picture` shows one report: name a paper and a profile").into(),
        );
    };
    // Any of the names that distributions give it.
    let browsers = ["chromium", "chromium-browser", "google-chrome"];
    let is_here = |browser: &&str| {
        let probe = Command::new(browser).arg("--version").output();
        probe.is_ok_and(|probe| probe.status.success())
    };
    let Some(browser) = browsers.into_iter().find(is_here) else {
        return Err(Failure::usage("`--picture` needs Chromium (apt-get install chromium)").into());
    };
    // Chromium does not say why it could not write the picture.
    let unwritable =
        |error| anyhow::Error::new(error).context(format!("cannot write {}", file.display()));
    drop(WholeFile::create(file).map_err(|error| Failure::data(unwritable(error)))?);
    // A `file://` address has no current folder.
    let page = std::path::absolute(folder.join("report.html")).map_err(anyhow::Error::from)?;
    let (width, height) = PICTURE;
    // The page is self-contained and our own: it needs no network, and no sandbox, which often does
    // not start in containers.
    let status = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
        ])
        .args(["--disable-background-networking", "--no-first-run"])
        .arg(format!("--window-size={width},{height}"))
        .arg(format!("--screenshot={}", file.display()))
        .arg(format!("file://{}", page.display()))
        .stderr(Stdio::null())
        .status()
        .with_context(|| format!("cannot run `{browser}`"))?;
    // Exit code 0 alone does not show that a picture was written.
    if !status.success() || !file.exists() {
        return Err(anyhow::anyhow!("`{browser}` took no picture"));
    }
    println!("{}", file.display());
    Ok(Exit::Success)
}

#[cfg(not(feature = "report"))]
fn build_again(_: &[PathBuf], _: &Path) -> anyhow::Result<Exit> {
    crate::cargo::run_again_with("report")
}

#[cfg(feature = "report")]
fn build_again(folders: &[PathBuf], out: &Path) -> anyhow::Result<Exit> {
    use septet_core::report::{Report, write_index};

    for folder in folders {
        let file = folder.join("report.json");
        let report = Report::load(&file).map_err(|error| {
            let again = "make it again with `cargo xtask reproduce`; finished cells are kept";
            let error = anyhow::Error::new(error);
            Failure::new(Exit::Data, anyhow::anyhow!("{error:#}\n{again}"))
        })?;
        report.write(folder).map_err(Failure::data)?;
        println!("{}", crate::summary::of_run(folder)?.trim_end());
        println!("{}", folder.join("report.html").display());
    }
    // The index lists every report below `out`, not only those that were built again.
    let index = write_index(out).map_err(Failure::data)?;
    println!("{}", index.display());
    Ok(Exit::Success)
}

fn missing(arguments: &Arguments) -> Failure {
    let paper = &arguments.paper;
    let profile = arguments.profile.unwrap_or(Profile::Quick).name();
    let out = arguments.out.clone().unwrap_or_else(default_output);
    Failure::new(
        Exit::Data,
        anyhow::anyhow!(
            "there is no such report\n\
             looked in: {}\n\
             make it:   cargo xtask reproduce {paper} --profile {profile}",
            out.display()
        ),
    )
}
