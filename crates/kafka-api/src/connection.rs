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
use std::task::{Context, Poll, Waker};

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

/// Sends each answer in its turn. What is ready together leaves together; nothing that is ready waits for what is not.
async fn write_answers(mut writer: OwnedWriteHalf, mut answers: mpsc::Receiver<Pending>) {
    let mut out = BytesMut::new();
    loop {
        let pending = match answers.try_recv() {
            Ok(pending) => pending,
            Err(_) => {
                if send(&mut writer, &mut out).await.is_err() {
                    return;
                }
                match answers.recv().await {
                    Some(pending) => pending,
                    None => break,
                }
            }
        };
        let answer = match pending {
            Pending::Ready(answer) => answer,
            Pending::Later(mut answer) => match look(&mut answer) {
                Some(answer) => answer,
                None => {
                    if send(&mut writer, &mut out).await.is_err() {
                        return;
                    }
                    answer.await
                }
            },
        };
        match answer {
            Answer::Frame(frame) if out.is_empty() => out = frame,
            Answer::Frame(frame) => out.extend_from_slice(&frame),
            Answer::Nothing => {}
            Answer::Close => break,
        }
        if out.len() >= WRITE_BATCH_BYTES && send(&mut writer, &mut out).await.is_err() {
            return;
        }
    }
    let _ = send(&mut writer, &mut out).await;
    let _ = writer.shutdown().await;
}

/// The answer, where it is there already.
fn look(answer: &mut Pin<Box<dyn Future<Output = Answer> + Send>>) -> Option<Answer> {
    match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    }
}

async fn send(writer: &mut OwnedWriteHalf, out: &mut BytesMut) -> std::io::Result<()> {
    if out.is_empty() {
        return Ok(());
    }
    // A fetch's answer is large; its memory is not kept.
    let frame = std::mem::take(out);
    writer.write_all(&frame).await
}
