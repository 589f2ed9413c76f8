//! What every crate and every tracked file of the workspace keeps to.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "what fails or is skipped in a test is its message"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use toml::{Table, Value};

/// Suffixes of files that hold data rather than text written by a person.
const DATA_SUFFIXES: [&str; 22] = [
    "arrow",
    "bin",
    "bz2",
    "csv",
    "dat",
    "gz",
    "json",
    "jsonl",
    "lcs",
    "lis",
    "npy",
    "npz",
    "parquet",
    "safetensors",
    "svg",
    "trace",
    "tsv",
    "txt",
    "vscsi",
    "xz",
    "zip",
    "zst",
];
const MAX_DATA_FILE_BYTES: u64 = 256 * 1024;

/// Folders that exist on one machine only.
const MACHINE_PATHS: [&str; 3] = [
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
];

/// Names that say nothing about what a module holds.
const EMPTY_NAMES: [&str; 6] = ["common", "helper", "helpers", "misc", "util", "utils"];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn manifest(folder: &Path) -> Table {
    let path = folder.join("Cargo.toml");
    let text =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.parse()
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn members() -> Vec<(String, Table)> {
    let root = manifest(&workspace());
    let members = root["workspace"]["members"].as_array().unwrap();
    members
        .iter()
        .map(|member| member.as_str().unwrap().to_owned())
        .map(|member| (member.clone(), manifest(&workspace().join(member))))
        .collect()
}

/// The tracked files, relative to the workspace; `None` outside a git checkout.
fn tracked_files() -> Option<Vec<PathBuf>> {
    let output = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(workspace())
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let names = String::from_utf8(output.stdout).unwrap();
    let files = names.split_terminator('\0').map(PathBuf::from);
    // A file that is deleted but not yet committed is listed, and gone.
    Some(
        files
            .filter(|file| workspace().join(file).is_file())
            .collect(),
    )
}

/// Every tracked file that fits, with its text; empty, with a line that says so, without git.
fn tracked_texts(fits: impl Fn(&Path) -> bool) -> Vec<(PathBuf, String)> {
    let Some(files) = tracked_files() else {
        println!("skipped: not a git checkout");
        return Vec::new();
    };
    files
        .into_iter()
        .filter(|file| fits(file))
        .filter_map(|file| {
            let text = fs::read_to_string(workspace().join(&file)).ok()?;
            Some((file, text))
        })
        .collect()
}

fn assert_none(what: &str, offenders: &[String]) {
    assert!(
        offenders.is_empty(),
        "{what}:\n  {}",
        offenders.join("\n  ")
    );
}

fn inherits(table: &Table, key: &str) -> bool {
    table
        .get(key)
        .and_then(|value| value.get("workspace"))
        .and_then(Value::as_bool)
        == Some(true)
}

/// The dependencies of a manifest, of all kinds and targets.
fn dependencies(manifest: &Table) -> Vec<(String, Value)> {
    let targets = manifest.get("target").and_then(Value::as_table);
    let tables = std::iter::once(manifest).chain(
        targets
            .into_iter()
            .flat_map(Table::values)
            .filter_map(Value::as_table),
    );
    tables
        .flat_map(|table| {
            ["dependencies", "dev-dependencies", "build-dependencies"]
                .into_iter()
                .filter_map(|kind| table.get(kind).and_then(Value::as_table))
        })
        .flatten()
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

#[test]
fn every_crate_says_what_it_is() {
    let mut offenders = Vec::new();
    for (folder, manifest) in members() {
        // An experiment is told of in the README of its system.
        let is_experiment = folder.ends_with("/reproduce");
        if !is_experiment && !workspace().join(&folder).join("README.md").is_file() {
            offenders.push(format!("{folder}: no README.md"));
        }
        let package = manifest["package"].as_table().unwrap();
        let description = package.get("description").and_then(Value::as_str);
        if description.is_none_or(|text| text.trim().is_empty()) {
            offenders.push(format!("{folder}: no description"));
        }
        for key in ["version", "edition", "rust-version", "license", "publish"] {
            if !inherits(package, key) {
                offenders.push(format!("{folder}: `{key}` is not `{key}.workspace = true`"));
            }
        }
        if !inherits(&manifest, "lints") {
            offenders.push(format!("{folder}: no `[lints] workspace = true`"));
        }
    }
    assert_none("manifests that go their own way", &offenders);
}

#[test]
fn every_version_stands_once_in_the_workspace() {
    let mut offenders = Vec::new();
    let mut used = BTreeSet::new();
    for (folder, manifest) in members() {
        for (name, value) in dependencies(&manifest) {
            let from_workspace = value.get("workspace").and_then(Value::as_bool) == Some(true);
            // An experiment takes its own system by path: to add a system is to add its folder.
            let own_system = value.get("path").and_then(Value::as_str) == Some("..");
            if !from_workspace && !own_system {
                offenders.push(format!(
                    "{folder}: `{name}` is not taken from the workspace"
                ));
            }
            used.insert(name);
        }
    }
    let root = manifest(&workspace());
    let table = root["workspace"]["dependencies"].as_table().unwrap();
    for name in table.keys().filter(|name| !used.contains(*name)) {
        offenders.push(format!("root: `{name}` is used by no crate"));
    }
    assert_none("dependency versions", &offenders);
}

#[test]
fn every_dependency_has_its_reason() {
    let reasons = fs::read_to_string(workspace().join("ARCHITECTURE.md")).unwrap();
    let root = manifest(&workspace());
    let table = root["workspace"]["dependencies"].as_table().unwrap();
    let offenders: Vec<_> = table
        .keys()
        .filter(|name| !reasons.contains(&format!("`{name}`")))
        .cloned()
        .collect();
    assert_none("dependencies without a line in ARCHITECTURE.md", &offenders);
}

/// The names of the systems that have an experiment.
fn systems() -> Vec<String> {
    let experiments = members().into_iter().filter_map(|(folder, manifest)| {
        let paper = manifest["package"].get("metadata")?.get("septet")?.clone();
        Some((folder, paper))
    });
    let mut names = Vec::new();
    for (folder, paper) in experiments {
        let id = paper["id"].as_str().unwrap().to_owned();
        assert_eq!(
            folder,
            format!("{id}/reproduce"),
            "folder and id of an experiment"
        );
        names.push(id);
    }
    assert!(!names.is_empty());
    names
}

#[test]
fn every_system_has_its_row_in_the_readme_and_its_section_in_the_architecture() {
    let readme = fs::read_to_string(workspace().join("README.md")).unwrap();
    let architecture = fs::read_to_string(workspace().join("ARCHITECTURE.md")).unwrap();
    let mut offenders = Vec::new();
    for system in systems() {
        let link = format!("[`{system}`]({system}/README.md)");
        let command = format!("cargo xtask reproduce {system}");
        let has_row = |part: &str| {
            readme
                .lines()
                .any(|l| l.starts_with('|') && l.contains(part))
        };
        if !has_row(&link) || !has_row(&command) {
            offenders.push(format!(
                "README.md: no row of a table with {link}, or none with `{command}`"
            ));
        }
        if !architecture.contains(&format!("`septet-{system}`")) {
            offenders.push(format!("ARCHITECTURE.md: nothing about `septet-{system}`"));
        }
    }
    assert_none("systems that a reader does not find", &offenders);
}

/// The libraries know nothing of the experiments.
#[test]
fn no_library_carries_its_experiment() {
    let offenders: Vec<_> = tracked_texts(|file| file.ends_with("src/lib.rs"))
        .into_iter()
        .filter(|(_, text)| text.contains("mod reproduce"))
        .map(|(file, _)| file.display().to_string())
        .collect();
    assert_none("move the experiment to <system>/reproduce", &offenders);
}

/// An error that is also the `source()` of another is told once: programs print the whole chain.
#[test]
fn no_error_tells_its_cause_twice() {
    let mut offenders = Vec::new();
    for (file, text) in tracked_texts(|file| file.extension().is_some_and(|x| x == "rs")) {
        for (start, _) in text.match_indices("#[error(") {
            let variant = &text[start..];
            let message = variant.split(")]").next().unwrap_or_default();
            let rest = &variant[message.len()..];
            let fields = rest.split_inclusive(['}', ';']).next().unwrap_or_default();
            let first = fields.split(',').next().unwrap_or_default();
            let is_source = first.contains("(#[from]") || first.contains("(#[source]");
            if message.contains("{source") || message.contains("{0") && is_source {
                let line = text[..start].lines().count() + 1;
                offenders.push(format!("{}:{line}: {message}", file.display()));
            }
        }
    }
    assert_none(
        "name the cause in the message or in `source`, not in both",
        &offenders,
    );
}

/// Words that point to a document that a reader does not have.
#[test]
fn nothing_refers_to_documents_that_readers_do_not_have() {
    let words = [
        concat!("dos", "sier"),
        concat!("DESIGN", ".md"),
        concat!("acceptance of ", "this"),
    ];
    let mut offenders = Vec::new();
    for (file, text) in tracked_texts(|_| true) {
        for (number, line) in (1..).zip(text.lines()) {
            if words.iter().any(|word| line.contains(word)) {
                offenders.push(format!("{}:{number}: {line}", file.display()));
            }
        }
    }
    assert_none(
        "name the theorem, the paper or the reason instead",
        &offenders,
    );
}

#[test]
fn no_lint_is_silenced_for_good() {
    let silencers = [concat!("#[al", "low("), concat!("#![al", "low(")];
    let offenders: Vec<_> = tracked_texts(|file| file.extension().is_some_and(|x| x == "rs"))
        .into_iter()
        .filter(|(_, text)| silencers.iter().any(|silencer| text.contains(silencer)))
        .map(|(file, _)| file.display().to_string())
        .collect();
    assert_none("use #[expect(.., reason = \"..\")] in", &offenders);
}

#[test]
fn names_of_modules_say_what_they_hold() {
    let offenders: Vec<_> = tracked_texts(|file| file.extension().is_some_and(|x| x == "rs"))
        .into_iter()
        .filter(|(file, _)| {
            file.with_extension("")
                .iter()
                .any(|part| EMPTY_NAMES.iter().any(|name| part == *name))
        })
        .map(|(file, _)| file.display().to_string())
        .collect();
    assert_none("rename these files by what they hold", &offenders);
}

#[test]
fn no_data_set_is_committed() {
    let Some(files) = tracked_files() else {
        println!("skipped: not a git checkout");
        return;
    };
    let offenders: Vec<_> = files
        .into_iter()
        .filter(|file| {
            let suffix = file.extension().map(|x| x.to_string_lossy().to_lowercase());
            suffix.is_some_and(|suffix| DATA_SUFFIXES.contains(&suffix.as_str()))
        })
        .filter(|file| fs::metadata(workspace().join(file)).unwrap().len() > MAX_DATA_FILE_BYTES)
        .map(|file| file.display().to_string())
        .collect();
    assert_none(
        "data files above 256 KiB: generate them in the test instead",
        &offenders,
    );
}

#[test]
fn no_path_of_one_machine_is_committed() {
    let mut offenders = Vec::new();
    for (file, text) in tracked_texts(|_| true) {
        for (number, line) in (1..).zip(text.lines()) {
            if MACHINE_PATHS.iter().any(|path| line.contains(path)) {
                offenders.push(format!("{}:{number}: {line}", file.display()));
            }
        }
    }
    assert_none("paths that exist on one machine only", &offenders);
}
