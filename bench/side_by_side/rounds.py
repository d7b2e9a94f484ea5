"""Proxy CPU per request: rounds of load on each peer in turn, all of them up at once.

Clocks are read while nothing is in flight, before the first and after the last measured request (the load generator
holds at its marks until it is told to go on). So a round's CPU time belongs to its requests, all of it, and to no
other.
"""

import json
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from .peers import LENGTH, PATH
from .world import descendants

WARM_SECONDS = 0.5
# h2load opens its connections inside the round, so it gets by number what the others get by time. Weir, as many do,
# ends a connection after some thousands of requests (10,000), which h2load takes for a failure: stay below.
H2_CLIENTS, H2_STREAMS = 8, 16
H2_WARM_REQUESTS = 4000
H2_REQUEST_LIMIT = 9000 * H2_CLIENTS


@dataclass(frozen=True)
class Scenario:
    name: str
    what: str
    tls: bool = False
    h2: bool = False
    connections: int = 64
    path: str = PATH
    length: int = LENGTH
    # Requests a second in an open loop.
    rate: int | None = None


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("plain", "HTTP/1.1, 64 connections, 1 KiB, closed loop"),
        Scenario("tls", "HTTP/1.1 over TLS 1.3 (AES-128-GCM), 64 connections, 1 KiB, closed loop", tls=True),
        Scenario("h2", f"HTTP/2 over TLS 1.3, {H2_CLIENTS} × {H2_STREAMS} streams, 1 KiB", tls=True, h2=True),
        Scenario("open", "HTTP/1.1, 3,000 requests/s over 64 connections, 1 KiB, open loop", rate=3000),
        Scenario("many", "HTTP/1.1, 1,000 connections, 1 KiB, closed loop", connections=1000),
        Scenario("large", "HTTP/1.1, 16 connections, 1 MiB, closed loop", connections=16, path="/1m", length=1 << 20),
    )
}


@dataclass
class Round:
    """One peer under one scenario, once. `void` says why it does not count."""

    void: str | None = None
    rate: float = 0
    cpu_us: float = 0
    # In µs, where the generator tells.
    p50: float | None = None
    p99: float | None = None
    # The share of the time that the proxy wanted its core and did not have it.
    waited: float = 0


def run(world, peers, scenario, count, seconds):
    """`count` rounds on each peer that can; gives a list of rounds for each name, in order of the rounds."""
    peers = [peer for peer in peers if peer.tls or not scenario.tls]
    rounds = {peer.name: [] for peer in peers}
    # Requests a second over HTTP/2, from the warm-up or the last round.
    speeds = {}
    for turn in range(count):
        shift = turn % len(peers)
        for peer in peers[shift:] + peers[:shift]:
            try:
                one = _h2(world, peer, seconds, speeds) if scenario.h2 else _h1(world, peer, scenario, seconds)
            except _Void as void:
                one = Round(void=str(void))
            rounds[peer.name].append(one)
        told = [f"{name} {'void' if of[-1].void else format(of[-1].cpu_us, '.1f')}" for name, of in rounds.items()]
        print(f"{scenario.name} {turn + 1}/{count}: CPU µs/request: {', '.join(told)}", file=sys.stderr)
        for name, of in rounds.items():
            if of[-1].void:
                print(f"  {name}: void: {of[-1].void}", file=sys.stderr)
    return rounds


class _Void(Exception):
    """Why a round does not count."""


def load_command(world, peer, scenario):
    address = f"127.0.0.1:{peer.tls if scenario.tls else peer.plain}"
    command = [world.programs / "load", "--hold", "--connect", address, "--connections", scenario.connections]
    command += ["--path", scenario.path, "--length", scenario.length]
    if scenario.tls:
        command += ["--tls", world.cert]
    if scenario.rate:
        command += ["--rate", scenario.rate]
    return command


class Load:
    """The load generator under way, from mark to mark."""

    def __init__(self, world, command):
        self._world = world
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self._process = world.start("load", world.client_core, command, **pipes)

    def mark(self):
        """Waits for the next mark: what was answered since the last. Nothing is in flight until `go_on`."""
        line = self._process.stdout.readline()
        if not line:
            raise _Void(self._world.last_words("load").rpartition("\n")[2] or "the load generator ended early")
        part = json.loads(line)
        if part["errors"] or not part["requests"]:
            raise _Void(f"{part['errors']} wrong of {part['requests'] + part['errors']} answers: {part['faults']}")
        return part

    def go_on(self):
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()

    def end(self):
        self._world.end(self._process)


def _h1(world, peer, scenario, seconds):
    load = Load(world, [*load_command(world, peer, scenario), "--warm", WARM_SECONDS, "--seconds", seconds])
    try:
        load.mark()
        clock = Clock(peer)
        load.go_on()
        part = load.mark()
        ran, waited = clock.read()
    finally:
        load.end()
    latency = part["latency_us"]
    return Round(
        rate=part["requests"] / part["seconds"],
        cpu_us=ran / part["requests"] / 1e3,
        p50=latency["p50"],
        p99=latency["p99"],
        waited=waited / 1e9 / part["seconds"],
    )


def _h2(world, peer, seconds, speeds):
    if peer.name not in speeds:
        speeds[peer.name], _ = _h2load(world, peer, H2_WARM_REQUESTS)
    requests = min(int(speeds[peer.name] * seconds), H2_REQUEST_LIMIT)
    requests = max(requests - requests % H2_CLIENTS, H2_WARM_REQUESTS)
    clock = Clock(peer)
    rate, took = _h2load(world, peer, requests)
    ran, waited = clock.read()
    speeds[peer.name] = rate
    return Round(rate=rate, cpu_us=ran / requests / 1e3, waited=waited / 1e9 / took)


def _h2load(world, peer, requests):
    """Runs h2load to its end. Gives requests per second and seconds, if every answer was right."""
    # The same cipher and key exchange as our own generator.
    tls = ["--tls13-ciphers=TLS_AES_128_GCM_SHA256", "--groups=X25519"]
    amount = [f"-n{requests}", f"-c{H2_CLIENTS}", f"-m{H2_STREAMS}"]
    command = ["h2load", *amount, *tls, f"https://localhost:{peer.tls}{PATH}"]
    process = world.start("h2load", world.client_core, command, stdout=subprocess.PIPE)
    try:
        said = process.stdout.read().decode(errors="replace")
        process.wait()
    finally:
        world.end(process)
    right = [
        f"requests: {requests} total, {requests} started, {requests} done, {requests} succeeded, 0 failed, 0 errored",
        f"status codes: {requests} 2xx",
        f"({requests * LENGTH}) data",
        "TLS Protocol: TLSv1.3",
        "Application protocol: h2",
    ]
    for part in right:
        if part not in said:
            found = re.findall(r"^(?:requests|status codes|traffic|.*[Pp]rotocol):.*$", said, re.MULTILINE)
            raise _Void(f"h2load did not say {part!r}: {'; '.join(found)}")
    # Printed with a unit, and rounded.
    took = re.search(r"^finished in ([\d.]+)(us|ms|s),", said, re.MULTILINE)
    took = float(took[1]) * {"us": 1e-6, "ms": 1e-3, "s": 1}[took[2]]
    return requests / took, took


class Clock:
    """CPU time of all threads of all processes of a peer since this was made."""

    def __init__(self, peer):
        self._peer = peer
        self._start = self._threads()

    def _threads(self):
        """For each thread ns on a core, and ns runnable without one: /proc/PID/task/TID/schedstat."""
        threads = {}
        for pid, _ in descendants(self._peer.process.pid):
            for each in Path(f"/proc/{pid}/task").glob("*/schedstat"):
                try:
                    ran, waited, _ = each.read_text().split()
                except OSError:
                    continue  # It ended meanwhile.
                threads[each] = (int(ran), int(waited))
        return threads

    def read(self):
        """ns run, ns waited. A thread that ended meanwhile counts for nothing, one that began counts in full."""
        # What follows the last answer, such as giving its connection back, belongs to it.
        time.sleep(0.005)
        if self._peer.process.poll() is not None:
            raise _Void("the proxy has ended")
        ran = waited = 0
        for thread, (now_ran, now_waited) in self._threads().items():
            then_ran, then_waited = self._start.get(thread, (0, 0))
            ran += now_ran - then_ran
            waited += now_waited - then_waited
        return ran, waited
