//! GET of a row over HTTP/1.1.

use anyhow::{Context, ensure};

use super::client::{Answer, Ask};

/// Rows whose addresses are this and a number.
#[derive(Debug, Clone, Copy)]
pub struct Get(pub &'static str);

impl Get {
    /// The request for what is at an address.
    pub fn request(address: &str) -> Vec<u8> {
        format!("GET {address} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
    }
}

impl Ask for Get {
    fn ask(&self, row: u64, request: &mut Vec<u8>) {
        request.extend_from_slice(b"GET ");
        request.extend_from_slice(self.0.as_bytes());
        request.extend_from_slice(row.to_string().as_bytes());
        request.extend_from_slice(b" HTTP/1.1\r\nHost: localhost\r\n\r\n");
    }
}

impl Answer for Get {
    fn length(answer: &[u8]) -> anyhow::Result<Option<usize>> {
        let Some(head) = head(answer) else { return Ok(None) };
        ensure!(
            answer.starts_with(b"HTTP/1.1 200"),
            "answered {}",
            String::from_utf8_lossy(&answer[..head.min(40)])
        );
        let length = answer[..head]
            .split(|byte| *byte == b'\n')
            .find_map(|line| line.strip_prefix(b"content-length: "));
        let length = length.context("the answer says its length")?;
        let length: usize = std::str::from_utf8(length)?.trim().parse()?;
        Ok(Some(head + length))
    }
}

fn head(answer: &[u8]) -> Option<usize> {
    answer
        .windows(4)
        .position(|bytes| bytes == b"\r\n\r\n")
        .map(|at| at + 4)
}
