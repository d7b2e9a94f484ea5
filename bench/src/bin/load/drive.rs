//! Gives requests out to connections, closed or open loop, and collects the answers.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use anyhow::bail;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use weir_bench::answer::Fault;
use weir_bench::poll::{Poll, READABLE};

use crate::connection::{Connection, Target};

/// So long without a single answer, and the run is given up.
const PATIENCE: Duration = Duration::from_secs(10);
/// So many faults, and the run is given up: it is void from the first.
const FAULT_LIMIT: u64 = 100;
const TIMER: u64 = u64::MAX;
/// What one read may bring.
const SPACE: usize = 256 * 1024;

/// When a part of the run gives out its last request.
pub enum Until {
    Elapsed(Duration),
    Requests(u64),
}

pub enum Pace {
    /// The next request of a connection is due when its last was answered.
    Closed,
    /// Request k is due `k / rate` seconds after the start.
    Open { rate: f64 },
}

/// What a part of the run came to.
pub struct Tally {
    /// From the start to the last answer.
    pub elapsed: Duration,
    /// Of each right answer, from when its request was due, in ns.
    pub latencies: Vec<u64>,
    pub faults: BTreeMap<Fault, u64>,
    /// Connections that had to be opened anew, because an answer said so, while idle, or after a fault.
    pub reopened: u64,
}

pub struct Drive<'a> {
    target: &'a Target,
    request: &'a [u8],
    poll: Poll,
    timer: TimerFd,
    connections: Vec<Connection>,
    /// When the request in flight on each connection was due; `None` while it is idle.
    due: Vec<Option<Instant>>,
    /// Connections without a request in flight, the longest idle first, so that all take part.
    idle: VecDeque<usize>,
    space: Vec<u8>,
}

impl<'a> Drive<'a> {
    /// Opens all connections.
    pub fn new(target: &'a Target, request: &'a [u8], connections: usize) -> anyhow::Result<Self> {
        let poll = Poll::new()?;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?;
        poll.watch(&timer, READABLE, TIMER)?;
        let connections = (0..connections).map(|_| Connection::open(target)).collect::<anyhow::Result<Vec<_>>>()?;
        for (token, connection) in connections.iter().enumerate() {
            poll.watch(connection.stream(), READABLE, token as u64)?;
        }
        let due = vec![None; connections.len()];
        let idle = (0..connections.len()).collect();
        Ok(Self { target, request, poll, timer, connections, due, idle, space: vec![0; SPACE] })
    }

    /// Runs from nothing in flight to nothing in flight.
    pub fn run(&mut self, until: Until, pace: &Pace) -> anyhow::Result<Tally> {
        let mut part = Part::new(until, pace);
        let mut ready = Vec::new();
        loop {
            self.give_out(&mut part)?;
            if self.idle.len() == self.connections.len() && part.is_given_out(Instant::now()) {
                return Ok(part.end());
            }
            self.poll.wait(Some(PATIENCE), &mut ready)?;
            if ready.is_empty() {
                bail!("no answer for {PATIENCE:?}, {} requests in flight", self.connections.len() - self.idle.len());
            }
            for &token in &ready {
                if token == TIMER {
                    // Nothing to read where a later request's time was set meanwhile.
                    let _ = self.timer.wait();
                    part.armed = None;
                } else {
                    self.collect(token as usize, &mut part)?;
                }
                self.give_out(&mut part)?;
            }
        }
    }

    /// Sends what is due as far as there are idle connections, and sets the timer for what is due next.
    fn give_out(&mut self, part: &mut Part) -> anyhow::Result<()> {
        while let Some(&at) = self.idle.front() {
            let now = Instant::now();
            if part.is_given_out(now) {
                break;
            }
            let due = part.next_due(now);
            if due > now {
                if part.armed != Some(due) {
                    let wait = TimeSpec::from_duration(due - now);
                    self.timer.set(Expiration::OneShot(wait), TimerSetTimeFlags::empty())?;
                    part.armed = Some(due);
                }
                break;
            }
            self.idle.pop_front();
            self.due[at] = Some(due);
            part.given += 1;
            if let Err(fault) = self.connections[at].send(self.request) {
                self.fail(at, fault, part)?;
            }
        }
        Ok(())
    }

    fn collect(&mut self, at: usize, part: &mut Part) -> anyhow::Result<()> {
        match (self.connections[at].receive(&mut self.space), self.due[at]) {
            (Ok(None), _) => Ok(()),
            (Ok(Some(whole)), Some(due)) => {
                let now = Instant::now();
                part.last = now;
                part.latencies.push((now - due).as_nanos() as u64);
                self.rest(at);
                if whole.kept { Ok(()) } else { self.reopen(at, part) }
            }
            // An idle connection may be closed at any time.
            (Err(Fault::Closed), None) => self.reopen(at, part),
            (Ok(Some(_)), None) => self.fail(at, Fault::Surplus, part),
            (Err(fault), _) => self.fail(at, fault, part),
        }
    }

    fn fail(&mut self, at: usize, fault: Fault, part: &mut Part) -> anyhow::Result<()> {
        *part.faults.entry(fault).or_default() += 1;
        if part.faults.values().sum::<u64>() >= FAULT_LIMIT {
            let faults: Vec<_> = part.faults.iter().map(|(fault, count)| format!("{count} × {fault}")).collect();
            bail!("too many wrong answers: {}", faults.join(", "));
        }
        self.rest(at);
        self.reopen(at, part)
    }

    fn rest(&mut self, at: usize) {
        if self.due[at].take().is_some() {
            self.idle.push_back(at);
        }
    }

    fn reopen(&mut self, at: usize, part: &mut Part) -> anyhow::Result<()> {
        part.reopened += 1;
        self.connections[at] = Connection::open(self.target)?;
        Ok(self.poll.watch(self.connections[at].stream(), READABLE, at as u64)?)
    }
}

/// The part of the run that is under way.
struct Part<'a> {
    until: Until,
    pace: &'a Pace,
    start: Instant,
    /// Requests given out.
    given: u64,
    /// What the timer is set for.
    armed: Option<Instant>,
    /// When the last answer came.
    last: Instant,
    latencies: Vec<u64>,
    faults: BTreeMap<Fault, u64>,
    reopened: u64,
}

impl<'a> Part<'a> {
    fn new(until: Until, pace: &'a Pace) -> Self {
        // Grown before the clock starts, not while it runs.
        let latencies = Vec::with_capacity(1 << 20);
        let start = Instant::now();
        let (faults, reopened) = (BTreeMap::new(), 0);
        Self { until, pace, start, given: 0, armed: None, last: start, latencies, faults, reopened }
    }

    /// When the next request is due.
    fn next_due(&self, now: Instant) -> Instant {
        match self.pace {
            Pace::Closed => now,
            Pace::Open { rate } => self.start + Duration::from_secs_f64(self.given as f64 / rate),
        }
    }

    /// In an open loop what was due before the end is sent, however late.
    fn is_given_out(&self, now: Instant) -> bool {
        match self.until {
            Until::Requests(requests) => self.given >= requests,
            Until::Elapsed(duration) => self.next_due(now) - self.start >= duration,
        }
    }

    fn end(self) -> Tally {
        let Self { start, last, latencies, faults, reopened, .. } = self;
        Tally { elapsed: last - start, latencies, faults, reopened }
    }
}
