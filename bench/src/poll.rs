//! Readiness by epoll, level-triggered: one read a wake-up, and what is left is told again.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

pub const READABLE: EpollFlags = EpollFlags::EPOLLIN;
pub const WRITABLE: EpollFlags = EpollFlags::EPOLLOUT;

/// At most so many sockets are told of in one wake-up.
const BATCH: usize = 256;

pub struct Poll {
    epoll: Epoll,
    events: Vec<EpollEvent>,
}

impl Poll {
    pub fn new() -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        Ok(Self { epoll, events: vec![EpollEvent::empty(); BATCH] })
    }

    /// Tells of `socket` as `token` until it is closed.
    pub fn watch(&self, socket: impl AsFd, interest: EpollFlags, token: u64) -> io::Result<()> {
        Ok(self.epoll.add(socket, EpollEvent::new(interest, token))?)
    }

    pub fn change(&self, socket: impl AsFd, interest: EpollFlags, token: u64) -> io::Result<()> {
        Ok(self.epoll.modify(socket, &mut EpollEvent::new(interest, token))?)
    }

    /// Waits for the next events and puts their tokens into `ready`, which is empty after `patience` without any
    /// (`None`: for ever). Errors and hang-ups are told as readiness: the next read or write finds them.
    pub fn wait(&mut self, patience: Option<Duration>, ready: &mut Vec<u64>) -> io::Result<()> {
        ready.clear();
        let timeout = match patience {
            None => EpollTimeout::NONE,
            Some(time) => EpollTimeout::try_from(time).unwrap_or(EpollTimeout::MAX),
        };
        let count = loop {
            match self.epoll.wait(&mut self.events, timeout) {
                Err(Errno::EINTR) => continue,
                other => break other?,
            }
        };
        ready.extend(self.events[..count].iter().map(EpollEvent::data));
        Ok(())
    }
}

/// Binds `address` and prints where it listens, for whoever asked for port 0.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    println!("{}", listener.local_addr()?);
    Ok(listener)
}
