"""What the figures depend on: packages, the build, and what to say about both beside the figures."""

import json
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

from .world import Failure

PROFILE = "dist"
# What the run needs, and the Debian package that has it.
PACKAGES = {
    "nginx": "nginx-light",
    "haproxy": "haproxy",
    "h2load": "nghttp2-client",
    "callgrind_control": "valgrind",
    "openssl": "openssl",
    "taskset": "util-linux",
}
# While this file says no, a package that is installed does not start its service.
POLICY = Path("/usr/sbin/policy-rc.d")


def install(programs):
    """Installs what is missing of `programs`, by Debian's package manager."""
    missing = sorted({PACKAGES[each] for each in programs if not shutil.which(each)})
    if not missing:
        return
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *missing]
    if os.geteuid() or not shutil.which("apt-get"):
        raise Failure(f"missing: install them with `{' '.join(command)}` as root")
    ours = not POLICY.exists()
    try:
        if ours:
            POLICY.write_text("#!/bin/sh\nexit 101\n")
            POLICY.chmod(0o755)
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "--quiet"], check=True, env=quiet)
        subprocess.run(command, check=True, env=quiet)
    finally:
        if ours:
            POLICY.unlink(missing_ok=True)


def build(root, names):
    """Builds the programs of the bench, and Weir if it takes part; gives the folder they are in."""
    packages = ["weir-bench"] + (["weir-proxy"] if "weir" in names else [])
    command = ["cargo", "build", "--profile", PROFILE, "--bins", *(f"--package={each}" for each in packages)]
    if subprocess.run(command, cwd=root).returncode:
        raise Failure(f"`{' '.join(command)}` failed")
    return built(root)


def built(root):
    command = ["cargo", "metadata", "--format-version=1", "--no-deps"]
    done = subprocess.run(command, cwd=root, text=True, capture_output=True)
    if done.returncode:
        raise Failure(f"`{' '.join(command)}` failed:\n{done.stderr}")
    return Path(json.loads(done.stdout)["target_directory"]) / PROFILE


def describe(root, names):
    """Lines of (what, value) for the head of a result."""
    model = re.search(r"^Model name: +(.+)$", _say(["lscpu"]), re.MULTILINE)
    pingora = re.search(r'name = "pingora"\nversion = "(.+)"', (root / "Cargo.lock").read_text())
    rustc = _say(["rustc", "--version"], cwd=root).split()[1]
    yield "Machine", f"{model[1] if model else platform.machine()}, {os.cpu_count()} cores"
    yield "Kernel", f"{platform.system()} {platform.release()}"
    if "weir" in names:
        yield "Weir", f"commit {_say(['git', 'describe', '--always', '--dirty'], cwd=root)}"
    yield "Built with", f"rustc {rustc}, profile `{PROFILE}`"
    yield "bare", f"Pingora {pingora[1]} with rustls, aws-lc-rs, mimalloc"
    for peer, order, version, library in (
        ("nginx", "-V", r"nginx/(\S+)", r"OpenSSL (\S+)"),
        ("haproxy", "-vv", r"version (\S+)", r"Running on OpenSSL version : OpenSSL (\S+)"),
    ):
        if peer in names:
            said = _say([peer, order])
            yield peer, f"{_first(version, said)}, OpenSSL {_first(library, said)}"
    yield "Tools", f"{_say(['h2load', '--version'])}, {_say(['valgrind', '--version'])}"


def _first(pattern, text):
    found = re.search(pattern, text)
    return found[1] if found else "unknown"


def _say(command, cwd=None):
    done = subprocess.run(command, cwd=cwd, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.stdout.strip()
