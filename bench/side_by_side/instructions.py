"""User instructions per request, counted by callgrind: they do not jitter, so they can be held to a limit.

The proxy runs under callgrind with counting off. Once its connections are warm and nothing is in flight, counting goes
on, a known number of requests passes, and counting goes off again. What the kernel does is not in the figure."""

import re
import subprocess
import sys
from dataclasses import replace

from . import peers
from .rounds import SCENARIOS, Load, load_command
from .world import Failure

SCENARIO = replace(SCENARIOS["plain"], what="HTTP/1.1, 16 connections, 1 KiB, closed loop", connections=16)
WARM_REQUESTS = 500


def count(world, name, origin, requests):
    """User instructions that the peer `name` spends on one plain HTTP/1.1 request."""
    out = world.folder / f"callgrind.{name}"
    prefix = f"--vgdb-prefix={world.folder}/vgdb"
    under = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}", prefix]
    peer = peers.start(world, name, origin, under)
    try:
        command = load_command(world, peer, SCENARIO)
        command += ["--warm-requests", WARM_REQUESTS, "--requests", requests]
        load = Load(world, command)
        try:
            load.mark()
            _control(peer, prefix, "--instr=on")
            load.go_on()
            load.mark()
            _control(peer, prefix, "--instr=off")
        finally:
            load.end()
        _control(peer, prefix, "--dump")
    finally:
        world.end(peer.process)
    # The dump is the first of several: the end of the process writes another, without a number.
    total = re.search(r"^totals: (\d+)$", out.with_name(f"{out.name}.1").read_text(), re.MULTILINE)
    per_request = int(total[1]) / requests
    print(f"instructions: {name} {per_request:,.0f}", file=sys.stderr)
    return per_request


def _control(peer, prefix, order):
    command = ["callgrind_control", prefix, order, str(peer.process.pid)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode or "OK" not in done.stdout:
        raise Failure(f"callgrind_control {order} on {peer.name}: {done.stdout}{done.stderr}")
