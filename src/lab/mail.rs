//! A mail server that keeps what it takes: enough of SMTP for one client, on a real socket.
//!
//! Recipients choose its bad days: `later@` is told to come back, `nobody@` is unknown, and after a text for
//! `cut@` the connection ends without a word.

use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// One mail as it was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) to: Vec<String>,
    pub(crate) text: String,
}

/// What a server has taken so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mailbox(Arc<Mutex<Vec<Taken>>>);

impl Mailbox {
    pub(crate) fn taken(&self) -> Vec<Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Serves until the listener ends. `password` is asked for if it is not empty.
    pub(crate) async fn serve(self, listener: TcpListener, password: String) {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that breaks off costs only its own session.
            drop(self.session(stream, &password).await);
        }
    }

    async fn session(&self, mut stream: TcpStream, password: &str) -> std::io::Result<()> {
        let (read, mut write) = stream.split();
        let mut lines = BufReader::new(read).lines();
        let mut to: Vec<String> = Vec::new();
        let mut known = password.is_empty();
        write.write_all(b"220 lab ESMTP\r\n").await?;
        while let Some(line) = lines.next_line().await? {
            let verb = line.to_ascii_uppercase();
            let reply = match verb.split(' ').next().unwrap_or_default() {
                "EHLO" => "250-lab\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN",
                "AUTH" => {
                    known = known || allowed(&line, password);
                    if known { "235 welcome" } else { "535 5.7.8 authentication failed" }
                }
                "MAIL" if !known => "530 5.7.0 sign in first",
                "RCPT" if verb.contains("<LATER@") => "451 4.7.1 greylisted",
                "RCPT" if verb.contains("<NOBODY@") => "550 5.1.1 no such user",
                "RCPT" => {
                    let address = line.split(['<', '>']).nth(1).unwrap_or_default();
                    to.push(address.to_owned());
                    "250 yes"
                }
                "DATA" => {
                    write.write_all(b"354 go on\r\n").await?;
                    let mut text = String::new();
                    while let Some(line) = lines.next_line().await?.filter(|line| line != ".") {
                        text.push_str(line.strip_prefix('.').unwrap_or(&line));
                        text.push_str("\r\n");
                    }
                    if to.iter().any(|address| address.starts_with("cut@")) {
                        return Ok(());
                    }
                    let taken = Taken { to: std::mem::take(&mut to), text };
                    self.0.lock().unwrap_or_else(PoisonError::into_inner).push(taken);
                    "250 taken"
                }
                "QUIT" => "221 bye",
                _ => "250 fine",
            };
            write.write_all(format!("{reply}\r\n").as_bytes()).await?;
        }
        Ok(())
    }
}

fn allowed(line: &str, password: &str) -> bool {
    use base64::Engine as _;
    let given = line.split(' ').nth(2).unwrap_or_default();
    let plain = base64::engine::general_purpose::STANDARD.decode(given).unwrap_or_default();
    plain.split(|b| *b == 0).nth(2) == Some(password.as_bytes())
}
