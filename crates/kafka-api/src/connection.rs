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
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::timeout;

use crate::answer::{Answer, Pending};
use crate::backlog::Held;
use crate::broker::Inner;
use crate::caller::Caller;
use crate::frame::{self, Frame, FrameError};
use crate::limits::{BACKLOG_LOOK, CONNECTION_ANSWERS_BYTES_MAX, FRAME_READ_MAX, RESPONSES_WAITING_MAX};
use crate::metrics::count;
use crate::outgoing::{OutFrame, Outgoing};
use crate::requests;

const READ_BUFFER_BYTES: usize = 16 * 1024;
const WRITE_BATCH_BYTES: usize = 64 * 1024;

/// An answer in the queue, and the room it takes until it is sent.
struct Queued {
    pending: Pending,
    room: Option<Room>,
}

/// The room that a waiting answer takes, in its connection and in all of them.
struct Room {
    _connection: OwnedSemaphorePermit,
    _all: Held,
}

/// Serves a connection until the client leaves, breaks a rule, or the program stops.
pub(crate) async fn run(socket: TcpStream, peer: SocketAddr, broker: Arc<Inner>, shutdown: watch::Receiver<bool>) {
    let Ok(local) = socket.local_addr() else { return };
    // Answers are small and awaited: waiting to fill a packet would only delay them.
    let _ = socket.set_nodelay(true);
    let number = broker.connections.fetch_add(1, Ordering::Relaxed);
    let caller = Caller {
        broker: Arc::clone(&broker),
        connection: number,
        peer,
        local,
        principal: Arc::from("anonymous"),
        client_id: String::new(),
        muted_ms: Arc::default(),
    };
    let (reader, writer) = socket.into_split();
    let (queue, answers) = mpsc::channel::<Queued>(RESPONSES_WAITING_MAX);
    let mut write = tokio::spawn(write_answers(writer, answers, peer));
    let read = read_requests(reader, caller, queue, shutdown);
    tokio::select! {
        () = read => {
            // What was submitted is still answered.
            let _ = (&mut write).await;
        }
        _ = &mut write => {}
    }
    broker.shares.disconnect(number);
}

async fn read_requests(
    mut reader: OwnedReadHalf,
    mut caller: Caller,
    queue: mpsc::Sender<Queued>,
    mut shutdown: watch::Receiver<bool>,
) {
    let room = Arc::new(Semaphore::new(CONNECTION_ANSWERS_BYTES_MAX));
    let idle_max = caller.broker.options.connection_idle_max;
    loop {
        // Nothing is taken here: an idle connection has no buffer.
        let mut first = [0];
        let woken = tokio::select! {
            () = stopped(&mut shutdown) => return,
            woken = timeout(idle_max, reader.peek(&mut first)) => woken,
        };
        match woken {
            Ok(Ok(1..)) => {}
            Ok(_) => return,
            Err(_) => {
                tracing::debug!(peer = %caller.peer, "connection closed: no request for {idle_max:?}");
                return;
            }
        }
        let mut burst = BufReader::with_capacity(READ_BUFFER_BYTES, &mut reader);
        loop {
            let answered = tokio::select! {
                () = stopped(&mut shutdown) => return,
                answered = answer_next(&mut burst, &mut caller, &queue, &room) => answered,
            };
            if !answered {
                return;
            }
            if burst.buffer().is_empty() {
                break;
            }
        }
    }
}

/// Resolves when the program stops.
pub(crate) async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    // A sender that is gone stops the door as well.
    let _ = shutdown.wait_for(|stop| *stop).await;
}

/// Reads a request, does what it asks, and queues its answer. `false`: the connection ends.
async fn answer_next(
    reader: &mut BufReader<&mut OwnedReadHalf>,
    caller: &mut Caller,
    queue: &mpsc::Sender<Queued>,
    room: &Arc<Semaphore>,
) -> bool {
    let broker = Arc::clone(&caller.broker);
    let peer = caller.peer;
    let bytes_max = broker.options.frame_bytes_max;
    let framed = timeout(FRAME_READ_MAX, frame::read(reader, bytes_max, &broker.frames)).await;
    let Frame { bytes, share } = match framed.unwrap_or(Err(FrameError::Slow)) {
        Ok(frame) => frame,
        Err(FrameError::Closed) => return false,
        Err(error) => {
            count(&broker.counters.refused, 1);
            log_refusal(&broker, peer, &error);
            return false;
        }
    };
    count(&broker.counters.requests, 1);
    while !frame::is_produce(&bytes) && broker.backlog.share() == 0 {
        // Its answer would only wait with the others. What is written is small to answer, and never waits for readers.
        tokio::time::sleep(BACKLOG_LOOK).await;
    }
    // Boxed: an idle connection does not keep room for the largest request's state.
    let handled = Box::pin(requests::handle(caller, bytes)).await;
    drop(share);
    let pending = match handled {
        Ok(pending) => pending,
        Err(error) => {
            count(&broker.counters.refused, 1);
            log_refusal(&broker, peer, &error);
            return false;
        }
    };
    let room = match &pending {
        Pending::Ready(Answer::Frame(frame)) => take_room(&broker, frame, room).await,
        // What waits for the disk is small.
        _ => None,
    };
    if queue.send(Queued { pending, room }).await.is_err() {
        return false;
    }
    let muted_ms = caller.muted_ms.swap(0, Ordering::AcqRel);
    if muted_ms > 0 {
        tokio::time::sleep(Duration::from_millis(muted_ms)).await;
    }
    true
}

/// Waits until an answer may wait to be sent: of a connection all its bytes count, as many files may be open for them, of all connections
/// together those in memory.
async fn take_room(broker: &Inner, frame: &OutFrame, room: &Arc<Semaphore>) -> Option<Room> {
    let held = broker.backlog.hold(frame.bytes_in_memory());
    let permits = frame.bytes().min(CONNECTION_ANSWERS_BYTES_MAX) as u32;
    let permit = Arc::clone(room).acquire_many_owned(permits).await.ok()?;
    Some(Room {
        _connection: permit,
        _all: held,
    })
}

fn log_refusal(broker: &Inner, peer: SocketAddr, error: &dyn std::error::Error) {
    let line = |unwritten| tracing::warn!(%peer, unwritten, "connection closed: {error}");
    broker.complaints.line(line);
}

/// Sends each answer in its turn. What is ready together leaves together; nothing that is ready waits for what is not.
async fn write_answers(mut writer: OwnedWriteHalf, mut answers: mpsc::Receiver<Queued>, peer: SocketAddr) {
    let mut out = Outgoing::new();
    loop {
        let Queued { pending, room } = match answers.try_recv() {
            Ok(queued) => queued,
            Err(_) => {
                if out.send(&mut writer, peer).await.is_err() {
                    return;
                }
                match answers.recv().await {
                    Some(queued) => queued,
                    None => break,
                }
            }
        };
        let answer = match pending {
            Pending::Ready(answer) => answer,
            Pending::Later(mut answer) => match look(&mut answer) {
                Some(answer) => answer,
                None => {
                    if out.send(&mut writer, peer).await.is_err() {
                        return;
                    }
                    answer.await
                }
            },
        };
        match answer {
            Answer::Frame(frame) => out.add(frame, room),
            Answer::Nothing => {}
            Answer::Close => break,
        }
        if out.bytes() >= WRITE_BATCH_BYTES && out.send(&mut writer, peer).await.is_err() {
            return;
        }
    }
    let _ = out.send(&mut writer, peer).await;
    let _ = writer.shutdown().await;
}

/// The answer, where it is there already.
fn look(answer: &mut Pin<Box<dyn Future<Output = Answer> + Send>>) -> Option<Answer> {
    match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    }
}
