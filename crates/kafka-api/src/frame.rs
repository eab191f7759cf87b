//! A frame: a length in four bytes, and so many bytes. A request's begins with its API key, version and correlation id.
//!
//! Invariants
//! - Memory grows with the bytes that came, never by the length that was stated.
//! - A large frame takes its share of what all connections may have on their way, and waits where there is none.

use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::{FRAME_BYTES_MIN, FRAME_BYTES_RESERVED, FRAME_GROWTH, FRAME_READ_MAX, FRAME_ROOM_UNIT};

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
    #[error(
        "a request was not whole after {FRAME_READ_MAX:?}: it came too slowly, or too many large ones came at once"
    )]
    Slow,
    #[error("the connection broke in the middle of a request: {0}")]
    Broken(std::io::Error),
}

/// One frame, without its length, and the room it takes while it is looked at.
pub(crate) struct Frame {
    pub(crate) bytes: Bytes,
    pub(crate) room: Option<OwnedSemaphorePermit>,
}

/// Reads one frame.
pub(crate) async fn read(
    reader: &mut (impl AsyncRead + Unpin),
    bytes_max: usize,
    room: &Arc<Semaphore>,
) -> Result<Frame, FrameError> {
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
    let mut frame = BytesMut::new();
    let mut rest = reader.take(bytes as u64);
    let mut taken: Option<OwnedSemaphorePermit> = None;
    while frame.len() < bytes {
        let held = taken.as_ref().map_or(0, OwnedSemaphorePermit::num_permits) * FRAME_ROOM_UNIT;
        if bytes > FRAME_BYTES_RESERVED && frame.len() >= held {
            let more = Arc::clone(room).acquire_owned().await.map_err(|_| FrameError::Closed)?;
            match &mut taken {
                Some(taken) => taken.merge(more),
                None => taken = Some(more),
            }
        }
        if frame.len() == frame.capacity() {
            // At first as much as it has room for; then memory that is paid for only as bytes come.
            let more = (frame.len() * FRAME_GROWTH).max(FRAME_ROOM_UNIT);
            frame.reserve(more.min(bytes - frame.len()));
        }
        let read = rest.read_buf(&mut frame).await.map_err(FrameError::Broken)?;
        if read == 0 {
            return Err(FrameError::Broken(std::io::ErrorKind::UnexpectedEof.into()));
        }
    }
    Ok(Frame {
        bytes: frame.freeze(),
        room: taken,
    })
}

/// The part of a request's header that stands at the same place in every version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) api_key: i16,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
}

/// Whether a frame is a Produce request, by its API key.
pub(crate) fn is_produce(frame: &[u8]) -> bool {
    frame.starts_with(&[0, 0])
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
        let room = Arc::new(Semaphore::new(1));
        let frame = read(&mut reader, bytes_max, &room).await;
        frame.map(|frame| frame.bytes).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn large_frames_wait_for_room_and_small_ones_never_do() {
        let room = Arc::new(Semaphore::new(2));
        let frame = |bytes: usize| [(bytes as i32).to_be_bytes().as_slice(), &vec![7; bytes]].concat();
        let (large, small) = (frame(FRAME_ROOM_UNIT + 1), frame(FRAME_BYTES_RESERVED));
        let first = read(&mut large.as_slice(), 1 << 30, &room).await.unwrap();
        assert_eq!((first.bytes.len(), room.available_permits()), (FRAME_ROOM_UNIT + 1, 0));
        let mut reader = large.as_slice();
        let second = read(&mut reader, 1 << 30, &room);
        let second = tokio::time::timeout(std::time::Duration::from_millis(50), second);
        assert!(second.await.is_err(), "there was no room");
        assert!(
            read(&mut small.as_slice(), 1 << 30, &room)
                .await
                .unwrap()
                .room
                .is_none()
        );
        drop(first);
        assert!(read(&mut large.as_slice(), 1 << 30, &room).await.is_ok());
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
