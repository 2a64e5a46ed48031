//! Whether a client has sent something that its session has not read yet, asked by others: those who cancel.
//!
//! A second handle on the client's socket, at which one looks without taking anything away. Costs a descriptor per connection.

use std::io;
use std::net::TcpStream;
use std::os::fd::AsFd;

use crate::session::Input;

/// The other handle.
#[derive(Debug)]
pub(super) struct Unread(TcpStream);

impl Unread {
    /// Of a client's socket; none if there is no descriptor left.
    pub(super) fn of(stream: &tokio::net::TcpStream) -> Option<Self> {
        stream.as_fd().try_clone_to_owned().ok().map(|handle| Self(handle.into()))
    }

    fn look(&self) -> io::Result<usize> {
        // The socket never makes anybody wait: the runtime has seen to that, for all its handles.
        self.0.peek(&mut [0])
    }
}

impl Input for Unread {
    fn is_waiting(&self) -> bool {
        self.look().is_ok_and(|bytes| bytes > 0)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn what_was_sent_waits_until_it_is_read() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        let unread = Unread::of(&server).unwrap();
        assert!(!unread.is_waiting());
        client.write_all(b"Q").await.unwrap();
        server.readable().await.unwrap();
        assert!(unread.is_waiting());
        assert_eq!(server.read_u8().await.unwrap(), b'Q');
        assert!(!unread.is_waiting());
        drop(client);
        server.readable().await.unwrap();
        assert!(!unread.is_waiting());
    }
}
