//! Bodies that come packed: taken with gzip, inside of the limit that holds for what is in them.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::door::{Answer, Door};

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

async fn ask(door: &Door, coding: &str, body: &[u8]) -> Answer {
    let head = format!(
        "POST /sql HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Encoding: {coding}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    door.send(&[head.as_bytes(), body].concat()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_may_be_packed_with_gzip_and_with_nothing_else() {
    let door = Door::open(|options| options.body_bytes_max = 1_000).await;
    let answer = ask(&door, "gzip", &gzip("SELECT 1 AS one")).await;
    assert_eq!((answer.status, answer.json()["rows"][0][0].as_i64()), (200, Some(1)));
    // Two pieces one behind the other are one body (RFC 1952, 2.2).
    let pieces = [gzip("SELECT 1 "), gzip("AS one")].concat();
    assert_eq!(ask(&door, "X-GZIP", &pieces).await.status, 200);
    assert_eq!(ask(&door, "identity", b"SELECT 1").await.status, 200);

    let answer = ask(&door, "br", b"SELECT 1").await;
    assert_eq!(
        (answer.status, answer.json()["code"].as_str()),
        (415, Some("unsupported_coding"))
    );
    assert_eq!(answer.header("accept-encoding"), Some("gzip, identity"));
    let packed = gzip("SELECT 1");
    for broken in [&packed[..packed.len() - 1], b"SELECT 1", b""] {
        assert_eq!(ask(&door, "gzip", broken).await.status, 400, "{broken:?}");
    }

    let fits = format!("SELECT 1{}", " ".repeat(992));
    assert_eq!(ask(&door, "gzip", &gzip(&fits)).await.status, 200);
    let answer = ask(&door, "gzip", &gzip(&format!("{fits} "))).await;
    assert_eq!(
        (answer.status, answer.json()["code"].as_str()),
        (413, Some("too_large"))
    );
    let answer = ask(&door, "gzip", &gzip(&" ".repeat(900_000))).await;
    assert_eq!(answer.status, 413);
    door.close().await;
}
