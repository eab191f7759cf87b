//! How much of a connection the kernel holds, on its way in and out.
//!
//! Left to itself the kernel lets these grow to many megabytes, for networks that are long. What waits there has left the processor's cache by the time
//! that it is copied out, so that a fast client of the same house costs more the further it runs ahead.

use std::io;
use std::net;
use std::os::fd::AsFd;

use tokio::net::{TcpSocket, TcpStream};

use crate::KafkaOptions;

/// Gives a connection that was just accepted its buffers, where they are set. The kernel keeps to its own bounds (`net.core.rmem_max` and `wmem_max`).
pub(crate) fn bound(socket: &TcpStream, options: &KafkaOptions) -> io::Result<()> {
    if options.receive_buffer_bytes.is_none() && options.send_buffer_bytes.is_none() {
        return Ok(());
    }
    // A second handle of the same socket: what is set holds for both, and this one is closed again.
    let handle = socket.as_fd().try_clone_to_owned()?;
    let handle = TcpSocket::from_std_stream(net::TcpStream::from(handle));
    if let Some(bytes) = options.receive_buffer_bytes {
        handle.set_recv_buffer_size(bytes)?;
    }
    if let Some(bytes) = options.send_buffer_bytes {
        handle.set_send_buffer_size(bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// What the kernel says of a connection whose buffers were set so.
    async fn check(bytes: Option<u32>) -> (u32, u32) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (socket, _) = listener.accept().await.unwrap();
        let options = KafkaOptions {
            receive_buffer_bytes: bytes,
            send_buffer_bytes: bytes,
            ..KafkaOptions::default()
        };
        bound(&socket, &options).unwrap();
        drop(client);
        let handle = socket.as_fd().try_clone_to_owned().unwrap();
        let handle = TcpSocket::from_std_stream(net::TcpStream::from(handle));
        (handle.recv_buffer_size().unwrap(), handle.send_buffer_size().unwrap())
    }

    #[tokio::test]
    async fn a_connection_has_the_buffers_that_were_set() {
        let (receive, send) = check(Some(40_000)).await;
        // Linux doubles what it is told, for its own needs.
        assert!((40_000..=80_000).contains(&receive), "{receive}");
        assert!((40_000..=80_000).contains(&send), "{send}");
        let (receive, send) = check(None).await;
        assert!(receive > 80_000 && send > 80_000, "{receive}, {send}");
    }
}
