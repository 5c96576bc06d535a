//! The floor: the least that could do the work. An axum receiver that makes an alert durable before its
//! answer, calls four times over kept connections, and makes each answer durable before the next call.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::sync::oneshot;

type Line = (String, oneshot::Sender<()>);

#[derive(Clone)]
struct Floor {
    log: Sender<Line>,
    client: Client<HttpConnector, Full<axum::body::Bytes>>,
    vendor: u16,
}

/// Serves until it is killed.
pub(crate) async fn serve(port: u16, vendor: u16, folder: &Path) {
    let (log, lines) = channel();
    let file = File::create(folder.join("floor.log")).unwrap();
    std::thread::spawn(move || write(file, &lines));
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new()).build(connector);
    let floor = Floor { log, client, vendor };
    let app = Router::new().route("/v1/hooks/siem", post(receive)).with_state(floor);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let listener = axum::serve::ListenerExt::tap_io(listener, |socket| {
        socket.set_nodelay(true).unwrap();
    });
    axum::serve(listener, app).await.unwrap();
}

/// Group commit: whatever is queued is one write and one `fdatasync`.
fn write(mut file: File, lines: &Receiver<Line>) {
    while let Ok(first) = lines.recv() {
        let mut group = vec![first];
        group.extend(lines.try_iter().take(511));
        let bytes: String = group.iter().map(|(line, _)| line.as_str()).collect();
        file.write_all(bytes.as_bytes()).unwrap();
        file.sync_data().unwrap();
        for (_, durable) in group {
            // A receiver that went away does not need to know.
            _ = durable.send(());
        }
    }
}

async fn receive(State(floor): State<Floor>, headers: HeaderMap, body: String) -> StatusCode {
    let bearer = headers.get("authorization").and_then(|v| v.to_str().ok());
    if bearer != Some(&format!("Bearer {}", crate::SECRET)) {
        return StatusCode::UNAUTHORIZED;
    }
    let Ok(alert) = serde_json::from_str::<Value>(&body) else { return StatusCode::BAD_REQUEST };
    let Some(person) = alert["account"]["provider_id"].as_str().map(str::to_owned) else {
        return StatusCode::BAD_REQUEST;
    };
    floor.commit(format!("{{\"alert\":{alert}}}\n")).await;
    tokio::spawn(async move { floor.contain(&person).await });
    StatusCode::ACCEPTED
}

impl Floor {
    async fn commit(&self, line: String) {
        let (told, durable) = oneshot::channel();
        self.log.send((line, told)).unwrap();
        durable.await.unwrap();
    }

    async fn contain(&self, person: &str) {
        for step in 1..=4 {
            let request =
                hyper::Request::post(format!("http://127.0.0.1:{}/{step}/{person}", self.vendor))
                    .header("authorization", "Bearer bench-vendor-token")
                    .header("content-type", "application/json")
                    .body(Full::from(format!("{{\"account\":\"{person}\"}}")))
                    .unwrap();
            let answer = self.client.request(request).await.unwrap();
            let status = answer.status().as_u16();
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            let line = format!(
                "{{\"step\":{step},\"person\":\"{person}\",\"status\":{status},\"bytes\":{}}}\n",
                body.len()
            );
            self.commit(line).await;
        }
    }
}
