//! Files of RAPPOR round trip, and Prio3's aggregate shares unshard as in its test vectors.

use septet_core::seed::SeedTree;
use septet_robust_stats::RobustStatsError;
use septet_robust_stats::aggregate::Aggregate;
use septet_robust_stats::interop::*;
use septet_robust_stats::mechanism::Rappor;

fn line_of(result: Result<impl std::fmt::Debug, RobustStatsError>) -> u64 {
    match result {
        Err(RobustStatsError::Line { line, .. }) => line,
        other => panic!("{other:?}"),
    }
}

#[test]
fn rappor_files_round_trip() {
    let rappor = Rappor::new(16, 2, 4, [0.25, 0.75, 0.5]).unwrap();
    let text = write_parameters(&rappor);
    assert_eq!(text, "k,h,m,p,q,f\n16,2,4,0.25,0.75,0.5\n");
    assert_eq!(read_parameters(&text).unwrap(), rappor);

    let mut aggregate = Aggregate::new(rappor);
    let mut rng = SeedTree::new(1).rng();
    for client in 0..100_u8 {
        let cohort = u32::from(client) % 4;
        let report = rappor
            .encode(cohort, &[client; 32], b"v1", &mut rng)
            .unwrap();
        aggregate.push(&report).unwrap();
    }
    let text = write_counts(&aggregate);
    assert_eq!(text.lines().count(), 4);
    assert!(text.starts_with("25,"));
    assert_eq!(read_counts(rappor, &text).unwrap(), aggregate);

    let names = ["v1", "with, comma", "with \"quotes\"", "two\nlines"];
    let map = CandidateMap::of(&rappor, names.map(String::from).to_vec());
    let text = write_map(&map);
    assert_eq!(read_map(&rappor, &text).unwrap(), map);
    // Bits count from 1, with an offset of 16 for each cohort.
    let first = rappor.bloom_bits(0, b"v1");
    assert!(first.iter().all(|bit| map.bits[0].contains(bit)));
    assert!(map.bits[0].iter().all(|&bit| bit < 64));
}

// The parameter files that Google's client refuses in its test (testFromCsv), and more.
#[test]
fn wrong_rappor_files_name_the_line() {
    assert!(read_parameters("k,h,m,p,q,f\n32,2,64,0.5,0.75,0.6\n").is_ok());
    assert_eq!(
        line_of(read_parameters("k,h,m,p,q\n32,2,64,0.5,0.75,0.6\n")),
        1
    );
    assert_eq!(line_of(read_parameters("k,h,m,p,q,f\n")), 2);
    assert_eq!(
        line_of(read_parameters("k,h,m,p,q,f\n32,2,64,0.5,0.75,0.6\nextra")),
        3
    );
    assert_eq!(
        line_of(read_parameters("k,h,m,p,q,f\n32,2,x,0.5,0.75,0.6\n")),
        2
    );
    assert!(read_parameters("k,h,m,p,q,f\n32,2,64,0.75,0.5,0.6\n").is_err());

    let rappor = Rappor::new(2, 1, 2, [0.25, 0.75, 0.5]).unwrap();
    assert!(read_counts(rappor, "3,1,2\n4,0,4\n").is_ok());
    assert_eq!(line_of(read_counts(rappor, "3,1,2\n4,0,5\n")), 2);
    assert_eq!(line_of(read_counts(rappor, "3,1,2\n4,0\n")), 2);
    assert_eq!(line_of(read_counts(rappor, "3,1,2\n")), 1);
    assert_eq!(line_of(read_counts(rappor, "3,1,2\n3,1,2\n3,1,2\n")), 3);
    assert_eq!(line_of(read_counts(rappor, "3,1,-2\n")), 1);

    assert_eq!(line_of(read_map(&rappor, "a,1,3\nb,0\n")), 2);
    assert_eq!(line_of(read_map(&rappor, "a,1,3\n\"b\nc\",5\n")), 2);
    assert_eq!(line_of(read_map(&rappor, "\"a,1")), 1);
    // Found by fuzzing: what stood between a name and its first comma was dropped.
    assert_eq!(line_of(read_map(&rappor, "a,1\n\rb")), 2);
    assert_eq!(line_of(read_map(&rappor, "\"a\"b,1")), 1);
    assert_eq!(
        read_map(&rappor, "a,1,4\r\n\r\nb\r\n").unwrap().candidates,
        ["a", "b"]
    );
}

// test_vec/vdaf/Prio3Histogram_0.json of cfrg/draft-irtf-cfrg-vdaf: one report of bucket 2 out of 4.
#[test]
fn prio_shares_of_the_specification_unshard() {
    let bytes = |hexadecimal: &str| -> Vec<u8> {
        let digits = hexadecimal.as_bytes().chunks(2);
        let byte = |pair: &[u8]| {
            u8::from_str_radix(std::str::from_utf8(pair).expect("digits"), 16).expect("digits")
        };
        digits.map(byte).collect()
    };
    let leader = bytes(
        "e720f2d625ee3cabce61d583c8c4054e82e8487025764348020264792b3d100f\
         0d8c76f65caf04ee0e22373be0d61ac5fa6e2f2866078b31b90537e24416fad1",
    );
    let helper = bytes(
        "1adf0d29da11c354159e2a7c373bfab17f17b78fda89bcb7e1fd9b86d4c2eff0\
         f5738909a350fb11d5ddc8c41f29e53a0791d0d799f874ce2afac81dbbe9052e",
    );
    let counts = histogram_from_shares(&[&leader, &helper], 4).unwrap();
    assert_eq!(counts, [0, 0, 1, 0]);

    // As the counts of two groups, the second with its shares in the other order.
    let matrix =
        design_counts_from_shares(&[vec![&leader, &helper], vec![&helper, &leader]], 4).unwrap();
    assert_eq!(matrix.counts(), [0, 0, 1, 0, 0, 0, 1, 0]);

    assert!(histogram_from_shares(&[], 4).is_err());
    assert!(histogram_from_shares(&[&leader, &helper], 3).is_err());
    // One share alone is random.
    assert!(histogram_from_shares(&[&leader], 4).is_err());
    let above = FIELD_MODULUS.to_le_bytes();
    assert!(histogram_from_shares(&[&above], 1).is_err());
}
