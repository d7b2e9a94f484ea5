//! The floor: accepts, connects, copies bytes both ways, reads nothing into them. One thread, one upstream connection
//! for each downstream one. No proxy with the same system calls can cost less; what one costs beyond it is its own
//! code.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;

use clap::Parser;
use nix::sys::epoll::EpollFlags;
use weir_bench::poll::{self, Poll, READABLE, WRITABLE};

/// A byte forwarder.
#[derive(Parser)]
struct Args {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Where everything goes.
    #[arg(long)]
    upstream: SocketAddr,
}

const LISTENER: u64 = u64::MAX;
/// What is copied in one go.
const PIECE: usize = 64 * 1024;

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let listener = poll::listen(args.listen)?;
    let mut poll = Poll::new()?;
    poll.watch(&listener, READABLE, LISTENER)?;

    // By the downstream file descriptor; a token is twice that, plus one for the upstream side.
    let mut pairs: Vec<Option<Pair>> = Vec::new();
    let mut space = vec![0; PIECE];
    let mut ready = Vec::new();
    loop {
        poll.wait(None, &mut ready)?;
        for &token in &ready {
            if token == LISTENER {
                accept(&listener, args.upstream, &poll, &mut pairs)?;
                continue;
            }
            let slot = &mut pairs[token as usize / 2];
            let Some(pair) = slot else { continue };
            if pair.turn(token as usize % 2, &mut space, &poll).is_err() || pair.is_over() {
                *slot = None;
            }
        }
    }
}

/// Connects upstream before it goes on: on loopback that is one system call.
fn accept(
    listener: &TcpListener,
    upstream: SocketAddr,
    poll: &Poll,
    pairs: &mut Vec<Option<Pair>>,
) -> anyhow::Result<()> {
    loop {
        let down = match listener.accept() {
            Ok((down, _)) => down,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let up = TcpStream::connect(upstream)?;
        let place = down.as_raw_fd() as usize;
        let mut sides = [Side::new(down, place * 2), Side::new(up, place * 2 + 1)];
        for side in &mut sides {
            side.stream.set_nonblocking(true)?;
            side.stream.set_nodelay(true)?;
            poll.watch(&side.stream, side.interest, side.token)?;
        }
        if pairs.len() <= place {
            pairs.resize_with(place + 1, || None);
        }
        pairs[place] = Some(Pair { sides });
    }
}

struct Side {
    stream: TcpStream,
    token: u64,
    interest: EpollFlags,
    /// Came from the other side and was not taken by this one. While there is any, the other side is not read.
    unsent: Vec<u8>,
    /// Nothing more comes from here.
    ended: bool,
}

impl Side {
    fn new(stream: TcpStream, token: usize) -> Self {
        Self { stream, token: token as u64, interest: READABLE, unsent: Vec::new(), ended: false }
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.stream.write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            other => other,
        }
    }
}

struct Pair {
    sides: [Side; 2],
}

impl Pair {
    /// Does what the socket of side `at` is ready for.
    fn turn(&mut self, at: usize, space: &mut [u8], poll: &Poll) -> io::Result<()> {
        let [down, up] = &mut self.sides;
        let (this, other) = if at == 0 { (down, up) } else { (up, down) };
        if !this.unsent.is_empty() {
            let unsent = std::mem::take(&mut this.unsent);
            let count = this.send(&unsent)?;
            this.unsent = unsent[count..].to_vec();
        } else if other.unsent.is_empty() && !this.ended {
            match this.stream.read(space) {
                Ok(0) => this.ended = true,
                Ok(count) => {
                    let sent = other.send(&space[..count])?;
                    if sent < count {
                        other.unsent = space[sent..count].to_vec();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        for (this, other) in [(0, 1), (1, 0)] {
            self.settle(this, other, poll)?;
        }
        Ok(())
    }

    /// Passes the end on once everything before it was sent, and waits for what can happen next.
    fn settle(&mut self, this: usize, other: usize, poll: &Poll) -> io::Result<()> {
        if self.sides[other].ended && self.sides[this].unsent.is_empty() {
            self.sides[this].stream.shutdown(Shutdown::Write)?;
        }
        let mut wanted = EpollFlags::empty();
        if !self.sides[this].unsent.is_empty() {
            wanted |= WRITABLE;
        }
        if !self.sides[this].ended && self.sides[other].unsent.is_empty() {
            wanted |= READABLE;
        }
        let side = &mut self.sides[this];
        if wanted != side.interest {
            poll.change(&side.stream, wanted, side.token)?;
            side.interest = wanted;
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.sides.iter().all(|side| side.ended && side.unsent.is_empty())
    }
}
