"""The world of one run: a folder, two cores, a certificate, and the processes that live in it."""

import os
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

# What a process gets to end by itself.
END_SECONDS = 5
# Signals that end the run.
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Failure(Exception):
    """Something that the reader of the message can act on."""


class World:
    """Use with `with`: whatever was started ends with it, and the folder goes."""

    def __init__(self, programs):
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) < 2:
            raise Failure("two cores are needed: one for the proxy, one for the load generator and the origin")
        self.proxy_core, self.client_core = cores[:2]
        self.programs = programs
        self.folder = Path(tempfile.mkdtemp(prefix="weir-bench-"))
        # nginx' worker is another user, and keeps its buffers here.
        self.folder.chmod(0o755)
        self.cert, self.key = self.folder / "cert.pem", self.folder / "key.pem"
        self._started = []

    def __enter__(self):
        # We measure nothing on the proxy's core, not even ourselves.
        os.sched_setaffinity(0, {self.client_core})
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self._make_certificate()
        return self

    def __exit__(self, *_):
        # A second Ctrl-C would leave behind what the first has yet to end.
        for ending in ENDINGS:
            signal.signal(ending, signal.SIG_IGN)
        for process in reversed(self._started):
            self.end(process)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _make_certificate(self):
        """A P-256 key and a certificate that it signed itself."""
        settings = self.folder / "openssl.cnf"
        settings.write_text(
            "[req]\ndistinguished_name = name\nx509_extensions = leaf\nprompt = no\n[name]\nCN = localhost\n"
            "[leaf]\nbasicConstraints = critical,CA:FALSE\nsubjectAltName = DNS:localhost,IP:127.0.0.1\n"
        )
        kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-sha256", "-days", "2"]
        files = ["-config", settings, "-keyout", self.key, "-out", self.cert]
        subprocess.run(["openssl", "req", "-x509", *kind, *files], check=True, capture_output=True)

    def start(self, name, core, command, **pipes):
        """Starts `command` on `core`, out of reach of the terminal's Ctrl-C; what it says goes to a log."""
        # RUST_LOG would make some peers talk and others not.
        environment = {key: value for key, value in os.environ.items() if key != "RUST_LOG"}
        with open(self.log(name), "ab") as log:
            pipes = {"stdin": subprocess.DEVNULL, "stdout": log, **pipes}
            command = ["taskset", "--cpu-list", str(core), *map(str, command)]
            process = subprocess.Popen(
                command, stderr=log, cwd=self.folder, env=environment, start_new_session=True, **pipes
            )
        self._started.append(process)
        return process

    def end(self, process):
        """By its own process id, and its children by theirs."""
        family = descendants(process.pid) if process.poll() is None else []
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for pid, born in family[1:]:
            if birth(pid) == born:
                os.kill(pid, 9)
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()
        if process in self._started:
            self._started.remove(process)

    def log(self, name):
        return self.folder / f"{name}.log"

    def last_words(self, name):
        lines = self.log(name).read_text(errors="replace").strip().splitlines()
        return "\n".join(lines[-10:])

    def start_listening(self, name, core, command):
        """Starts one of our programs that prints where it listens; gives it and its address."""
        process = self.start(name, core, command, stdout=subprocess.PIPE)
        address = process.stdout.readline().decode().strip()
        if not address:
            raise Failure(f"{name} did not start:\n{self.last_words(name)}")
        return process, address


def free_ports(count):
    """Ports that the kernel had free a moment ago, for programs that cannot say which one they took."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def wait_until(ready, alive, seconds):
    """True once `ready()` is; false if `alive()` is not, or after `seconds`."""
    end = time.monotonic() + seconds
    while not ready():
        if not alive() or time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def _stat(pid):
    """The fields of /proc/PID/stat after the name, which may hold anything: state, parent, …"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def birth(pid):
    """Tells a process from a later one with the same id."""
    stat = _stat(pid)
    return stat and stat[19]


def descendants(root):
    """The process and all below it, each with its birth."""
    children = {}
    for entry in os.listdir("/proc"):
        stat = _stat(entry) if entry.isdigit() else None
        if stat:
            children.setdefault(int(stat[1]), []).append(int(entry))
    family, births = [root], []
    for pid in family:
        family += children.get(pid, [])
        births.append((pid, birth(pid)))
    return births
