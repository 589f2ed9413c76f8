//! Drawn designs with their certificates, names of symbols, and keys.

use std::fs;

use septet_robust_stats::aggregate::DesignCounts;
use septet_robust_stats::design::{Certificate, DesignParameters};
use septet_robust_stats::wire::{Protocol, ProtocolFile, write_design_counts};
use serde_json::Value;

use super::Place;

#[test]
fn designs_are_drawn_with_a_certificate() {
    let place = Place::new();
    // The design of this seed has eight partitions of which only two are different.
    let seed = format!("{:064x}", 6);
    let made = place.json(&format!(
        "protocol --domain 4 --cells 2 --seed {seed} --out p"
    ));
    assert!(made["kept"].as_f64().unwrap() > 0.2, "{made}");
    let audit = place.json("audit-design --protocol p --gamma 0.01 --reports 10000");
    assert_eq!((&audit["rank"], &audit["symbols"]), (&4.into(), &4.into()));
    assert_eq!(audit["kept_in_file"], made["kept"]);
    let direction = audit["weakest_direction"].as_array().unwrap();
    assert_eq!(direction.len(), 4);
    for field in [
        "manipulation_part_of_equal_groups",
        "undetectable_shift_found",
        "typical_noise_part",
    ] {
        let value = audit[field].as_f64().unwrap();
        assert!((0.0..0.2).contains(&value), "{field}: {value}");
    }
    // The file as it was written before, without a certificate, holds the design of the seed itself.
    let parameters = DesignParameters::new(4, 2, septet_core::io::hex::decode(&seed).unwrap());
    place.write("old", Protocol::from(parameters.unwrap()).to_bytes());
    let audit = place.json_with(1, "audit-design --protocol old");
    assert_eq!(
        (&audit["rank"], &audit["kept_at_least"]),
        (&3.into(), &0.0.into())
    );
    let text = String::from_utf8(place.run("audit-design --protocol old").stdout).unwrap();
    assert!(
        text.starts_with("this design does not identify every distribution"),
        "{text}"
    );
    // Too few groups to identify anything.
    let error = place.error("protocol --domain 64 --groups 3 --out q");
    assert!(
        error.contains("groups: expected enough partitions to identify 64 symbols"),
        "{error}"
    );
    assert!(!place.path("q").exists());
    for wrong in ["--reports 10", "--gamma 0.01 --reports 0", "--gamma -1"] {
        let output = place.run(&format!("audit-design --protocol p {wrong}"));
        assert_eq!(output.status.code(), Some(3), "{wrong}: {output:?}");
    }
}

#[test]
fn an_overstated_certificate_is_noticed_with_and_without_a_proof() {
    let place = Place::new();
    // The second design is too large to certify, so that only the search contradicts its file.
    for (symbols, cells) in [(12, 4), (2_049, 1_025)] {
        let design = DesignParameters::new(symbols, cells, [1; 32]).unwrap();
        let file = ProtocolFile {
            protocol: design.into(),
            certificate: Some(Certificate { kept: 0.99 }),
            labels: None,
        };
        place.write("p", file.to_bytes().unwrap());
        let audit = place.json_with(1, "audit-design --protocol p");
        assert_eq!(audit["kept_in_file"], 0.99);
        assert_eq!(audit["kept_at_least"].is_null(), symbols > 2_048, "{audit}");
    }
}

#[test]
fn a_certificate_that_states_too_much_is_not_believed() {
    let place = Place::new();
    let design = DesignParameters::new(12, 4, [1; 32]).unwrap();
    let mut counts = DesignCounts::new(design).unwrap();
    for group in 0..design.groups() {
        counts.matrix.group_mut(group).fill(500);
    }
    place.write("c", write_design_counts(&counts));
    let bound = |certificate| {
        let file = ProtocolFile {
            protocol: design.into(),
            certificate,
            labels: None,
        };
        place.write("p", file.to_bytes().unwrap());
        let output = place.run("--json decode --protocol p --gamma 0.01 c");
        let estimate: Value = serde_json::from_slice(&output.stdout).unwrap();
        let warned = String::from_utf8(output.stderr).unwrap();
        (estimate["manipulation_bound"].clone(), warned)
    };
    let (proved, warned) = bound(None);
    assert!(warned.is_empty(), "{warned}");
    let (stated, warned) = bound(Some(Certificate { kept: 1.0 }));
    assert_eq!(stated, proved);
    assert!(warned.contains("states more than is proved"), "{warned}");
}

#[test]
fn large_designs_are_audited_without_a_proof() {
    let place = Place::new();
    place.json("protocol --domain 100000 --cells 4 --groups 100 --out p");
    let audit = place.json("audit-design --protocol p --gamma 0.01");
    assert_eq!(
        (&audit["rank"], &audit["kept_at_least"]),
        (&Value::Null, &Value::Null)
    );
}

#[test]
fn options_of_other_mechanisms_are_refused() {
    let place = Place::new();
    let response = "protocol --mechanism randomized-response --domain 10 --epsilon 1 --out p";
    for option in [
        "--kept 0.1",
        "--groups 3",
        "--seed 00",
        "--family 9",
        "--hash-seed 1",
    ] {
        let error = place.error(&format!("{response} {option}"));
        let name = option.split(' ').next().unwrap();
        assert!(
            error.contains(&format!("{name}: does not apply")),
            "{error}"
        );
    }
    let error = place.error("protocol --domain 12 --family 9 --out p");
    assert!(error.contains("--family: does not apply"), "{error}");
}

#[test]
fn a_design_without_rank_is_decoded_with_infinite_errors() {
    let place = Place::new();
    let mut seed = [0; 32];
    seed[31] = 6;
    let design = DesignParameters::new(4, 2, seed).unwrap();
    place.write("p", Protocol::from(design).to_bytes());
    let mut counts = DesignCounts::new(design).unwrap();
    for group in 0..8 {
        counts.matrix.group_mut(group).fill(15_000);
    }
    place.write("c", write_design_counts(&counts));
    let estimate = place.json("decode --protocol p --gamma 0.01 c");
    assert_eq!(estimate["manipulation_bound"], 1.0);
    assert_eq!(estimate["estimates"][0]["standard_error"], Value::Null);
    let output = place.run("decode --protocol p --gamma 0.01 --csv e.csv c");
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("do not identify the distribution"), "{text}");
    let csv = fs::read_to_string(place.path("e.csv")).unwrap();
    assert!(csv.lines().nth(1).unwrap().ends_with(",inf"), "{csv}");
}

#[test]
fn labels_go_from_values_to_estimates() {
    let place = Place::new();
    place.write("labels", "red, dark\nred\nblue\n");
    place.json("protocol --mechanism randomized-response --labels labels --epsilon 3 --out p");
    let output = place.encode(
        "encode --protocol p --out r",
        "a,b,red, dark\nc,red\nd, blue\n",
    );
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    place.json("aggregate --protocol p --out c r");
    let estimate = place.json("decode --protocol p --csv e.csv c");
    assert_eq!(estimate["estimates"][0]["symbol"], "red, dark");
    let csv = fs::read_to_string(place.path("e.csv")).unwrap();
    assert!(
        csv.lines().nth(1).unwrap().starts_with("\"red, dark\","),
        "{csv}"
    );
    // A symbol that is none, and labels that do not fit.
    let output = place.encode("encode --protocol p --out r", "a,red\nb,green\n");
    assert_eq!(output.status.code(), Some(4));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains("line 2: expected client,label, found \"b,green\""),
        "{text}"
    );
    place.error("protocol --domain 4 --labels labels --out q");
    place.write("twice", "red\nred\n");
    let error = place.error("protocol --labels twice --out q");
    assert!(error.contains("\"red\" as numbers 0 and 1"), "{error}");
    let error = place.error("protocol --labels nosuch --out q");
    assert!(error.contains("cannot read nosuch"), "{error}");
}

#[test]
fn a_key_is_new_and_private() {
    let place = Place::new();
    place.json("keygen --out key");
    let first = fs::read_to_string(place.path("key")).unwrap();
    assert_eq!(first.trim().len(), 32);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(place.path("key"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let error = place.error("keygen --out key");
    assert!(error.contains("key: exists already"), "{error}");
    assert_eq!(fs::read_to_string(place.path("key")).unwrap(), first);
    place.json("keygen --out other");
    assert_ne!(fs::read_to_string(place.path("other")).unwrap(), first);
}
