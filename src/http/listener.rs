//! Connections of the listener: how many at a time, and how long one may be silent.
//!
//! A connection that is not busy with a request must bring a byte within [`SILENCE`]; so a client that opens connections and says
//! nothing, or one letter of a header a minute, holds each only for so long, and at most [`MAX_CONNECTIONS`] of them.
//!
//! With TLS, the handshake is the connection's first read or write: it counts as silence, and nobody waits behind it.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Request};
use axum::middleware::Next;
use axum::response::Response;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

/// Connections at a time; more wait in the system's queue.
const MAX_CONNECTIONS: usize = 256;
/// How long an idle connection may be silent, and a request's head may take.
const SILENCE: Duration = Duration::from_secs(30);
/// After an error of `accept` (no descriptors left), wait this long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The other end of a connection.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    /// Its address.
    pub(super) address: SocketAddr,
    /// Requests of it that run now.
    busy: Arc<AtomicUsize>,
}

/// Marks the connection as busy while a request runs: it may then be silent for as long as that takes.
pub(super) async fn busy(ConnectInfo(peer): ConnectInfo<Peer>, request: Request, next: Next) -> Response {
    struct Running(Arc<AtomicUsize>);
    impl Drop for Running {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }
    peer.busy.fetch_add(1, Ordering::Relaxed);
    let _running = Running(peer.busy);
    next.run(request).await
}

/// The certificate of the moment: its files may be read again while the gateway runs.
pub type Tls = Arc<dyn Fn() -> TlsAcceptor + Send + Sync>;

/// Accepts a bounded number of connections.
pub(super) struct BoundedListener {
    listener: TcpListener,
    tls: Option<Tls>,
    places: Arc<Semaphore>,
}

impl BoundedListener {
    pub(super) fn new(listener: TcpListener, tls: Option<Tls>) -> Self {
        Self { listener, tls, places: Arc::new(Semaphore::new(MAX_CONNECTIONS)) }
    }
}

impl Listener for BoundedListener {
    type Io = Connection;
    type Addr = Peer;

    async fn accept(&mut self) -> (Connection, Peer) {
        loop {
            // Closed never.
            let place = Arc::clone(&self.places).acquire_owned().await.ok();
            match self.listener.accept().await {
                Ok((stream, address)) => {
                    let _ = stream.set_nodelay(true);
                    let busy = Arc::new(AtomicUsize::new(0));
                    let stream = match &self.tls {
                        None => Stream::Plain(stream),
                        Some(tls) => Stream::Shaking(Box::new(tls().accept(stream))),
                    };
                    let silence = Box::pin(tokio::time::sleep(SILENCE));
                    return (Connection { stream, silence, busy: Arc::clone(&busy), _place: place }, Peer { address, busy });
                }
                Err(error) => {
                    tracing::warn!(%error, "accepting an HTTP connection failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<Peer> {
        Ok(Peer { address: self.listener.local_addr()?, busy: Arc::default() })
    }
}

impl Connected<IncomingStream<'_, BoundedListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, BoundedListener>) -> Self {
        stream.remote_addr().clone()
    }
}

/// A connection that ends when it is silent for too long.
pub(super) struct Connection {
    stream: Stream,
    silence: Pin<Box<Sleep>>,
    busy: Arc<AtomicUsize>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Connection {
    /// Ready with an error once the connection was silent for too long; else its task is woken when it will be.
    fn poll_silence(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        ready!(self.silence.as_mut().poll(context));
        if self.busy.load(Ordering::Relaxed) > 0 {
            self.heard();
            ready!(self.silence.as_mut().poll(context));
        }
        Poll::Ready(io::ErrorKind::TimedOut.into())
    }

    fn heard(&mut self) {
        self.silence.as_mut().reset(Instant::now() + SILENCE);
    }
}

/// Bytes, in the clear or not.
enum Stream {
    Plain(TcpStream),
    Shaking(Box<Accept<TcpStream>>),
    Secure(Box<TlsStream<TcpStream>>),
}

/// Does with the stream what can be done with either, after the handshake.
macro_rules! with_stream {
    ($stream:expr, $context:expr, $method:ident $(, $argument:expr)*) => {{
        if let Stream::Shaking(shaking) = $stream {
            let secure = ready!(Pin::new(shaking.as_mut()).poll($context))?;
            *$stream = Stream::Secure(Box::new(secure));
        }
        match $stream {
            Stream::Plain(stream) => Pin::new(stream).$method($context $(, $argument)*),
            Stream::Secure(stream) => Pin::new(stream.as_mut()).$method($context $(, $argument)*),
            // Was ready above.
            Stream::Shaking(_) => Poll::Pending,
        }
    }};
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        with_stream!(&mut *self, context, poll_read, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        with_stream!(&mut *self, context, poll_write, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        with_stream!(&mut *self, context, poll_flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // There is nobody to say goodbye to before the handshake.
        if matches!(*self, Stream::Shaking(_)) {
            return Poll::Ready(Ok(()));
        }
        with_stream!(&mut *self, context, poll_shutdown)
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if let Poll::Ready(outcome) = Pin::new(&mut self.stream).poll_read(context, buffer) {
            // The head of a request must be there in time, not only its next byte; so bytes do not start the time anew
            // unless a request came of the earlier ones.
            if buffer.filled().len() > before && self.busy.load(Ordering::Relaxed) > 0 {
                self.heard();
            }
            return Poll::Ready(outcome);
        }
        self.poll_silence(context).map(Err)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let Poll::Ready(outcome) = Pin::new(&mut self.stream).poll_write(context, bytes) {
            self.heard();
            return Poll::Ready(outcome);
        }
        // A client that does not read its answer is silent, whatever runs for it.
        ready!(self.silence.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
