//! Messages of gRPC that a common client would not send.

use super::*;

#[derive(Clone, PartialEq, prost::Message)]
struct ModelReadyRequest {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ModelReadyResponse {
    #[prost(bool, tag = "1")]
    ready: bool,
}

/// A message of the protocol with nothing but a model, and bytes for all that is else in it.
#[derive(Clone, PartialEq, prost::Message)]
struct InferMessage {
    #[prost(string, tag = "1")]
    model_name: String,
    #[prost(bytes = "vec", repeated, tag = "5")]
    inputs: Vec<Vec<u8>>,
    #[prost(bytes = "vec", repeated, tag = "7")]
    raw: Vec<Vec<u8>>,
}

async fn call<Q, A>(
    server: &Server,
    method: &str,
    request: tonic::Request<Q>,
) -> Result<A, tonic::Status>
where
    Q: prost::Message + Send + Sync + 'static,
    A: prost::Message + Default + Send + Sync + 'static,
{
    let url = format!("http://{}", server.grpc);
    let channel = tonic::transport::Endpoint::from_shared(url).unwrap();
    let mut client = tonic::client::Grpc::new(channel.connect().await.unwrap());
    client.ready().await.unwrap();
    let path = format!("/inference.GRPCInferenceService/{method}")
        .parse()
        .unwrap();
    let codec = tonic_prost::ProstCodec::<Q, A>::default();
    client
        .unary(request, path, codec)
        .await
        .map(tonic::Response::into_inner)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_grpc_unknown_models_are_not_ready_and_hostile_messages_are_refused() {
    let server = plain().await;
    for (name, expected) in [("sum", true), ("other", false)] {
        let request = ModelReadyRequest {
            name: name.to_owned(),
        };
        let answer: ModelReadyResponse = call(&server, "ModelReady", tonic::Request::new(request))
            .await
            .unwrap();
        assert_eq!(answer.ready, expected, "{name}");
    }
    let hostile = [
        // Inputs that take two bytes each here, and some hundred in memory.
        InferMessage {
            model_name: "sum".to_owned(),
            inputs: vec![Vec::new(); 1_000_000],
            raw: Vec::new(),
        },
        InferMessage {
            model_name: "sum".to_owned(),
            inputs: Vec::new(),
            raw: vec![Vec::new(); 10_000],
        },
        InferMessage {
            model_name: "sum".to_owned(),
            inputs: vec![Vec::new(); 2],
            raw: vec![Vec::new()],
        },
        // No tensor at all, and a length beyond the end.
        InferMessage {
            model_name: "sum".to_owned(),
            inputs: vec![vec![0xff; 5]],
            raw: Vec::new(),
        },
    ];
    for (number, message) in hostile.into_iter().enumerate() {
        let refused: Result<ModelReadyResponse, _> =
            call(&server, "ModelInfer", tonic::Request::new(message)).await;
        let status = refused.unwrap_err();
        let expected = [tonic::Code::InvalidArgument, tonic::Code::Internal];
        assert!(expected.contains(&status.code()), "{status:?}");
        // Refused before it is unpacked.
        assert_eq!(
            status.message().contains("4096 fields"),
            number < 2,
            "{status:?}"
        );
    }
    let again: ModelReadyResponse = call(
        &server,
        "ModelReady",
        tonic::Request::new(ModelReadyRequest {
            name: "sum".to_owned(),
        }),
    )
    .await
    .unwrap();
    assert!(again.ready);
    assert_eq!(server.stop().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deadlines_of_grpc_are_kept() {
    let slow = |x: &Tensor| {
        std::thread::sleep(Duration::from_millis(500));
        model(x)
    };
    let worker = LocalWorker::new([(Model::Base, slow)]).unwrap().into();
    let engine = Engine::builder(uncoded(), Pool::new(vec![worker]))
        .build()
        .unwrap();
    let server = Server::start(engine).await;
    let mut asked = tonic::Request::new(InferMessage {
        model_name: "sum".to_owned(),
        // Name, type and shape of the input.
        inputs: vec![b"\x0a\x05input\x12\x04FP32\x1a\x02\x01\x04".to_vec()],
        raw: vec![vec![0; 16]],
    });
    asked.set_timeout(Duration::from_millis(200));
    let late: Result<ModelReadyResponse, _> = call(&server, "ModelInfer", asked).await;
    assert_eq!(late.unwrap_err().code(), tonic::Code::DeadlineExceeded);
    assert_eq!(server.stop().await, 0);
}
