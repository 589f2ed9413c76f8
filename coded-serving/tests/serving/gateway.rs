//! Workers that are dead, slow or wrong, and how a server stops.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_answers_through_http_and_grpc_although_a_server_is_dead() {
    let mut servers = Vec::new();
    for _ in 0..5 {
        servers.push(plain().await);
    }
    let mut workers: Vec<Worker> = Vec::new();
    for (number, server) in servers.iter().enumerate() {
        let names = ModelNames::base("sum");
        workers.push(if number % 2 == 0 {
            HttpWorker::new(&server.url(""), names).unwrap().into()
        } else {
            GrpcWorker::new(&format!("http://{}", server.grpc), names)
                .unwrap()
                .into()
        });
    }
    // One server is gone, and nobody listens there any more.
    servers.remove(1).stop().await;
    let code = Arc::new(InvNet::new(4, 1, MixedQueries).unwrap());
    let engine = Engine::builder(code, Pool::new(workers))
        .retry_budget(0.0)
        // Without retries every group needs its parity, also while the 40 queries queue up.
        .shed_above(usize::MAX)
        .max_batch_delay(Duration::from_millis(50))
        .build()
        .unwrap();
    let gateway = Server::start(engine.clone()).await;
    let client = HttpWorker::new(&gateway.url(""), ModelNames::base("sum")).unwrap();
    assert_eq!(client.metadata().await.unwrap(), metadata());
    let over_grpc =
        GrpcWorker::new(&format!("http://{}", gateway.grpc), ModelNames::base("sum")).unwrap();
    assert_eq!(over_grpc.metadata().await.unwrap(), metadata());
    let pool = Pool::new(vec![client.into(), over_grpc.into()]);
    let mut running = tokio::task::JoinSet::new();
    for number in 0..40_u16 {
        let pool = pool.clone();
        let input = Tensor::new(vec![1, 4], vec![f32::from(number), 1.0, 2.0, 3.0]).unwrap();
        let trace = Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into());
        running.spawn(async move {
            let call = septet_coded_serving::engine::Call {
                model: Model::Base,
                input,
                trace,
            };
            (number, pool.infer(usize::from(number % 2), call).await)
        });
    }
    while let Some(done) = running.join_next().await {
        let (number, answer) = done.unwrap();
        let answer = answer.unwrap();
        let sum = f32::from(number) + 6.0;
        for (found, wanted) in answer.values().iter().zip([sum, -sum, f32::from(number)]) {
            assert!((found - wanted).abs() < 1e-3, "{number}: {answer:?}");
        }
    }
    let counted = engine.statistics();
    assert_eq!(counted.direct + counted.reconstructed, 40, "{counted:?}");
    assert!(counted.failures >= 1, "{counted:?}");
    assert_eq!(gateway.stop().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_set_reconstruction_and_deadline_per_request() {
    // The first worker takes for ever; the others answer at once.
    let code = Arc::new(InvNet::new(3, 1, MixedQueries).unwrap());
    let slow = |x: &Tensor| {
        if x.values()[0] < -9.0 {
            std::thread::sleep(Duration::from_millis(700));
        }
        model(x)
    };
    let workers: Vec<Worker> = (0..6)
        .map(|_| LocalWorker::new([(Model::Base, slow)]).unwrap().into())
        .collect();
    let engine = Engine::builder(code, Pool::new(workers));
    let server = Server::start(
        engine
            .max_batch_delay(Duration::from_millis(100))
            .build()
            .unwrap(),
    )
    .await;
    let ask = |first: f32, parameters: &str| {
        let body = format!(
            r#"{{"inputs":[{{"name":"input","shape":[1,4],"datatype":"FP32","data":[{first},0,0,0]}}],"parameters":{{{parameters}}}}}"#
        );
        let url = server.url("/v2/models/sum/infer");
        async move {
            let answer = reqwest::Client::new()
                .post(url)
                .body(body)
                .send()
                .await
                .unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        }
    };
    let fast = r#""approximate":"allow""#;
    let (allowed, _, _) = tokio::join!(ask(-10.0, fast), ask(1.0, fast), ask(2.0, fast));
    assert_eq!(allowed.0, 200);
    assert!(
        allowed.1.contains(r#""reconstructed":true"#),
        "{}",
        allowed.1
    );
    assert!(
        allowed.1.contains(r#""code":"coded-invnet(3,1)""#),
        "{}",
        allowed.1
    );
    assert!(allowed.1.contains(r#""group_fill":3"#), "{}", allowed.1);
    let (denied, _, _) = tokio::join!(
        ask(-10.0, r#""approximate":"deny""#),
        ask(1.0, fast),
        ask(2.0, fast)
    );
    assert_eq!(denied.0, 200);
    assert!(
        denied.1.contains(r#""reconstructed":false"#),
        "{}",
        denied.1
    );
    let hasty = r#""approximate":"deny","timeout":50000"#;
    let (late, _, _) = tokio::join!(ask(-10.0, hasty), ask(1.0, fast), ask(2.0, fast));
    assert_eq!(late.0, 504, "{}", late.1);
    assert_eq!(server.stop().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_loses_no_request() {
    let pool = Chaos::new(
        Pool::new(local(4)),
        Delay::constant(Duration::from_millis(100)),
        0.0,
        &SeedTree::new(1),
    )
    .unwrap();
    let code = Arc::new(InvNet::new(10, 1, MixedQueries).unwrap());
    let engine = Engine::builder(code, pool)
        .max_batch_delay(Duration::from_secs(30))
        .build()
        .unwrap();
    let server = Server::start(engine.clone()).await;
    let body = write_request(&request(&[[1.0, 2.0, 3.0, 4.0]]), false)
        .unwrap()
        .bytes;
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let post = reqwest::Client::new()
            .post(server.url("/v2/models/sum/infer"))
            .body(body.clone());
        running.spawn(async move { post.send().await.unwrap().status().as_u16() });
    }
    while engine.statistics().accepted < 12 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let address = server.http;
    assert_eq!(server.stop().await, 0);
    while let Some(status) = running.join_next().await {
        assert_eq!(status.unwrap(), 200);
    }
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn overload_is_turned_away_with_a_time_to_come_back() {
    let pool = Chaos::new(
        Pool::new(local(1)),
        Delay::constant(Duration::from_millis(50)),
        0.0,
        &SeedTree::new(1),
    )
    .unwrap();
    let server = Server::start(
        Engine::builder(uncoded(), pool)
            .max_queue_len(2)
            .build()
            .unwrap(),
    )
    .await;
    let body = write_request(&request(&[[1.0, 2.0, 3.0, 4.0]]), false)
        .unwrap()
        .bytes;
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let post = reqwest::Client::new()
            .post(server.url("/v2/models/sum/infer"))
            .body(body.clone());
        running.spawn(async move {
            let answer = post.send().await.unwrap();
            (
                answer.status().as_u16(),
                answer.headers().contains_key("retry-after"),
            )
        });
    }
    let mut statuses = Vec::new();
    while let Some(done) = running.join_next().await {
        let (status, retry) = done.unwrap();
        assert_eq!(retry, status == 429);
        statuses.push(status);
    }
    assert!(
        statuses.contains(&200) && statuses.contains(&429),
        "{statuses:?}"
    );
    assert!(
        statuses.iter().all(|s| [200, 429].contains(s)),
        "{statuses:?}"
    );
    assert_eq!(server.stop().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_that_the_model_cannot_answer_harms_no_worker() {
    let workers = [plain().await, plain().await, plain().await];
    let pool = workers.iter().map(|server| {
        HttpWorker::new(&server.url(""), ModelNames::base("sum"))
            .unwrap()
            .into()
    });
    let engine = Engine::builder(uncoded(), Pool::new(pool.collect()))
        .build()
        .unwrap();
    let gateway = Server::start(engine.clone()).await;
    let poison = [[3e38, 3e38, 3e38, 3e38]];
    for _ in 0..5 {
        let body = write_request(&request(&poison), false).unwrap().bytes;
        let (status, text) = post(&gateway, "", &body).await;
        assert_eq!(status, 400, "{text}");
        assert!(text.contains("not finite"), "{text}");
        let good = write_request(&request(&[[1.0, 2.0, 3.0, 4.0]]), false)
            .unwrap()
            .bytes;
        let (status, text) = post(&gateway, "", &good).await;
        assert_eq!(status, 200, "{text}");
    }
    assert_eq!(engine.statistics().retries, 0);
    assert_eq!(gateway.stop().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_waits_for_no_group_to_fill() {
    let code = Interpolation::new(3, 4, 1, Smoother::Berrut).unwrap();
    let engine = Engine::builder(Arc::new(code), Pool::new(local(4)))
        .max_batch_delay(Duration::from_secs(3600))
        .build()
        .unwrap();
    let server = Server::start(engine.clone()).await;
    let url = server.url("/v2/models/sum/infer");
    let body = write_request(&request(&[[1.0, 2.0, 3.0, 4.0]]), false).unwrap();
    let asked = tokio::spawn(async move {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        client
            .post(url)
            .body(body.bytes)
            .send()
            .await
            .unwrap()
            .status()
    });
    while engine.active_groups() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(server.stop().await, 0);
    assert_eq!(asked.await.unwrap().as_u16(), 200);
    assert!(engine.statistics().tasks > 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_errors_of_the_query_are_client_errors() {
    // A server that says 401 to every query, as a proxy with an expired token does.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = [0; 4096];
            let read = stream.read(&mut bytes).await.unwrap_or(0);
            let said = serde_json::to_string(&metadata()).unwrap();
            let status = if bytes[..read].starts_with(b"POST") {
                "401 No"
            } else {
                "200 OK"
            };
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                said.len()
            );
            let _ = stream.write_all(format!("{head}{said}").as_bytes()).await;
        }
    });
    let mut workers = local(1);
    workers.insert(
        0,
        HttpWorker::new(&url, ModelNames::base("sum"))
            .unwrap()
            .into(),
    );
    let engine = Engine::builder(uncoded(), Pool::new(workers))
        .build()
        .unwrap();
    let server = Server::start(engine.clone()).await;
    let (status, text) = post(
        &server,
        "",
        &write_request(&request(&[[1.0; 4]]), false).unwrap().bytes,
    )
    .await;
    // The other worker has answered.
    assert_eq!(status, 200, "{text}");
    assert_eq!(
        (engine.statistics().retries, engine.statistics().failures),
        (1, 1)
    );
    assert_eq!(server.stop().await, 0);
}

#[test]
fn injected_faults_have_a_probability() {
    let seed = SeedTree::new(1);
    for probability in [f64::NAN, -0.1, 1.1, f64::INFINITY] {
        let faults = Chaos::new(Pool::new(Vec::new()), Delay::NONE, probability, &seed);
        let error = faults.unwrap_err();
        assert_eq!(error.parameter, "failure_probability", "{probability}");
    }
}
