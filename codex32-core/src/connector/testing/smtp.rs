//! A small SMTP server.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What the mail server took in.
#[derive(Debug, Default, Clone)]
pub(crate) struct Received {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    pub(crate) data: String,
    pub(crate) login: Option<String>,
}

/// A small SMTP server. It refuses recipients that begin with `no-` for good and those
/// that begin with `busy-` for now.
pub(crate) async fn smtp() -> (SocketAddr, Arc<Mutex<Vec<Received>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (at, mails) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
    let into = mails.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(session(stream, into.clone()));
        }
    });
    (at, mails)
}

async fn session(stream: TcpStream, into: Arc<Mutex<Vec<Received>>>) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let mut mail = Received::default();
    write.write_all(b"220 test ESMTP\r\n").await?;
    while let Some(line) = lines.next_line().await? {
        let upper = line.to_uppercase();
        let answer = if upper.starts_with("EHLO") {
            "250-test\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN\r\n"
        } else if let Some(login) = line.strip_prefix("AUTH PLAIN ") {
            mail.login = Some(login.to_owned());
            "235 welcome\r\n"
        } else if upper.starts_with("MAIL FROM:") {
            mail.from = line;
            "250 ok\r\n"
        } else if upper.starts_with("RCPT TO:<NO-") {
            "550 no such user\r\n"
        } else if upper.starts_with("RCPT TO:<BUSY-") {
            "450 try later\r\n"
        } else if upper.starts_with("RCPT TO:") {
            mail.to.push(line["RCPT TO:<".len()..].trim_end_matches('>').to_owned());
            "250 ok\r\n"
        } else if upper == "DATA" {
            write.write_all(b"354 go on\r\n").await?;
            while let Some(line) = lines.next_line().await?.filter(|line| line != ".") {
                mail.data.push_str(&line);
                mail.data.push('\n');
            }
            into.lock().unwrap().push(std::mem::take(&mut mail));
            "250 taken\r\n"
        } else if upper == "QUIT" {
            write.write_all(b"221 bye\r\n").await?;
            return Ok(());
        } else {
            "502 unknown\r\n"
        };
        write.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}
