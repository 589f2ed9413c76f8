//! `cargo xtask doctor`: what this machine has, and what is needed for what.

use std::fs;
use std::process::Command;

use clap::Args;
use septet_core::cli::Exit;
use septet_core::data::{self, Lookup};
use serde_json::json;

use crate::cargo::target_directory;
use crate::terminal::indented;
use crate::tool::{self, Tool};

/// How to report.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
}

const REQUIRED: [Tool; 2] = [tool::RUSTC, tool::C_COMPILER];

const OPTIONAL: [Tool; 6] = [
    tool::GIT,
    tool::RUSTFMT,
    tool::CLIPPY,
    tool::TYPOS,
    tool::CARGO_DENY,
    tool::PYTHON,
];

/// The lowest version of Rust, as the manifests state it.
const LOWEST_RUST: &str = env!("CARGO_PKG_RUST_VERSION");

/// What the build of all programs and tests takes, in bytes.
const DISK_OF_BUILDS: u64 = 15 << 30;
/// What the largest compiler process and the largest experiment need, in bytes.
const MEMORY: u64 = 4 << 30;

/// What this machine is like, as far as the operating system reports it.
struct Machine {
    threads: usize,
    memory: Option<u64>,
    disk: Option<u64>,
    rust_is_new_enough: Option<bool>,
}

impl Machine {
    fn look() -> Self {
        Self {
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            memory: memory(),
            disk: free_disk(),
            rust_is_new_enough: rust_is_new_enough(),
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Exit {
    let machine = Machine::look();
    // Only required tools and the version of Rust decide the exit code; memory, disk, optional
    // tools and data are advice. An unknown version passes, as a missing rustc counts as missing
    // already.
    let missing = REQUIRED.iter().filter(|tool| !tool.is_present()).count();
    let outcome = if missing == 0 && machine.rust_is_new_enough != Some(false) {
        Exit::Success
    } else {
        Exit::Negative
    };
    if arguments.json {
        println!("{:#}", as_json(&machine, outcome));
        return outcome;
    }

    // The machine: what could not be found out is left out.
    println!("machine");
    let Machine {
        threads,
        memory,
        disk,
        rust_is_new_enough,
    } = machine;
    println!("  {threads} threads; the times that `reproduce --list` gives are for 2");
    let enough = |has: u64, needs: u64| if has >= needs { "ok" } else { "LOW" };
    if let Some(memory) = memory {
        let state = enough(memory, MEMORY);
        println!(
            "  {state:<8} {} GB of memory; 4 GB are enough",
            memory >> 30
        );
    }
    if let Some(disk) = disk {
        let state = enough(disk, DISK_OF_BUILDS);
        println!(
            "  {state:<8} {} GB free for target/; building everything takes 15 GB",
            disk >> 30
        );
    }

    // Tools, the required ones first, with the command that installs what is missing.
    println!("\nrequired");
    for tool in &REQUIRED {
        report(tool);
    }
    if rust_is_new_enough == Some(false) {
        println!("  OLD      rustc {LOWEST_RUST} or newer is needed: rustup update");
    }

    println!("\noptional");
    for tool in &OPTIONAL {
        report(tool);
    }

    println!("\ndata sets");
    report_data();

    if outcome == Exit::Success {
        println!("\neverything required is here");
    } else {
        println!("\nsomething required is missing");
    }
    outcome
}

fn as_json(machine: &Machine, outcome: Exit) -> serde_json::Value {
    let tools = |tools: &[Tool]| -> serde_json::Value {
        let tools = tools.iter().map(|tool| {
            json!({"name": tool.name, "version": tool.version(), "needed_for": tool.needed_for, "install": tool.install})
        });
        tools.collect()
    };
    let lookup = Lookup::new(None);
    let sets = data::sets().iter();
    let sets = sets.map(|set| json!({"name": set.name, "here": lookup.find(set.name).is_ok()}));
    json!({
        "ok": outcome == Exit::Success,
        "threads": machine.threads,
        "memory_bytes": machine.memory,
        "free_disk_bytes": machine.disk,
        "lowest_rust": LOWEST_RUST,
        "rust_is_new_enough": machine.rust_is_new_enough,
        "required": tools(&REQUIRED),
        "optional": tools(&OPTIONAL),
        "data_sets": sets.collect::<Vec<_>>(),
    })
}

/// The memory of the machine in bytes.
fn memory() -> Option<u64> {
    // Only Linux has this file.
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes << 10)
}

/// What is free where cargo puts its files, in bytes.
fn free_disk() -> Option<u64> {
    let target = target_directory();
    // The folder is made by the first build; until then its parent says the same.
    let folder = target.ancestors().find(|folder| folder.exists())?;
    // `-P` fixes the format: a header, then one line whose fourth field is the available space.
    let output = Command::new("df").arg("-Pk").arg(folder).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let kibibytes: u64 = text
        .lines()
        .nth(1)?
        .split_whitespace()
        .nth(3)?
        .parse()
        .ok()?;
    Some(kibibytes << 10)
}

fn rust_is_new_enough() -> Option<bool> {
    // rustc 1.95.0 (59807616e 2026-04-14)
    let version = tool::RUSTC.version()?;
    // Major and minor version; `1.96.0-nightly` has a suffix after a dash.
    let parts = |version: &str| -> Option<(u32, u32)> {
        let mut parts = version.split(['.', '-']);
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    };
    Some(parts(version.split_whitespace().nth(1)?)? >= parts(LOWEST_RUST)?)
}

/// Prints which data sets are here. None is required: without them, claims on real data are
/// skipped.
fn report_data() {
    let lookup = Lookup::new(None);
    let (here, missing): (Vec<_>, Vec<_>) = data::sets()
        .iter()
        .map(|set| set.name)
        .partition(|name| lookup.find(name).is_ok());
    for (state, names) in [("ok", here), ("missing", missing)] {
        if !names.is_empty() {
            let first = format!("  {state:<8} ");
            println!("{}", indented(&names.join(", "), &first, "           "));
        }
    }
    println!(
        "  They are for claims on real data: needed by --profile full, used by quick if here.\n\
         \u{20} `cargo xtask data list` says what each is and how to get it."
    );
}

/// Prints the line of one tool.
fn report(tool: &Tool) {
    match tool.version() {
        Some(version) => println!("  ok       {:<11} {version}", tool.name),
        None => {
            println!(
                "  missing  {:<11} needed for {}",
                tool.name, tool.needed_for
            );
            println!("  {:<20} get it: {}", "", tool.install);
        }
    }
}
