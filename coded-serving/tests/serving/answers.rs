//! What is answered, as JSON and as bytes.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_those_of_the_model_as_json_and_as_bytes() {
    let server = plain().await;
    let client = reqwest::Client::new();
    for binary in [false, true] {
        let rows = [[1.0, 2.0, 3.0, 4.0], [0.5, 0.0, 0.0, 0.25]];
        let body = write_request(&request(&rows), binary).unwrap();
        let mut post = client
            .post(server.url("/v2/models/sum/versions/1/infer"))
            .body(body.bytes);
        if let Some(length) = body.json_length {
            post = post.header("inference-header-content-length", length);
        }
        let answer = post.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let header = answer
            .headers()
            .get("inference-header-content-length")
            .cloned();
        assert_eq!(header.is_some(), binary);
        let bytes = answer.bytes().await.unwrap();
        let length = json_length(
            header.as_ref().map(reqwest::header::HeaderValue::as_bytes),
            bytes.len(),
        )
        .unwrap();
        let answer = read_response(&bytes, length).unwrap();
        assert_eq!(answer.id.as_deref(), Some("seven"));
        assert_eq!(answer.parameters["reconstructed"], Parameter::Bool(false));
        let output = &answer.outputs[0];
        assert_eq!(output.name, "output");
        assert_eq!(output.tensor.shape(), [2, 3]);
        assert_eq!(output.tensor.values(), [10.0, -10.0, 1.0, 0.75, -0.75, 0.5]);
    }
    // Nothing but the numbers.
    let raw_body: Vec<u8> = [1.0_f32, 2.0, 3.0, 4.0]
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    let (status, text) = post(&server, "inference-header-content-length: 0\r\n", &raw_body).await;
    assert_eq!(status, 200, "{text}");
    assert!(text.contains("[10.0,-10.0,1.0]"), "{text}");
    for path in [
        "/v2",
        "/v2/health/live",
        "/v2/health/ready",
        "/v2/models/sum",
        "/v2/models/sum/ready",
        "/v2/models/stats",
        "/v2/models/sum/stats",
        "/metrics",
    ] {
        let answer = client.get(server.url(path)).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
    }
    let metrics = client
        .get(server.url("/metrics"))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(
        metrics.contains("coded_serving_requests_total{model=\"sum\",outcome=\"direct\"} 3"),
        "{metrics}"
    );
    assert!(
        metrics.contains("coded_serving_predictions_direct_total{model=\"sum\"} 5"),
        "{metrics}"
    );
    assert_eq!(server.stop().await, 0);
}
