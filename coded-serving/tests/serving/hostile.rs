//! Requests that cannot be read, and what is read again.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_requests_get_4xx_and_the_server_stays_up() {
    let server = plain().await;
    let json = |shape: &str, data: &str| {
        format!(
            r#"{{"inputs":[{{"name":"input","shape":{shape},"datatype":"FP32","data":{data}}}]}}"#
        )
    };
    let binary = |size: &str| {
        format!(
            r#"{{"inputs":[{{"name":"input","shape":[1,4],"datatype":"FP32","parameters":{{"binary_data_size":{size}}}}}]}}"#
        )
    };
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let bodies = [
        String::new(),
        "{".to_owned(),
        "null".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        "\u{0}".repeat(1000),
        deep.clone(),
        format!(r#"{{"id":{deep}}}"#),
        json("[1,4]", &deep),
        json("[1,4]", "[1,2,3]"),
        json("[1,4]", "[1,2,3,4,5]"),
        json("[1,4]", "[1,2,3,null]"),
        json("[1,4]", "[1,2,3,NaN]"),
        json("[1,4]", "[1,2,3,1e999]"),
        json("[1,4]", "[1,2,3,1e39]"),
        json("[1,4]", "[\"1\",2,3,4]"),
        json("[4]", "[1,2,3,4]"),
        json("[1,4,1]", "[1,2,3,4]"),
        json("[2,2]", "[1,2,3,4]"),
        json("[0,4]", "[]"),
        json("[-1,4]", "[1,2,3,4]"),
        json("[9223372036854775807,9223372036854775807]", "[1]"),
        json("[4294967296,4294967296,4]", "[]"),
        json("[99999999999999999999]", "[1]"),
        json("[1000,4]", &format!("[{}0]", "0,".repeat(3999))),
        json("[1,4]", "[1,2,3,4]").replace("FP32", "FP64"),
        json("[1,4]", "[1,2,3,4]").replace("FP32", "BYTES"),
        json("[1,4]", "[1,2,3,4]").replace("\"input\"", "\"other\""),
        json("[1,4]", "[1,2,3,4]").replace("]}]}", r#"]}],"outputs":[{"name":"other"}]}"#),
        json("[1,4]", "[1,2,3,4]").replace("]}]}", r#"]}],"parameters":{"timeout":-1}}"#),
        json("[1,4]", "[1,2,3,4]").replace("]}]}", r#"]}],"parameters":{"approximate":"maybe"}}"#),
        binary("16"),
        binary("-16"),
        binary("1e9"),
        binary("18446744073709551615"),
        binary("\"16\""),
    ];
    for body in &bodies {
        let (status, text) = post(&server, "", body.as_bytes()).await;
        let shown: String = body.chars().take(150).collect();
        assert!((400..500).contains(&status), "{status} for {shown}: {text}");
        assert!(text.contains("{\"error\":"), "{shown}: {text}");
    }
    // Lengths of the JSON that lie.
    let whole = binary("16");
    for length in ["99999", "-1", "x", "18446744073709551616", "3", ""] {
        let header = format!("inference-header-content-length: {length}\r\n");
        let (status, text) = post(&server, &header, whole.as_bytes()).await;
        assert!(
            (400..500).contains(&status),
            "{status} for {length}: {text}"
        );
    }
    // Bytes that are no numbers, too few and too many.
    for (bytes, right) in [
        (vec![0_u8; 16], true),
        (vec![0xff; 16], false),
        (vec![0; 15], false),
        (vec![0; 20], false),
    ] {
        let mut body = whole.clone().into_bytes();
        body.extend(bytes);
        let header = format!("inference-header-content-length: {}\r\n", whole.len());
        let (status, text) = post(&server, &header, &body).await;
        assert_eq!(status == 200, right, "{text}");
        assert!(status == 200 || (400..500).contains(&status), "{text}");
    }
    // Compression that is none, and of another kind.
    for coding in ["gzip", "deflate", "br"] {
        let header = format!("content-encoding: {coding}\r\n");
        let (status, text) = post(&server, &header, b"not compressed").await;
        assert!((400..500).contains(&status), "{coding}: {text}");
    }
    for (head, expected) in [
        (
            "GET /v2/models/sum/infer HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            405,
        ),
        (
            "GET /v2/models/other HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            404,
        ),
        (
            "GET /v2/models/sum/versions/9 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            404,
        ),
        (
            "GET /v2/models/%ff HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            400,
        ),
        (
            "GET /nothing HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            404,
        ),
        ("GARBAGE\r\n\r\n", 400),
    ] {
        let (status, text) = raw(&server, head, b"").await;
        assert_eq!(status, expected, "{head}: {text}");
    }
    let (status, text) = post(&server, "", json("[1,4]", "[1,2,3,4]").as_bytes()).await;
    assert_eq!(status, 200, "{text}");
    assert_eq!(server.stop().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decompression_bomb_is_rejected() {
    use std::io::Write as _;
    let server = plain().await;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for _ in 0..100 {
        packed.write_all(&vec![b'['; 1 << 20]).unwrap();
    }
    let packed = packed.finish().unwrap();
    assert!(packed.len() < 1 << 20);
    let (status, text) = post(&server, "content-encoding: gzip\r\n", &packed).await;
    assert_eq!(status, 413, "{text}");
    assert_eq!(server.stop().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_of_many_rows_are_let_in_whole_or_not_at_all() {
    let engine = Engine::builder(uncoded(), Pool::new(local(2)))
        .max_queue_len(10)
        .build()
        .unwrap();
    let server = Server::start(engine.clone()).await;
    for (rows, expected) in [(1, 200), (12, 200), (13, 400), (200, 400)] {
        let rows = vec![[1.0, 2.0, 3.0, 4.0]; rows];
        let body = write_request(&request(&rows), false).unwrap().bytes;
        let (status, text) = post(&server, "", &body).await;
        assert_eq!(status, expected, "{} rows: {text}", rows.len());
    }
    assert_eq!(engine.statistics().rejected, 0);
    assert_eq!(server.stop().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_without_end_are_refused() {
    let server = plain().await;
    for list in [
        format!(
            r#"{{"inputs":[{}{{"name":""}}]}}"#,
            r#"{"name":""},"#.repeat(100_000)
        ),
        format!(
            r#"{{"inputs":[],"outputs":[{}{{"name":""}}]}}"#,
            r#"{"name":""},"#.repeat(100_000)
        ),
        format!(
            r#"{{"inputs":[{{"name":"input","shape":[{}1]}}]}}"#,
            "1,".repeat(100_000)
        ),
    ] {
        let (status, text) = post(&server, "", list.as_bytes()).await;
        assert_eq!(status, 400, "{text}");
        assert!(text.contains("at most 32"), "{text}");
    }
    assert_eq!(server.stop().await, 0);
}

fn any_request() -> impl Strategy<Value = InferRequest> {
    let tensor =
        ("[a-z]{1,8}", prop::collection::vec(0_usize..4, 0..4)).prop_flat_map(|(name, shape)| {
            let count = shape.iter().product::<usize>();
            prop::collection::vec(-1e30_f32..1e30, count).prop_map(move |values| NamedTensor {
                name: name.clone(),
                tensor: Tensor::new(shape.clone(), values).unwrap(),
            })
        });
    (prop::option::of(".*"), prop::collection::vec(tensor, 0..4)).prop_map(|(id, inputs)| {
        InferRequest {
            id,
            inputs,
            ..InferRequest::default()
        }
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(request in any_request(), binary: bool) {
        let body = write_request(&request, binary).unwrap();
        let (read, _) = read_request(&body.bytes, body.json_length).unwrap();
        prop_assert_eq!(read, request);
    }

    #[test]
    fn no_bytes_panic(body in prop::collection::vec(any::<u8>(), 0..300), length in prop::option::of(0_usize..400)) {
        let _ = read_request(&body, length);
        let _ = read_response(&body, length);
        let _ = request_from_bytes(&body);
    }

    #[test]
    fn cut_and_changed_messages_are_errors_or_messages(
        request in any_request(),
        binary: bool,
        at in any::<prop::sample::Index>(),
        byte: u8,
    ) {
        let body = write_request(&request, binary).unwrap();
        let mut changed = body.bytes.clone();
        let place = at.index(changed.len());
        changed[place] = byte;
        let _ = read_request(&changed, body.json_length);
        let cut = read_request(&body.bytes[..place], body.json_length);
        // A cut binary message lacks bytes, a cut JSON its end.
        prop_assert!(cut.is_err());
    }
}

#[test]
fn wrong_lengths_are_named() {
    assert_eq!(
        json_length(Some(b"10"), 3),
        Err(ProtocolError::HeaderLength {
            length: "10".to_owned(),
            found: 3
        })
    );
    assert_eq!(json_length(Some(b" 3 "), 3), Ok(Some(3)));
    assert_eq!(json_length(None, 3), Ok(None));
}
