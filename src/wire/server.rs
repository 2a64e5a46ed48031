//! Accepting connections, counting them, and letting them go.

use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::auth::authenticate;
use super::connection::Connection;
use super::error::ProtocolError;
use super::messages::{self, Severity};
use super::socket::{Socket, Stream};
use super::startup::{Arrival, Newcomer, arrive};
use super::tls::ServedTls;
use super::unread::Unread;
use crate::error::Report;
use crate::session::{Backend, Gateway, Interrupt};

/// Sockets beyond `max_connections` that may be in their start-up: cancel requests, and those to be refused.
const NEWCOMERS: usize = 64;
/// A message of a client that is not yet authenticated is no larger.
const MAX_UNAUTHENTICATED_MESSAGE: usize = 64 << 10;
/// After an error of `accept` (no descriptors left), wait this long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What a refused client has to read its reason.
const FAREWELL: Duration = Duration::from_secs(1);

/// What all connections share.
struct Shared<G> {
    gateway: Arc<G>,
    tls: Option<Arc<ServedTls>>,
    sessions: Semaphore,
    next_process_id: AtomicI32,
    interrupts: Mutex<HashMap<i32, Arc<Interrupt>>>,
    draining: watch::Sender<bool>,
}

/// Serves PostgreSQL's protocol, encrypted where there is a certificate, until `shutdown`; then idle sessions end with 57P01, running statements may finish within
/// `grace`, and what is left is stopped. Returns when the last connection is gone.
pub async fn serve<G: Gateway>(
    listener: TcpListener,
    gateway: Arc<G>,
    tls: Option<Arc<ServedTls>>,
    shutdown: impl Future<Output = ()>,
    grace: Duration,
) {
    let limits = gateway.limits();
    let sockets = Arc::new(Semaphore::new(limits.max_connections.saturating_add(NEWCOMERS).min(Semaphore::MAX_PERMITS)));
    let shared = Arc::new(Shared {
        gateway,
        tls,
        sessions: Semaphore::new(limits.max_connections.min(Semaphore::MAX_PERMITS)),
        next_process_id: AtomicI32::new(1),
        interrupts: Mutex::new(HashMap::new()),
        draining: watch::Sender::new(false),
    });
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        let accepted = async {
            let permit = Arc::clone(&sockets).acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            () = &mut shutdown => break,
            Some(ended) = connections.join_next() => {
                report_panic(ended);
                continue;
            }
            accepted = accepted => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                // Without it, the last packet of an answer may wait for an acknowledgement.
                let _ = stream.set_nodelay(true);
                let (shared, unread) = (Arc::clone(&shared), Unread::of(&stream));
                connections.spawn(async move {
                    shared.connection(Box::new(stream), Some(peer), unread).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "accepting a connection failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    shared.draining.send_replace(true);
    let finished = async {
        while let Some(ended) = connections.join_next().await {
            report_panic(ended);
        }
    };
    if tokio::time::timeout(grace, finished).await.is_err() {
        for interrupt in shared.interrupts.lock().values() {
            interrupt.terminate();
        }
        let last = async { while connections.join_next().await.is_some() {} };
        // A connection that does not even end by termination is cut off when the set is dropped.
        let _ = tokio::time::timeout(grace.min(2 * FAREWELL), last).await;
    }
}

/// Serves one connection that somebody else accepted: tests, and sockets of another kind.
pub async fn serve_connection<G: Gateway>(stream: impl Stream + 'static, gateway: Arc<G>, tls: Option<Arc<ServedTls>>) {
    let shared = Shared {
        gateway,
        tls,
        sessions: Semaphore::new(1),
        next_process_id: AtomicI32::new(1),
        interrupts: Mutex::new(HashMap::new()),
        draining: watch::Sender::new(false),
    };
    shared.connection(Box::new(stream), None, None).await;
}

fn report_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection panicked");
    }
}

impl<G: Gateway> Shared<G> {
    async fn connection(&self, stream: Box<dyn Stream>, peer: Option<SocketAddr>, unread: Option<Unread>) {
        let limits = self.gateway.limits();
        let process_id = self.next_process_id.fetch_add(1, Ordering::Relaxed);
        let arrival = arrive(stream, self.gateway.as_ref(), self.tls.as_deref(), peer, process_id);
        // Whoever says nothing for that long is not owed an answer.
        let newcomer = match tokio::time::timeout(limits.startup_timeout, arrival).await {
            Ok(Arrival::Newcomer(newcomer)) => newcomer,
            Ok(Arrival::Refused(stream, report)) => {
                self.gateway.refused(&report, None, peer);
                return refuse(stream, &report).await;
            }
            Ok(Arrival::Done) | Err(_) => return,
        };
        let Newcomer { stream, input, channel, startup, negotiation } = *newcomer;
        let user = startup.user.clone();
        let refused = |report: Report| {
            self.gateway.refused(&report, Some(&user), peer);
            report
        };
        let Ok(_session) = self.sessions.try_acquire() else {
            return refuse(stream, &refused(ProtocolError::TooManyClients.into())).await;
        };
        let mut socket = Socket::new(stream, input, MAX_UNAUTHENTICATED_MESSAGE);
        if let Some((version, unknown)) = negotiation {
            messages::negotiate_protocol_version(version, &unknown, &mut socket.output);
        }
        let how = self.gateway.authentication(&startup.user);
        let authenticated = authenticate(&mut socket, &startup.user, &how, &channel);
        match tokio::time::timeout(limits.startup_timeout, authenticated).await {
            Ok(Ok(())) => {}
            Ok(Err(Some(report))) => return socket.refuse(&refused(report)).await,
            Ok(Err(None)) | Err(_) => return,
        }
        if *self.draining.borrow() {
            return socket.refuse(&refused(ProtocolError::ShuttingDown.into())).await;
        }
        let secret = startup.secret.clone();
        let mut session = match self.gateway.open(startup).await {
            Ok(session) => session,
            Err(report) => return socket.refuse(&refused(report)).await,
        };
        socket.set_max_message_size(limits.max_message_size);
        for (name, value) in session.take_parameter_changes() {
            messages::parameter_status(&name, &value, &mut socket.output);
        }
        messages::backend_key_data(process_id, &secret, &mut socket.output);
        let interrupt = session.interrupt();
        if let Some(unread) = unread {
            interrupt.watch(Box::new(unread));
        }
        self.interrupts.lock().insert(process_id, interrupt);
        let registered = Registered { interrupts: &self.interrupts, process_id };
        Connection::new(socket, session, limits, self.draining.subscribe()).run().await;
        drop(registered);
    }
}

/// An interrupt that termination can find, for as long as its connection lives.
struct Registered<'a> {
    interrupts: &'a Mutex<HashMap<i32, Arc<Interrupt>>>,
    process_id: i32,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.interrupts.lock().remove(&self.process_id);
    }
}

/// Tells a client that never got a session why.
async fn refuse(mut stream: Box<dyn Stream>, report: &Report) {
    let mut output = Vec::new();
    messages::error(report, Severity::Fatal, &mut output);
    let farewell = async {
        // A client that is gone needs no reason.
        let _ = stream.write_all(&output).await;
        let _ = stream.shutdown().await;
    };
    let _ = tokio::time::timeout(FAREWELL, farewell).await;
}

impl<S: Stream> Socket<S> {
    /// The same for a client whose start had begun.
    async fn refuse(mut self, report: &Report) {
        messages::error(report, Severity::Fatal, &mut self.output);
        let farewell = async {
            if self.flush().await.is_ok() {
                self.close().await;
            }
        };
        let _ = tokio::time::timeout(FAREWELL, farewell).await;
    }
}
