//! Claims, what is known of them, and how a run ends.

use super::super::*;
use super::{Place, claim, package};
use crate::cli::Exit;
use crate::data::Lookup;

#[test]
fn verdicts_decide_the_exit_code_and_the_last_line() {
    let cases: [(&[f64], Exit, &str); 4] = [
        (
            &[0.5, 1.0],
            Exit::Success,
            "2 reproduced, 0 contradicted, 0 inconclusive, 1 skipped",
        ),
        (
            &[0.5, 1.5],
            Exit::Negative,
            "1 reproduced, 1 contradicted, 0 inconclusive, 1 skipped",
        ),
        (
            &[f64::NAN],
            Exit::Inconclusive,
            "0 reproduced, 0 contradicted, 1 inconclusive, 1 skipped",
        ),
        (
            &[f64::NAN, 2.0],
            Exit::Negative,
            "0 reproduced, 1 contradicted, 1 inconclusive, 1 skipped",
        ),
    ];
    for (values, expected, counts) in cases {
        let place = Place::new();
        let (exit, out) = place.run(&[], |cx| {
            for (index, &value) in values.iter().enumerate() {
                claim(cx, &format!("Q{index}"), value);
            }
            cx.skip(
                "S",
                "A needle is found",
                "there is no haystack",
                "cargo xtask haystack",
            );
            Ok(())
        });
        assert_eq!(exit, expected, "{out}");
        let last = out.lines().last().unwrap();
        assert!(
            last.starts_with(&format!("reproduce probe quick: {counts} (")),
            "{last}"
        );
        assert!(last.ends_with(" s)"), "{last}");
        assert!(
            out.contains("there is no haystack\n      to get it:\n        cargo xtask haystack")
        );
        assert!(!out.contains('\u{1b}'), "control codes without a terminal");
        assert!(out.lines().all(|line| line.chars().count() <= 110), "{out}");
        assert_eq!(place.report().claims.len(), values.len() + 1);
    }
}

#[test]
fn known_contradictions_do_not_fail_the_run_and_other_verdicts_of_them_do() {
    let known = "[[contradiction]]\nclaim = \"Q1\"\nreason = \"the stream repeats\"\n";
    let in_full = "[[contradiction]]\nclaim = \"Q1\"\nreason = \"r\"\nprofile = \"full\"\n";
    for (listed, value, expected, part) in [
        (known, 2.0, Exit::Success, "known: the stream repeats"),
        (
            known,
            0.5,
            Exit::Negative,
            "lists this claim as contradicted, and it is not",
        ),
        (
            known,
            f64::NAN,
            Exit::Negative,
            "lists this claim as contradicted, and it is not",
        ),
        (in_full, 2.0, Exit::Negative, "contradicted"),
        (in_full, 0.5, Exit::Success, "reproduced"),
    ] {
        let package = package(&["Q1"], listed);
        let (exit, out) = Place::new().run_package(&package, &[], &|cx| {
            claim(cx, "Q1", value);
            Ok(())
        });
        assert_eq!(exit, expected, "{listed}{value}");
        assert!(out.contains(part), "{out}");
    }
}

#[test]
fn names_that_the_manifest_and_the_list_do_not_share_with_the_claims_are_faults() {
    let claims_q1 = |cx: &mut Context| {
        claim(cx, "Q1.a", 0.0);
        Ok(())
    };
    let unknown = "[[contradiction]]\nclaim = \"Q1.b\"\nreason = \"r\"\n";
    for (questions, listed, arguments, expected) in [
        (&["Q1"][..], "", &[][..], Exit::Success),
        (&["Q2"], "", &[], Exit::Internal),
        (&["Q1", "Q2"], "", &[], Exit::Internal),
        (&["Q1", "Q2"], "", &["--claims", "Q1"], Exit::Success),
        (&["Q1", "F2"], "", &[], Exit::Success),
        (&["Q1", "F2"], "", &["--profile", "full"], Exit::Internal),
        (&["Q1"], unknown, &[], Exit::Internal),
        (&["Q1"], "[[contradiction]]\nclaim = 1", &[], Exit::Internal),
        (&["Q1"], "[[contradictions]]", &[], Exit::Internal),
    ] {
        let package = package(questions, listed);
        let (exit, _) = Place::new().run_package(&package, arguments, &claims_q1);
        assert_eq!(exit, expected, "{questions:?} {listed} {arguments:?}");
    }
}

#[test]
fn every_question_of_the_manifest_can_be_selected() {
    let package = package(&["Q1", "F2"], "");
    let experiment = |cx: &mut Context| {
        claim(cx, "Q1.a", 0.0);
        if cx.profile() == Profile::Full {
            claim(cx, "F2.b", 0.0);
        }
        Ok(())
    };
    let run = |arguments: &[&str]| Place::new().run_package(&package, arguments, &experiment).0;
    assert_eq!(run(&["--claims", "Q1"]), Exit::Success);
    assert_eq!(run(&["--claims", "F2"]), Exit::Usage);
    assert_eq!(run(&["--claims", "F2", "--profile", "full"]), Exit::Success);
}

#[test]
fn faults_of_the_experiment_end_the_run() {
    type Fault = fn(&mut Context);
    let faults: [Fault; 9] = [
        |cx| {
            cx.claim("Q", "no scale")
                .expect(Expected::AtMost(1.0))
                .measured(Estimate::exact(0.0, ""));
        },
        |cx| {
            cx.claim("Q", "no bound")
                .scale(Scale::Scaled)
                .measured(Estimate::exact(0.0, ""));
        },
        |cx| {
            cx.claim("Q", "upside down")
                .scale(Scale::Scaled)
                .expect(Expected::Between(1.0, 0.0))
                .measured(Estimate::exact(0.0, ""));
        },
        |cx| {
            claim(cx, "Q", 0.0);
            claim(cx, "Q", 0.0);
        },
        |cx| cx.figure(Figure::new("../escape", "", "", "")),
        |cx| {
            cx.figure(Figure::new("twice", "", "", ""));
            cx.figure(Figure::new("twice", "", "", ""));
        },
        |cx| assert!(cx.data("no-such-set").is_none()),
        |cx| {
            claim(cx, "X1", 0.0);
        },
        |cx| {
            let grid = cx.grid("reading", [1]).reads(["fashion-mnist"]);
            grid.run(|_, _| Ok(())).unwrap();
        },
    ];
    for fault in faults {
        let place = Place::new();
        let (exit, _) = place.run(&[], |cx| {
            fault(cx);
            Ok(())
        });
        assert_eq!(exit, Exit::Internal);
        assert!(!place.folder().join("report.json").exists());
    }
}

#[test]
fn contradictions_of_claims_on_absent_data_are_no_faults() {
    let listed = "[[contradiction]]\nclaim = \"Q1.real\"\nreason = \"r\"\n";
    let package = package(&["Q1"], listed);
    let arguments = ["--profile", "full"];
    let (exit, _) = Place::new().run_package(&package, &arguments, &|cx| {
        // The test holds whether or not this machine has the set.
        cx.lookup = Lookup::in_folders([]);
        assert!(cx.data("cache-cloudphysics").is_none());
        cx.skip(
            "Q1",
            "All claims on real data",
            "it is not here",
            "fetch it",
        );
        Ok(())
    });
    assert_eq!(exit, Exit::Data);
}
