//! One client's connection: requests in, answers out, in the same order.
//!
//! ```text
//! reader: frame -> decode -> effect ----> queue of answers ----> writer: waits for each in turn, sends it
//!                    produce: submitted, its answer resolves with the flush
//!                    all others: done before the next request is read
//! ```

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use bytes::BytesMut;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};

use crate::broker::Inner;
use crate::frame::{self, FrameError};
use crate::limits::{CONNECTION_IDLE_MAX, RESPONSES_WAITING_MAX};
use crate::metrics::count;
use crate::requests::{self, RequestError};
use crate::server::stopped;

const READ_BUFFER_BYTES: usize = 16 * 1024;
const WRITE_BATCH_BYTES: usize = 64 * 1024;

/// Who asks, and where they reached us.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) broker: Arc<Inner>,
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
    /// Who the events and definitions of this connection are written down for.
    pub(crate) principal: Arc<str>,
    /// What the client calls itself, with the request at hand.
    pub(crate) client_id: String,
}

/// What is sent for one request, once its turn has come.
pub(crate) enum Answer {
    /// These bytes, a whole frame.
    Frame(BytesMut),
    /// Nothing: the client asked for no answer.
    Nothing,
    /// Nothing, and the connection ends: the client asked for no answer and must learn of an error all the same.
    Close,
}

/// An answer that may still wait for the disk.
pub(crate) enum Pending {
    Ready(Answer),
    Later(Pin<Box<dyn Future<Output = Answer> + Send>>),
}

/// Serves a connection until the client leaves, breaks a rule, or the program stops.
pub(crate) async fn run(socket: TcpStream, peer: SocketAddr, broker: Arc<Inner>, shutdown: watch::Receiver<bool>) {
    let Ok(local) = socket.local_addr() else { return };
    // Answers are small and awaited: waiting to fill a packet would only delay them.
    let _ = socket.set_nodelay(true);
    let caller = Caller {
        broker,
        peer,
        local,
        principal: Arc::from("anonymous"),
        client_id: String::new(),
    };
    let (reader, writer) = socket.into_split();
    let (queue, answers) = mpsc::channel::<Pending>(RESPONSES_WAITING_MAX);
    let mut write = tokio::spawn(write_answers(writer, answers));
    let read = read_requests(reader, caller, queue, shutdown);
    tokio::select! {
        () = read => {
            // What was submitted is still answered.
            let _ = (&mut write).await;
        }
        _ = &mut write => {}
    }
}

async fn read_requests(
    reader: OwnedReadHalf,
    mut caller: Caller,
    queue: mpsc::Sender<Pending>,
    mut shutdown: watch::Receiver<bool>,
) {
    let mut reader = BufReader::with_capacity(READ_BUFFER_BYTES, reader);
    let broker = Arc::clone(&caller.broker);
    let peer = caller.peer;
    loop {
        let bytes_max = broker.options.frame_bytes_max;
        let framed = tokio::select! {
            () = stopped(&mut shutdown) => return,
            framed = tokio::time::timeout(CONNECTION_IDLE_MAX, frame::read(&mut reader, bytes_max)) => framed,
        };
        let frame = match framed {
            Ok(Ok(frame)) => frame,
            Ok(Err(FrameError::Closed)) => return,
            Ok(Err(error)) => {
                count(&broker.counters.refused, 1);
                tracing::warn!(%peer, "connection closed: {error}");
                return;
            }
            Err(_) => {
                tracing::debug!(%peer, "connection closed: no request for {CONNECTION_IDLE_MAX:?}");
                return;
            }
        };
        count(&broker.counters.requests, 1);
        let handled = tokio::select! {
            () = stopped(&mut shutdown) => return,
            handled = requests::handle(&mut caller, frame) => handled,
        };
        match handled {
            Ok(pending) => {
                if queue.send(pending).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                count(&broker.counters.refused, 1);
                log_refusal(peer, &error);
                return;
            }
        }
    }
}

fn log_refusal(peer: SocketAddr, error: &RequestError) {
    tracing::warn!(%peer, "connection closed: {error}");
}

async fn write_answers(mut writer: OwnedWriteHalf, mut answers: mpsc::Receiver<Pending>) {
    let mut out = BytesMut::new();
    let mut next: Option<Pending> = None;
    loop {
        let pending = match next.take() {
            Some(pending) => pending,
            None => match answers.recv().await {
                Some(pending) => pending,
                None => break,
            },
        };
        let answer = match pending {
            Pending::Ready(answer) => answer,
            Pending::Later(answer) => answer.await,
        };
        match answer {
            Answer::Frame(frame) if out.is_empty() => out = frame,
            Answer::Frame(frame) => out.extend_from_slice(&frame),
            Answer::Nothing => {}
            Answer::Close => break,
        }
        // Answers that are ready together leave together.
        if out.len() < WRITE_BATCH_BYTES
            && let Ok(pending) = answers.try_recv()
        {
            let ready = matches!(pending, Pending::Ready(_));
            next = Some(pending);
            if ready {
                continue;
            }
        }
        if writer.write_all(&out).await.is_err() {
            return;
        }
        // A fetch's answer is large; its memory is not kept.
        out = BytesMut::new();
    }
    // Whatever was collected before the end.
    let _ = writer.write_all(&out).await;
    let _ = writer.shutdown().await;
}
