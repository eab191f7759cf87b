//! A frame: a length in four bytes, and so many bytes. A request's begins with its API key, version and correlation id.
//!
//! Invariants
//! - Memory grows with the bytes that came, never by the length that was stated.
//! - A large frame takes its share of what all connections may have on their way, and waits where there is none (`frame/room.rs`).

mod room;

use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::limits::{
    FRAME_BYTES_MIN, FRAME_BYTES_RESERVED, FRAME_GROWTH, FRAME_PORTION_BYTES, FRAME_PORTION_FILLING_MAX, FRAME_READ_MAX,
};
pub(crate) use room::{FrameRoom, Share};

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
    #[error(
        "a large request stood still for {FRAME_PORTION_FILLING_MAX:?} while others waited for the memory that it held"
    )]
    InTheWay,
    #[error("the connection broke in the middle of a request: {0}")]
    Broken(std::io::Error),
}

/// One frame, without its length, and the room it takes while it is looked at.
pub(crate) struct Frame {
    pub(crate) bytes: Bytes,
    pub(crate) share: Option<Share>,
}

/// Reads one frame.
pub(crate) async fn read(
    reader: &mut (impl AsyncRead + Unpin),
    bytes_max: usize,
    room: &Arc<FrameRoom>,
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
    let mut share = (bytes > FRAME_BYTES_RESERVED).then(|| room.begin());
    let mut room_for = 0;
    while frame.len() < bytes {
        if let Some(share) = &mut share
            && frame.len() >= room_for
        {
            share.more().await;
            room_for += FRAME_PORTION_BYTES;
        }
        if frame.len() == frame.capacity() {
            // At first as much as it has room for; then memory that is paid for only as bytes come.
            let more = (frame.len() * FRAME_GROWTH).max(FRAME_PORTION_BYTES);
            frame.reserve(more.min(bytes - frame.len()));
        }
        let reading = rest.read_buf(&mut frame);
        let read = match &share {
            None => reading.await,
            Some(share) => tokio::select! {
                biased;
                read = reading => read,
                () = share.is_in_the_way() => return Err(FrameError::InTheWay),
            },
        };
        if read.map_err(FrameError::Broken)? == 0 {
            return Err(FrameError::Broken(std::io::ErrorKind::UnexpectedEof.into()));
        }
    }
    Ok(Frame {
        bytes: frame.freeze(),
        share,
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
    use std::time::Duration;

    use tokio::io::AsyncWriteExt;

    use super::*;

    fn room(portions_max: usize, filling_max: Duration) -> Arc<FrameRoom> {
        Arc::new(FrameRoom::new(portions_max, filling_max))
    }

    async fn check(bytes: &[u8], bytes_max: usize) -> Result<Bytes, String> {
        let mut reader = bytes;
        let frame = read(&mut reader, bytes_max, &room(1, FRAME_READ_MAX)).await;
        frame.map(|frame| frame.bytes).map_err(|error| error.to_string())
    }

    /// A frame of so many bytes, its length before it.
    fn frame(bytes: usize) -> Vec<u8> {
        [(bytes as i32).to_be_bytes().as_slice(), &vec![7; bytes]].concat()
    }

    #[tokio::test]
    async fn large_frames_wait_for_room_and_small_ones_never_do() {
        let room = room(2, FRAME_READ_MAX);
        let (large, small) = (frame(FRAME_PORTION_BYTES + 1), frame(FRAME_BYTES_RESERVED));
        let first = read(&mut large.as_slice(), 1 << 30, &room).await.unwrap();
        assert_eq!((first.bytes.len(), room.taken()), (FRAME_PORTION_BYTES + 1, 2));
        let mut reader = large.as_slice();
        let second = read(&mut reader, 1 << 30, &room);
        let second = tokio::time::timeout(Duration::from_millis(50), second);
        assert!(second.await.is_err(), "there was no room");
        let small = read(&mut small.as_slice(), 1 << 30, &room).await.unwrap();
        assert!(small.share.is_none());
        drop(first);
        assert!(read(&mut large.as_slice(), 1 << 30, &room).await.is_ok());
    }

    #[tokio::test]
    async fn nine_halves_that_stand_still_make_way_for_a_whole_request() {
        let room = room(18, Duration::from_millis(200));
        let half = &frame(4 * FRAME_PORTION_BYTES)[..2 * FRAME_PORTION_BYTES + 4];
        // The other end stays open: each waits for what does not come.
        let (mut ends, mut slow) = (Vec::new(), Vec::new());
        for _ in 0..9 {
            let (mut client, server) = tokio::io::duplex(half.len());
            client.write_all(half).await.unwrap();
            ends.push(client);
            let room = Arc::clone(&room);
            slow.push(tokio::spawn(async move {
                let mut server = server;
                read(&mut server, 1 << 30, &room).await.map(|frame| frame.bytes)
            }));
        }
        while room.taken() < 18 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let whole = frame(3 * FRAME_PORTION_BYTES);
        let whole = tokio::time::timeout(Duration::from_secs(60), async {
            read(&mut whole.as_slice(), 1 << 30, &room).await
        });
        assert_eq!(whole.await.unwrap().unwrap().bytes.len(), 3 * FRAME_PORTION_BYTES);
        let mut gave_way = 0;
        for task in slow.iter_mut().filter(|task| task.is_finished()) {
            assert!(matches!(task.await.unwrap(), Err(FrameError::InTheWay)));
            gave_way += 1;
        }
        assert!(gave_way > 0);
        slow.iter().for_each(tokio::task::JoinHandle::abort);
    }

    #[tokio::test]
    async fn requests_that_are_larger_together_than_there_is_become_whole_one_after_another() {
        let room = room(4, FRAME_READ_MAX);
        let large = frame(3 * FRAME_PORTION_BYTES);
        let all = (0..4).map(|_| {
            let (room, large) = (Arc::clone(&room), large.clone());
            tokio::spawn(async move {
                let (mut client, mut server) = tokio::io::duplex(FRAME_PORTION_BYTES / 4);
                let send = async { client.write_all(&large).await.unwrap() };
                let (read, ()) = tokio::join!(read(&mut server, 1 << 30, &room), send);
                read.map(|frame| frame.bytes.len())
            })
        });
        for one in all.collect::<Vec<_>>() {
            let bytes = tokio::time::timeout(Duration::from_secs(60), one).await.unwrap();
            assert_eq!(bytes.unwrap().unwrap(), 3 * FRAME_PORTION_BYTES);
        }
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
