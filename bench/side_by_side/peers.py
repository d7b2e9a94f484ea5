"""The proxies that stand side by side: each with the same one route, `/` to the origin, and connections kept alive on
both sides; one worker; no access log. Each function starts one and gives a `Peer` that answers already.

`under` is the command that the proxy runs under, for callgrind. Then it is one process, and slow to start."""

import http.client
import json
import ssl
import subprocess
from dataclasses import dataclass

from .world import Failure, free_ports, wait_until

PATH, LENGTH = "/1k", 1024
START_SECONDS = 20
START_SECONDS_UNDER = 180


@dataclass
class Peer:
    name: str
    process: subprocess.Popen
    plain: int
    tls: int | None


def start(world, name, origin, under=()):
    """Starts the peer `name` in front of `origin` (host:port) and waits until it passes a right answer on."""
    peer = ALL[name](world, origin, under)
    _wait_until_serves(world, peer, START_SECONDS_UNDER if under else START_SECONDS)
    return peer


def _weir(world, origin, under):
    state = world.folder / f"weir-{len(under)}"
    state.mkdir()
    bootstrap, mesh, ready = state / "bootstrap.toml", state / "mesh.toml", state / "ready.json"
    # All load comes from one address, which the default limits would take for an attack.
    limits = "limits = { connections = 20000, connections_per_client = 20000 }"
    bootstrap.write_text(f"""
mode = "edge"
workers = 1
state_dir = "{state}"

[admin]
address = "127.0.0.1:0"

[telemetry]
metrics = "127.0.0.1:0"
health = "127.0.0.1:0"
access_log = "off"

[listeners.plain]
address = "127.0.0.1:0"
default = true
{limits}

[listeners.tls]
address = "127.0.0.1:0"
default = true
{limits}
tls = {{ certificates = [{{ cert = "{world.cert}", key = "{world.key}" }}] }}
""")
    mesh.write_text(f"""
[routes.all]
  [[routes.all.rules]]
  match = ["/*"]
  to = "backend"

[upstreams.backend]
endpoints = ["{origin}"]
""")
    command = [*under, world.programs / "weir-proxy", "--config", bootstrap, "--mesh", mesh]
    process = world.start("weir", world.proxy_core, command)
    seconds = START_SECONDS_UNDER if under else START_SECONDS
    if not wait_until(ready.exists, lambda: process.poll() is None, seconds):
        raise Failure(f"weir wrote no ready.json:\n{world.last_words('weir')}")
    bound = json.loads(ready.read_text())
    ports = [int(bound[listener].rpartition(":")[2]) for listener in ("plain", "tls")]
    return Peer("weir", process, *ports)


def _bare(world, origin, under):
    plain, tls = free_ports(2)
    listeners = ["--plain", f"127.0.0.1:{plain}", "--tls", f"127.0.0.1:{tls}", "--cert", world.cert, "--key", world.key]
    command = [*under, world.programs / "bare", *listeners, "--upstream", origin, "--threads", "1"]
    return Peer("bare", world.start("bare", world.proxy_core, command), plain, tls)


def _nginx(world, origin, under):
    plain, tls = free_ports(2)
    folder = world.folder / f"nginx-{len(under)}"
    folder.mkdir()
    # Both sides keep a connection for 1,000 requests unless told; an upstream keeps none at all.
    (folder / "nginx.conf").write_text(f"""
daemon off;
master_process {"off" if under else "on"};
worker_processes 1;
pid {folder}/pid;
error_log stderr warn;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream backend {{
        server {origin};
        keepalive 4096;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{plain};
        listen 127.0.0.1:{tls} ssl http2;
        ssl_protocols TLSv1.3;
        ssl_certificate {world.cert};
        ssl_certificate_key {world.key};
        location / {{
            proxy_pass http://backend;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
}}
""")
    command = [*under, "nginx", "-p", folder, "-c", folder / "nginx.conf"]
    return Peer("nginx", world.start("nginx", world.proxy_core, command), plain, tls)


def _haproxy(world, origin, under):
    plain, tls = free_ports(2)
    both, settings = world.folder / "both.pem", world.folder / "haproxy.cfg"
    both.write_text(world.cert.read_text() + world.key.read_text())
    settings.write_text(f"""
global
    nbthread 1
    ssl-default-bind-options ssl-min-ver TLSv1.3
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    http-reuse always
frontend all
    bind 127.0.0.1:{plain}
    bind 127.0.0.1:{tls} ssl crt {both} alpn h2,http/1.1
    default_backend backend
backend backend
    server one {origin}
""")
    command = [*under, "haproxy", "-db", "-f", settings]
    return Peer("haproxy", world.start("haproxy", world.proxy_core, command), plain, tls)


def _floor(world, origin, under):
    command = [*under, world.programs / "floor", "--upstream", origin]
    process, address = world.start_listening("floor", world.proxy_core, command)
    return Peer("floor", process, int(address.rpartition(":")[2]), None)


ALL = {"weir": _weir, "bare": _bare, "nginx": _nginx, "haproxy": _haproxy, "floor": _floor}


def _wait_until_serves(world, peer, seconds):
    context = ssl.create_default_context(cafile=world.cert)
    plain = http.client.HTTPConnection("127.0.0.1", peer.plain, timeout=seconds)
    connections = [plain]
    if peer.tls:
        connections.append(http.client.HTTPSConnection("localhost", peer.tls, timeout=seconds, context=context))
    refusal = "no answer"

    def answers(connection):
        nonlocal refusal
        try:
            connection.request("GET", PATH)
            answer = connection.getresponse()
            refusal = f"status {answer.status}, {len(answer.read())} bytes"
            return refusal == f"status 200, {LENGTH} bytes"
        except (OSError, http.client.HTTPException) as error:
            refusal = str(error)
            return False
        finally:
            connection.close()

    for connection in connections:
        if not wait_until(lambda: answers(connection), lambda: peer.process.poll() is None, seconds):
            raise Failure(f"{peer.name} does not serve ({refusal}):\n{world.last_words(peer.name)}")
