//! Data sets that are damaged or absent.

use std::fs;

use super::super::exit::exit_of;
use super::{Place, claim};
use crate::cli::Exit;
use crate::report::DataState;

#[test]
fn damaged_data_are_named_and_not_used() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().join("fashion-mnist");
    fs::create_dir(&folder).unwrap();
    for file in crate::data::set("fashion-mnist").unwrap().files {
        fs::write(folder.join(file.name), "not an image").unwrap();
    }
    let place = Place::new();
    let argument = data.path().to_str().unwrap();
    let (exit, out) = place.run(&["--data", argument], |cx| {
        assert!(cx.data("fashion-mnist").is_none());
        assert!(cx.data("fashion-mnist").is_none(), "a second look-up");
        Ok(())
    });
    assert_eq!(exit, Exit::Data);
    let report = place.report();
    assert_eq!(report.data.len(), 1);
    assert_eq!(report.data[0].state, DataState::Damaged);
    let how_to_fix = report.data[0].how_to_get.as_deref().unwrap();
    assert!(
        how_to_fix.starts_with("rm '") && how_to_fix.contains("train-images"),
        "{how_to_fix}"
    );
    for part in [
        "train-images-idx3-ubyte.gz",
        "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
        "expected",
    ] {
        assert!(out.contains(part), "{part} is missing in {out}");
    }
}

#[test]
fn absent_data_end_a_full_run_with_their_own_code() {
    let place = Place::new();
    place.run(&[], |cx| {
        claim(cx, "Q1", 2.0);
        Ok(())
    });
    let mut report = place.report();
    assert_eq!(exit_of(&report, true), Exit::Negative);
    report.data.push(crate::report::DataRecord {
        set: "cache-arc".into(),
        state: DataState::Absent,
        license: String::new(),
        citation: String::new(),
        files: Vec::new(),
        how_to_get: None,
    });
    assert_eq!(exit_of(&report, true), Exit::Data);
    assert_eq!(exit_of(&report, false), Exit::Negative);
    report.data[0].state = DataState::Damaged;
    assert_eq!(exit_of(&report, false), Exit::Data);
}
