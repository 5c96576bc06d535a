//! As much of HTTP/1.1 as the load and the called system need.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Where the head ends, with its empty line; `None` while it is not all there.
pub(crate) fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 4)
}

/// What `content-length` says; 0 without one.
pub(crate) fn body_length(head: &[u8]) -> usize {
    let text = std::str::from_utf8(head).unwrap();
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().unwrap())
    });
    length.unwrap_or(0)
}

/// A keep-alive connection that posts.
pub(crate) struct Poster {
    socket: TcpStream,
    port: u16,
    buffer: Vec<u8>,
}

impl Poster {
    pub(crate) async fn new(port: u16) -> Self {
        let socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        socket.set_nodelay(true).unwrap();
        Self { socket, port, buffer: Vec::with_capacity(4096) }
    }

    /// Posts JSON and returns the status.
    pub(crate) async fn post(&mut self, path: &str, body: &str) -> u16 {
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{}\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.port,
            crate::SECRET,
            body.len()
        );
        self.socket.write_all(request.as_bytes()).await.unwrap();
        self.buffer.clear();
        loop {
            if let Some(head) = head_end(&self.buffer) {
                let whole = head + body_length(&self.buffer[..head]);
                if self.buffer.len() >= whole {
                    let status = std::str::from_utf8(&self.buffer[9..12]).unwrap();
                    return status.parse().unwrap();
                }
            }
            let n = self.socket.read_buf(&mut self.buffer).await.unwrap();
            assert!(n > 0, "the server closed the connection");
        }
    }
}
