//! The cheapest honest origin: HTTP/1.1 with keep-alive, one thread, an answer of known length chosen by its path.
//!
//! `/16k` and `/1m` give 16 KiB and 1 MiB, every other path 1 KiB. No pipelining: one request, one answer, then the
//! next. Listens, prints the bound address, and serves until it is ended.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;

use clap::Parser;
use weir_bench::poll::{self, Poll, READABLE, WRITABLE};

/// The origin behind every proxy of the bench.
#[derive(Parser)]
struct Args {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

/// A longer request head ends its connection.
const HEAD_LIMIT: usize = 8 * 1024;
const HEADER_LIMIT: usize = 64;
const LISTENER: u64 = u64::MAX;

fn main() -> anyhow::Result<()> {
    let listener = poll::listen(Args::parse().listen)?;
    let answers = Answers::new();
    let mut poll = Poll::new()?;
    poll.watch(&listener, READABLE, LISTENER)?;

    // By file descriptor, which is the token too. A stale event meets a newcomer's empty socket, which does no harm.
    let mut clients: Vec<Option<Client>> = Vec::new();
    let mut ready = Vec::new();
    loop {
        poll.wait(None, &mut ready)?;
        for &token in &ready {
            if token == LISTENER {
                accept(&listener, &poll, &mut clients)?;
                continue;
            }
            let slot = &mut clients[token as usize];
            if slot.as_mut().is_some_and(|client| client.turn(&answers, &poll, token).is_err()) {
                *slot = None;
            }
        }
    }
}

fn accept(listener: &TcpListener, poll: &Poll, clients: &mut Vec<Option<Client>>) -> io::Result<()> {
    loop {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let place = stream.as_raw_fd() as usize;
        poll.watch(&stream, READABLE, place as u64)?;
        if clients.len() <= place {
            clients.resize_with(place + 1, || None);
        }
        clients[place] = Some(Client { stream, head: Vec::with_capacity(HEAD_LIMIT), unsent: &[], last: false });
    }
}

struct Client {
    stream: TcpStream,
    /// What has come of the next request's head.
    head: Vec<u8>,
    /// What the socket has not taken of the last answer. While there is any, nothing is read.
    unsent: &'static [u8],
    /// The client asked to close after this answer.
    last: bool,
}

/// Why a connection ends. Nobody asks which: a proxy that breaks the rules shows in the generator's errors.
struct Over;

impl From<io::Error> for Over {
    fn from(_: io::Error) -> Self {
        Over
    }
}

impl Client {
    /// Does what the socket is ready for.
    fn turn(&mut self, answers: &Answers, poll: &Poll, token: u64) -> Result<(), Over> {
        if !self.unsent.is_empty() {
            self.send()?;
            if self.unsent.is_empty() {
                poll.change(&self.stream, READABLE, token)?;
            }
            return Ok(());
        }
        let mut space = [0; HEAD_LIMIT];
        let count = match self.stream.read(&mut space) {
            Ok(0) => return Err(Over),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        // The usual case, a head that came whole, is read where it lies.
        let request = if self.head.is_empty() {
            Request::read(&space[..count])?
        } else {
            self.head.extend_from_slice(&space[..count]);
            Request::read(&self.head)?
        };
        let Some(request) = request else {
            if self.head.is_empty() {
                self.head.extend_from_slice(&space[..count]);
            }
            return if self.head.len() < HEAD_LIMIT { Ok(()) } else { Err(Over) };
        };
        self.unsent = answers.to(request.path);
        self.last = request.last;
        self.head.clear();
        self.send()?;
        if !self.unsent.is_empty() {
            poll.change(&self.stream, WRITABLE, token)?;
        }
        Ok(())
    }

    fn send(&mut self) -> Result<(), Over> {
        while !self.unsent.is_empty() {
            match self.stream.write(self.unsent) {
                Ok(count) => self.unsent = &self.unsent[count..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        if self.last { Err(Over) } else { Ok(()) }
    }
}

/// What the origin needs to know of a request.
struct Request<'a> {
    path: &'a str,
    last: bool,
}

impl<'a> Request<'a> {
    /// `None` while the head is not whole. A method other than GET, a body and a second request are refused.
    fn read(bytes: &'a [u8]) -> Result<Option<Self>, Over> {
        let mut headers = [httparse::EMPTY_HEADER; HEADER_LIMIT];
        let mut head = httparse::Request::new(&mut headers);
        match head.parse(bytes).map_err(|_| Over)? {
            httparse::Status::Partial => return Ok(None),
            httparse::Status::Complete(end) if end != bytes.len() => return Err(Over),
            httparse::Status::Complete(_) => {}
        }
        let (Some("GET"), Some(path), Some(version)) = (head.method, head.path, head.version) else { return Err(Over) };
        let closes = |header: &httparse::Header<'_>| {
            header.name.eq_ignore_ascii_case("connection") && header.value.eq_ignore_ascii_case(b"close")
        };
        Ok(Some(Self { path, last: version == 0 || head.headers.iter().any(closes) }))
    }
}

/// The three answers, head and body in one piece, so that each leaves in one write.
struct Answers {
    small: &'static [u8],
    middle: &'static [u8],
    large: &'static [u8],
}

impl Answers {
    fn new() -> Self {
        Self { small: answer(1 << 10), middle: answer(16 << 10), large: answer(1 << 20) }
    }

    fn to(&self, path: &str) -> &'static [u8] {
        match path {
            "/16k" => self.middle,
            "/1m" => self.large,
            _ => self.small,
        }
    }
}

/// Made once and kept to the end of the process.
fn answer(length: usize) -> &'static [u8] {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\n\r\n");
    let body = (b'a'..=b'z').cycle().take(length);
    Vec::leak(head.into_bytes().into_iter().chain(body).collect())
}
