//! What is written is read again; what is cut off, altered or misplaced is rejected for the right
//! reason, and nothing panics.

use proptest::prelude::*;
use septet_core::seed::SeedTree;
use septet_robust_stats::Epsilon;
use septet_robust_stats::aggregate::{Aggregate, Countable, DesignAggregator, RejectReason};
use septet_robust_stats::design::{
    Assignment, Certificate, DesignParameters, DesignReport, DesignTag, GroupClient,
};
use septet_robust_stats::labels::Labels;
use septet_robust_stats::mechanism::*;
use septet_robust_stats::wire::*;

fn design() -> DesignParameters {
    DesignParameters::new(300, 4, [2; 32])
        .expect("in range")
        .with_epsilon(Epsilon::new(1.0).expect("positive"))
        .expect("in range")
        .with_epoch(7)
}

/// One protocol of every kind.
fn protocols() -> Vec<Protocol> {
    let e = Epsilon::new(1.5).expect("positive");
    let shape = SketchShape::new(300, 8, 16, 3).expect("in range");
    let hashing = LocalHashing::new(300, e).expect("in range");
    vec![
        design().into(),
        DesignParameters::new(5, 9, [0; 32])
            .expect("in range")
            .into(),
        RandomizedResponse::new(300, e).expect("in range").into(),
        UnaryEncoding::symmetric(300, e).expect("in range").into(),
        UnaryEncoding::optimized(300, e).expect("in range").into(),
        SubsetSelection::new(300, e).expect("in range").into(),
        hashing.into(),
        hashing.with_family(50).expect("in range").into(),
        HadamardResponse::new(300, e).expect("in range").into(),
        HadamardResponse::one_block(300, e)
            .expect("in range")
            .into(),
        CountMeanSketch::new(shape, e).expect("in range").into(),
        HadamardCountMeanSketch::new(shape, e)
            .expect("in range")
            .into(),
        Rappor::new(32, 2, 4, [0.25, 0.75, 0.5])
            .expect("in range")
            .into(),
    ]
}

/// A report through the wire, and what becomes of it when it is cut off, too long, of another version,
/// kind or protocol.
fn round_trip<M>(mechanism: &M, report: &<M as Countable>::Report) -> Vec<u8>
where
    M: Countable + Into<Protocol> + std::fmt::Debug,
    M::Report: WireReport + PartialEq + std::fmt::Debug,
{
    let tag = mechanism.clone().into().tag();
    let bytes = write_report(tag, report);
    assert_eq!(read_report::<M::Report>(tag, &bytes).as_ref(), Ok(report));
    for cut in 0..bytes.len() {
        let result = read_report::<M::Report>(tag, &bytes[..cut]);
        assert_eq!(result, Err(RejectReason::Truncated), "{mechanism:?} {cut}");
    }
    let change = |place: usize| {
        let mut bytes = bytes.clone();
        bytes[place] ^= 0x10;
        read_report::<M::Report>(tag, &bytes)
    };
    assert_eq!(change(0), Err(RejectReason::Version));
    assert_eq!(change(1), Err(RejectReason::Malformed));
    assert_eq!(change(2), Err(RejectReason::Design));
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(
        read_report::<M::Report>(tag, &longer),
        Err(RejectReason::Malformed)
    );

    let mut aggregate = Aggregate::new(mechanism.clone());
    aggregate.push(report).expect("an honest report");
    aggregate.reject(RejectReason::Truncated);
    let counts = write_counts(&aggregate);
    assert_eq!(
        read_counts(mechanism.clone(), &counts).expect("as written"),
        aggregate
    );
    for cut in 0..counts.len() {
        assert!(read_counts(mechanism.clone(), &counts[..cut]).is_err());
    }
    counts
}

#[test]
fn every_report_and_its_counts_round_trip() {
    let mut rng = SeedTree::new(1).child("wire").rng();
    for protocol in protocols() {
        let bytes = protocol.to_bytes();
        assert_eq!(Protocol::from_bytes(&bytes).unwrap(), protocol);
        for cut in 0..bytes.len() {
            assert!(Protocol::from_bytes(&bytes[..cut]).is_err());
        }
        let counts = match protocol {
            Protocol::RandomizedResponse(m) => round_trip(&m, &m.encode(7, &mut rng).unwrap()),
            Protocol::UnaryEncoding(m) => round_trip(&m, &m.encode(7, &mut rng).unwrap()),
            Protocol::SubsetSelection(m) => round_trip(&m, &m.encode(7, &mut rng).unwrap()),
            Protocol::LocalHashing(m) => round_trip(&m, &m.encode(7, &mut rng).unwrap()),
            Protocol::HadamardResponse(m) => round_trip(&m, &m.encode(7, &mut rng).unwrap()),
            Protocol::CountMeanSketch(m) => round_trip(&m, &m.encode(7, &mut rng).unwrap()),
            Protocol::HadamardCountMeanSketch(m) => round_trip(&m, &m.encode(7, &mut rng).unwrap()),
            Protocol::Rappor(m) => {
                round_trip(&m, &m.encode(1, &[3; 32], b"value", &mut rng).unwrap())
            }
            _ => continue,
        };
        // Counts of one mechanism are not those of another.
        let other = RandomizedResponse::new(2, Epsilon::new(1.0).unwrap()).unwrap();
        assert!(read_counts(other, &counts).is_err());
    }
    // All tags differ.
    let mut tags: Vec<_> = protocols().iter().map(|p| p.tag().0).collect();
    tags.sort_unstable();
    tags.dedup();
    assert_eq!(tags.len(), protocols().len());
}

#[test]
fn design_reports_and_counts_round_trip() {
    let parameters = design();
    let assignment = Assignment::new([9; 16], &parameters);
    let mut aggregator = DesignAggregator::new(parameters, assignment).unwrap();
    let mut rng = SeedTree::new(1).rng();
    let mut stream = Vec::new();
    for client in 0_u32..200 {
        let name = client.to_le_bytes();
        let group = GroupClient::new(&parameters, assignment.group(&name)).unwrap();
        let report = DesignReport::encode(&group, 3, &mut rng).unwrap();
        let bytes = write_design_report(&report);
        assert!(bytes.len() <= 15, "{}", bytes.len());
        assert_eq!(read_design_report(&bytes), Ok(report));
        for cut in 0..bytes.len() {
            assert_eq!(
                read_design_report(&bytes[..cut]),
                Err(RejectReason::Truncated)
            );
        }
        write_envelope(&mut stream, &name, &bytes);
    }
    for envelope in Envelopes::new(&stream) {
        let (client, report) = envelope.unwrap();
        let report = read_design_report(report).unwrap();
        aggregator.push(client, &report).unwrap();
    }
    let counts = aggregator.into_counts();
    assert_eq!(counts.matrix.reports(), 200);
    let bytes = write_design_counts(&counts);
    assert_eq!(read_design_counts(&bytes).unwrap(), counts);
    for cut in 0..bytes.len() {
        assert!(read_design_counts(&bytes[..cut]).is_err());
    }
    let cut = &stream[..stream.len() - 1];
    assert!(Envelopes::new(cut).last().unwrap().is_err());
}

// The length of a report is not encrypted.
#[test]
fn the_length_of_a_design_report_is_independent_of_the_cell() {
    let design = DesignTag([3; 8]);
    for (group, length) in [(0, 14), (127, 14), (128, 15)] {
        for cell in [0, 1, 127, 128, 255, 256, 16_384, 65_535] {
            let report = DesignReport {
                design,
                epoch: 7,
                group,
                cell,
            };
            let bytes = write_design_report(&report);
            assert_eq!(bytes.len(), length, "{cell}");
            assert_eq!(read_design_report(&bytes), Ok(report));
        }
    }
}

// Reports as they were written before their cells had two bytes, and cells that no design has.
#[test]
fn design_reports_with_cells_of_variable_length_are_read() {
    for (cell, field) in [
        (5, &[5][..]),
        (300, &[0xac, 2]),
        (65_536, &[0x80, 0x80, 4]),
        (u32::MAX, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
    ] {
        let report = DesignReport {
            design: DesignTag([3; 8]),
            epoch: 7,
            group: 9,
            cell,
        };
        let bytes = [&[VERSION, 1][..], &[3; 8], &[7, 9], field].concat();
        assert_eq!(read_design_report(&bytes), Ok(report));
        assert_eq!(
            read_design_report(&write_design_report(&report)),
            Ok(report)
        );
        let cut = &bytes[..bytes.len() - 1];
        assert_eq!(read_design_report(cut), Err(RejectReason::Truncated));
    }
}

#[test]
fn only_the_shortest_form_of_a_number_is_read() {
    let tag = protocols()[2].tag();
    let start = write_report(tag, &5_u32);
    let start = &start[..start.len() - 1];
    let with = |number: &[u8]| read_report::<u32>(tag, &[start, number].concat());
    assert_eq!(with(&[5]), Ok(5));
    assert_eq!(with(&[0x85, 0]), Err(RejectReason::Malformed));
    assert_eq!(with(&[0x85, 0x80, 0]), Err(RejectReason::Malformed));
    assert_eq!(with(&[0xff, 0xff, 0xff, 0xff, 0x0f]), Ok(u32::MAX));
    assert_eq!(
        with(&[0x80, 0x80, 0x80, 0x80, 0x10]),
        Err(RejectReason::Range)
    );
    assert_eq!(with(&[0xff; 9]), Err(RejectReason::Truncated));
    assert_eq!(with(&[0xff; 10]), Err(RejectReason::Malformed));
}

// A few bytes must not make the reader ask for gigabytes: it says what is missing instead.
#[test]
fn numbers_do_not_size_allocations() {
    let huge = RandomizedResponse::new(u32::MAX as usize, Epsilon::new(1.0).unwrap()).unwrap();
    let mut bytes = vec![VERSION, 65];
    bytes.extend(&Protocol::from(huge).to_bytes()[2..]);
    bytes.extend([0; 20]);
    assert!(read_counts(huge, &bytes).is_err());
    let design = DesignParameters::new(1 << 20, 1 << 15, [0; 32]).unwrap();
    let mut bytes = vec![VERSION, 66];
    bytes.extend(&Protocol::from(design.with_groups(1 << 31).unwrap()).to_bytes()[2..]);
    bytes.extend([0; 20]);
    assert!(read_design_counts(&bytes).is_err());
    let tag = protocols()[3].tag();
    let mut bytes = write_report(tag, &BitVector::zeros(8));
    bytes.truncate(10);
    bytes.extend([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0]);
    assert_eq!(
        read_report::<BitVector>(tag, &bytes),
        Err(RejectReason::Truncated)
    );
}

// A file of counts is somebody's word: sums of what it says must not overflow.
#[test]
fn counts_beyond_all_reports_are_refused() {
    let number = |mut value: u64| {
        let mut bytes = Vec::new();
        while value >= 0x80 {
            bytes.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        bytes.push(value as u8);
        bytes
    };
    let design = DesignParameters::new(5, 9, [0; 32]).unwrap();
    let file = |rejected: u64, count: u64| {
        let mut bytes = vec![VERSION, 66];
        bytes.extend(&Protocol::from(design).to_bytes()[2..]);
        for _ in RejectReason::ALL {
            bytes.extend(number(rejected));
        }
        for _ in 0..5 {
            bytes.extend(number(count));
        }
        bytes
    };
    assert!(read_design_counts(&file(3, 7)).is_ok());
    for huge in [u64::MAX, 1 << 61, 1 << 56] {
        assert!(read_design_counts(&file(huge, 7)).is_err());
        assert!(read_design_counts(&file(3, huge)).is_err());
    }
    let response = RandomizedResponse::new(3, Epsilon::new(1.0).unwrap()).unwrap();
    let file = |reports: u64, rejected: u64, counts: [u64; 3]| {
        let mut bytes = vec![VERSION, 65];
        bytes.extend(&Protocol::from(response).to_bytes()[2..]);
        bytes.extend(number(reports));
        for _ in RejectReason::ALL {
            bytes.extend(number(rejected));
        }
        for count in counts {
            bytes.extend(number(count));
        }
        bytes
    };
    assert!(read_counts(response, &file(6, 1, [1, 2, 3])).is_ok());
    assert!(read_counts(response, &file(6, 1, [1, 2, 4])).is_err());
    assert!(read_counts(response, &file(6, u64::MAX, [1, 2, 3])).is_err());
    assert!(read_counts(response, &file(u64::MAX, 1, [u64::MAX; 3])).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Protocol::from_bytes(&bytes);
        let _ = read_design_report(&bytes);
        let _ = read_design_counts(&bytes);
        for envelope in Envelopes::new(&bytes) {
            let _ = envelope;
        }
        for protocol in protocols() {
            let tag = protocol.tag();
            let _ = read_report::<u32>(tag, &bytes);
            let _ = read_report::<BitVector>(tag, &bytes);
            let _ = read_report::<HashedCell>(tag, &bytes);
            let _ = read_report::<SketchRow>(tag, &bytes);
            let _ = read_report::<SketchSign>(tag, &bytes);
            let _ = read_report::<RapporReport>(tag, &bytes);
        }
    }

    // Bytes of a valid message with a few changes get past the first checks.
    #[test]
    fn altered_messages_are_read_as_what_they_say_or_rejected(
        which in 0_usize..13,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let protocol = protocols()[which];
        let mut bytes = protocol.to_bytes();
        for (place, byte) in &changes {
            let place = place.index(bytes.len());
            bytes[place] = *byte;
        }
        if let Ok(read) = Protocol::from_bytes(&bytes) {
            prop_assert_eq!(read.to_bytes(), bytes, "only one form of a protocol is read");
        }
    }

    // A report that was altered on its way counts, if at all, as one report of its client's own group.
    #[test]
    fn altered_reports_count_once_at_most(
        client: u32,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let parameters = design();
        let assignment = Assignment::new([9; 16], &parameters);
        let mut aggregator = DesignAggregator::new(parameters, assignment).unwrap().with_duplicate_detection();
        let name = client.to_le_bytes();
        let group = assignment.group(&name);
        let honest = GroupClient::new(&parameters, group).unwrap();
        let report = DesignReport::encode(&honest, 3, &mut SeedTree::new(1).rng()).unwrap();
        let mut bytes = write_design_report(&report);
        for (place, byte) in &changes {
            let place = place.index(bytes.len());
            bytes[place] = *byte;
        }
        bytes.truncate(cut.index(2 * bytes.len()));
        for _ in 0..2 {
            match read_design_report(&bytes) {
                Ok(report) => { let _ = aggregator.push(&name, &report); }
                Err(reason) => aggregator.reject(reason),
            }
        }
        let counts = aggregator.counts();
        prop_assert!(counts.matrix.reports() <= 1);
        prop_assert_eq!(counts.matrix.reports() + counts.rejected.total(), 2);
        prop_assert_eq!(counts.matrix.group_reports(group), counts.matrix.reports());
    }
}

#[test]
fn protocol_files_keep_certificates_and_labels() {
    let names = |count: usize| (0..count).map(|i| format!("n, {i}")).collect();
    let file = ProtocolFile {
        protocol: design().into(),
        certificate: Some(Certificate { kept: 0.125 }),
        labels: Some(Labels::new(names(300)).expect("distinct")),
    };
    let bytes = file.to_bytes().expect("consistent");
    assert_eq!(ProtocolFile::from_bytes(&bytes).expect("written"), file);
    // Truncated anywhere, or with more behind it, it is refused.
    for length in 0..bytes.len() {
        assert!(
            ProtocolFile::from_bytes(&bytes[..length]).is_err(),
            "{length}"
        );
    }
    assert!(ProtocolFile::from_bytes(&[&bytes[..], &[0]].concat()).is_err());
    // A protocol alone is a file without sections.
    for protocol in protocols() {
        let read = ProtocolFile::from_bytes(&protocol.to_bytes()).expect("a protocol");
        assert_eq!(
            (read.protocol, read.certificate, read.labels),
            (protocol, None, None)
        );
    }
    // What does not match is refused in both directions.
    for wrong in [
        ProtocolFile {
            certificate: Some(Certificate { kept: 1.5 }),
            ..file.clone()
        },
        ProtocolFile {
            certificate: Some(Certificate { kept: f64::NAN }),
            ..file.clone()
        },
        ProtocolFile {
            labels: Some(Labels::new(names(299)).expect("distinct")),
            ..file.clone()
        },
        ProtocolFile {
            protocol: protocols().remove(2),
            ..file.clone()
        },
    ] {
        assert!(wrong.to_bytes().is_err(), "{wrong:?}");
    }
    let mut damaged = bytes.clone();
    damaged[2] = 4;
    let error = ProtocolFile::from_bytes(&damaged).expect_err("an unknown section");
    assert!(
        error.to_string().contains("known sections, found 4"),
        "{error}"
    );
}
