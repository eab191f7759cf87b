//! A connection that is handed on with bytes that were read from it: whoever reads gets those first.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream and what was read from it.
#[derive(Debug)]
pub(crate) struct Handed<S> {
    before: Bytes,
    stream: S,
}

impl<S> Handed<S> {
    pub(crate) fn new(before: Vec<u8>, stream: S) -> Handed<S> {
        Handed {
            before: before.into(),
            stream,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Handed<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.before.is_empty() {
            return Pin::new(&mut this.stream).poll_read(context, into);
        }
        let bytes = this.before.len().min(into.remaining());
        into.put_slice(&this.before[..bytes]);
        this.before.advance(bytes);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Handed<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn what_was_read_comes_first() {
        let mut handed = Handed::new(b"abc".to_vec(), &b"def"[..]);
        let mut two = [0; 2];
        handed.read_exact(&mut two).await.unwrap();
        assert_eq!(&two, b"ab");
        let mut rest = String::new();
        handed.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "cdef");
    }
}
