//! A page of another site whose name leads to this machine gets nothing, by whichever way its request is answered.

use std::sync::Arc;

use crate::bank::{JSON, bank, deposit};
use crate::door::{Answer, Door};

/// One request that names a host; its connection ends with it.
async fn ask(door: &Door, host: &str, method: &str, path: &str, body: &str) -> Answer {
    let length = body.len();
    // One that ends its connection is hyper's: this one is read without it where its address is one of those.
    let request =
        format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{JSON}\r\nContent-Length: {length}\r\n\r\n{body}");
    let last = "GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".to_owned();
    door.send(format!("{request}{last}").as_bytes()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_whose_name_leads_here_gets_nothing() {
    let named: Arc<[String]> = Arc::from(["bank.example".to_owned()]);
    let door = Door::open(|options| options.hosts = named).await;
    bank(&door).await;
    let port = door.port;
    let append = deposit("a", "1");
    let requests = [
        ("GET", "/", ""),
        ("GET", "/views/balances/a", ""),
        ("GET", "/views/balances/changes", ""),
        ("GET", "/streams/transactions/entities/a", ""),
        ("GET", "/streams/transactions/events", ""),
        ("GET", "/nowhere", ""),
        ("OPTIONS", "/views", ""),
        ("POST", "/streams/transactions/events", &append),
        ("POST", "/commands/withdraw", "{}"),
        ("POST", "/sql", r#"{"sql": "SELECT 1"}"#),
    ];
    for (method, path, body) in requests {
        let refused = ask(&door, &format!("evil.example:{port}"), method, path, body).await;
        assert!(
            refused.head.starts_with("HTTP/1.1 421 Misdirected Request\r\n"),
            "{path}: {refused:?}"
        );
        assert!(refused.body.contains(r#""code":"unknown_host""#), "{path}: {refused:?}");
        assert!(
            refused.body.contains("'evil.example' is no name of this door"),
            "{path}: {refused:?}"
        );
    }
    for host in ["localhost", "127.0.0.1", "[::1]", "bank.localhost", "bank.example"] {
        let taken = ask(&door, &format!("{host}:{port}"), "GET", "/views/balances/a", "").await;
        assert_eq!(taken.status, 404, "{host}: {taken:?}");
        let taken = ask(&door, host, "GET", "/views", "").await;
        assert_eq!(taken.status, 200, "{host}: {taken:?}");
    }
    door.close().await;
}
