//! A frame: a length in four bytes, and so many bytes. A request's begins with its API key, version and correlation id.
//!
//! Invariant: memory grows with the bytes that came, never by the length that was stated.

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::limits::{FRAME_BYTES_MIN, FRAME_BYTES_RESERVED};

/// Why no frame was read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("the client closed the connection")]
    Closed,
    #[error(
        "a request says it has {length} bytes, more than the {max} that are taken: send smaller requests or raise the limit"
    )]
    TooLarge { length: i32, max: usize },
    #[error("a request says it has {length} bytes, fewer than its header's {FRAME_BYTES_MIN}: this is no Kafka client")]
    TooSmall { length: i32 },
    #[error("the connection broke in the middle of a request: {0}")]
    Broken(std::io::Error),
}

/// Reads one frame, without its length.
pub(crate) async fn read(reader: &mut (impl AsyncRead + Unpin), bytes_max: usize) -> Result<Bytes, FrameError> {
    let mut prefix = [0; 4];
    if let Err(error) = reader.read_exact(&mut prefix).await {
        return Err(match error.kind() {
            std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::ConnectionReset => FrameError::Closed,
            _ => FrameError::Broken(error),
        });
    }
    let length = i32::from_be_bytes(prefix);
    let bytes = match usize::try_from(length) {
        Ok(bytes) if bytes > bytes_max => return Err(FrameError::TooLarge { length, max: bytes_max }),
        Ok(bytes) if bytes >= FRAME_BYTES_MIN => bytes,
        _ => return Err(FrameError::TooSmall { length }),
    };
    // A buffer of its own for each frame: a batch inside can then be changed in place.
    let mut frame = BytesMut::with_capacity(bytes.min(FRAME_BYTES_RESERVED));
    let mut rest = reader.take(bytes as u64);
    while frame.len() < bytes {
        let read = rest.read_buf(&mut frame).await.map_err(FrameError::Broken)?;
        if read == 0 {
            return Err(FrameError::Broken(std::io::ErrorKind::UnexpectedEof.into()));
        }
    }
    Ok(frame.freeze())
}

/// The part of a request's header that stands at the same place in every version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) api_key: i16,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
}

/// Takes the head off a frame; `None` where the frame is shorter.
pub(crate) fn take_head(frame: &mut Bytes) -> Option<Head> {
    Some(Head {
        api_key: frame.try_get_i16().ok()?,
        version: frame.try_get_i16().ok()?,
        correlation_id: frame.try_get_i32().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check(bytes: &[u8], bytes_max: usize) -> Result<Bytes, String> {
        let mut reader = bytes;
        read(&mut reader, bytes_max).await.map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn lengths_on_both_sides_of_the_limits() {
        let frame = |length: i32, bytes: usize| [length.to_be_bytes().as_slice(), &vec![7; bytes]].concat();
        assert_eq!(check(&frame(8, 8), 8).await.unwrap().len(), 8);
        assert!(check(&frame(9, 9), 8).await.unwrap_err().contains("more than the 8"));
        assert!(
            check(&frame(7, 7), 8)
                .await
                .unwrap_err()
                .contains("fewer than its header's 8")
        );
        assert!(
            check(&frame(-1, 8), 8)
                .await
                .unwrap_err()
                .contains("says it has -1 bytes")
        );
        assert!(
            check(&frame(i32::MAX, 8), 100)
                .await
                .unwrap_err()
                .contains("2147483647")
        );
        assert!(
            check(&frame(100_000, 99_999), 200_000)
                .await
                .unwrap_err()
                .contains("middle of a request")
        );
        assert_eq!(check(&frame(100_000, 100_000), 200_000).await.unwrap().len(), 100_000);
        assert!(check(&[0, 0], 8).await.unwrap_err().contains("closed the connection"));
    }
}
