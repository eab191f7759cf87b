//! Requests and answers byte by byte over a socket.

use std::time::Duration;

use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::door::Door;

pub async fn connect(door: &Door) -> TcpStream {
    TcpStream::connect(door.address).await.unwrap()
}

pub fn frame(api_key: i16, version: i16, body: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    out.put_i32(8 + 3 + body.len() as i32);
    out.put_i16(api_key);
    out.put_i16(version);
    out.put_i32(77);
    out.put_slice(&[0, 1, b'c']);
    out.put_slice(body);
    out.to_vec()
}

pub async fn ask(socket: &mut TcpStream, request: &[u8]) -> Vec<u8> {
    socket.write_all(request).await.unwrap();
    answer(socket).await
}

pub async fn answer(socket: &mut TcpStream) -> Vec<u8> {
    let reading = async {
        let length = socket.read_i32().await.unwrap();
        let mut body = vec![0; length as usize];
        socket.read_exact(&mut body).await.unwrap();
        assert_eq!(body[..4], 77_i32.to_be_bytes());
        body.split_off(4)
    };
    tokio::time::timeout(Duration::from_secs(120), reading)
        .await
        .expect("an answer comes")
}
