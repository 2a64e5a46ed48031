"""Rows per second and latency on the wire, beside a real PostgreSQL in one run.

Usage: python3 benches/wire_rates.py [--binary target/release/featgres] [--featgres HOST:PORT/DB] [--postgres HOST:PORT/DB] [--rows 1000000]

Without an address, a server is started over a temporary folder: featgres from the binary, PostgreSQL from the newest installed one. The client is a raw
socket that throws away what it reads, so that the servers are measured and not a driver. Both have the same temporary table of four columns
(bigint, double precision, timestamp with time zone, text of about ten characters). Each number is the median of five runs. Then, beside sessions
that are busy with long joins (`--joins`), what others wait for: SELECT 1, a login, and those sessions themselves for a cancel.
Needs nothing but the standard library.
"""
import argparse
import glob
import os
import pathlib
import shutil
import socket
import statistics
import struct
import subprocess
import tempfile
import time

FILL = """CREATE TEMP TABLE rates AS SELECT g::bigint AS id, g * 0.37::float8 AS amount,
    to_timestamp(1704067200 + g)::timestamptz AS at, 'name ' || (g % 100000)::text AS name
    FROM generate_series(1::bigint, {rows}::bigint) AS t(g)"""
SELECT = "SELECT id, amount, at, name FROM rates"
LONG = "SELECT count(*) FROM generate_series(1, 400000) AS a(i) JOIN generate_series(1, 400000) AS b(j) ON a.i + b.j < 0"
READY = b"Z\x00\x00\x00\x05I"


class Wire:
    """A session that counts bytes."""

    def __init__(self, address, user="bench"):
        host, rest = address.split(":")
        port, database = rest.split("/")
        self.address = (host, int(port))
        self.socket = socket.create_connection(self.address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray(1 << 20)
        body = struct.pack("!i", 196608) + f"user\0{user}\0database\0{database}\0\0".encode()
        self.socket.sendall(struct.pack("!i", len(body) + 4) + body)
        greeting = b""
        while not greeting.endswith(READY):
            greeting += self.socket.recv(4096)
        # BackendKeyData: what a cancel must name.
        key = greeting.index(b"K\0\0\0\x0c") + 5
        self.key = greeting[key : key + 8]

    def send(self, sql):
        self.socket.sendall(self.message(b"Q", sql.encode() + b"\0"))

    def cancel(self):
        """Cancels, and waits for the statement's end."""
        with socket.create_connection(self.address) as request:
            request.sendall(struct.pack("!ii", 16, 80877102) + self.key)
        while not self.socket.recv(4096).endswith(READY):
            pass

    def until_ready(self):
        """Reads up to ReadyForQuery; how many bytes. An error is told."""
        total, tail, first = 0, b"", b""
        while not tail.endswith(READY):
            count = self.socket.recv_into(self.buffer)
            if count == 0:
                raise ConnectionError("the server closed the connection: " + first.decode("utf-8", "replace"))
            first = first or bytes(self.buffer[: min(count, 300)])
            tail = (tail + bytes(self.buffer[max(0, count - 6) : count]))[-6:]
            total += count
        if first[:1] == b"E":
            raise RuntimeError(first.decode("utf-8", "replace"))
        return total

    @staticmethod
    def message(tag, body):
        return tag + struct.pack("!i", len(body) + 4) + body

    def query(self, sql):
        self.send(sql)
        return self.until_ready()

    def extended(self, sql, binary):
        formats = struct.pack("!hh", 1, 1) if binary else struct.pack("!h", 0)
        self.socket.sendall(
            self.message(b"P", b"\0" + sql.encode() + b"\0\0\0")
            + self.message(b"B", b"\0\0" + struct.pack("!hh", 0, 0) + formats)
            + self.message(b"E", b"\0" + struct.pack("!i", 0))
            + self.message(b"S", b"")
        )
        return self.until_ready()


def median(work, runs=5):
    times = []
    for _ in range(runs):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def latency(work, runs=2000):
    times = []
    for _ in range(runs):
        begin = time.perf_counter_ns()
        work()
        times.append(time.perf_counter_ns() - begin)
    return statistics.median(times) / 1000


def measure(address, rows):
    wire = Wire(address)
    wire.query(FILL.format(rows=rows))
    rates = {
        "rows/s, text": lambda: wire.query(SELECT),
        "rows/s, binary": lambda: wire.extended(SELECT, True),
        "rows/s, COPY text": lambda: wire.query(f"COPY ({SELECT}) TO STDOUT"),
        "rows/s, COPY binary": lambda: wire.query(f"COPY ({SELECT}) TO STDOUT (FORMAT binary)"),
    }
    found = {}
    for name, work in rates.items():
        work()
        found[name] = rows / median(work)
    for name, work in {
        "SELECT 1, simple, µs": lambda: wire.query("SELECT 1"),
        "SELECT 1, extended, µs": lambda: wire.extended("SELECT 1", False),
    }.items():
        latency(work, 200)
        found[name] = latency(work)
    return found


def beside_joins(address, joins):
    """What a session waits for while others join."""
    busy, other = [Wire(address) for _ in range(joins)], Wire(address)
    for wire in busy:
        wire.send(LONG)
    time.sleep(1)

    def login():
        Wire(address).socket.close()

    found = {
        "SELECT 1": latency(lambda: other.query("SELECT 1"), 200),
        "login": latency(login, 50),
    }
    waits = iter(busy)
    found["cancel"] = latency(lambda: next(waits).cancel(), joins)
    return {f"beside {joins} joins: {name}, µs": value for name, value in found.items()}


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def wait_for(port):
    for _ in range(600):
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.05)
    raise TimeoutError("the server does not listen")


def start_featgres(binary, folder):
    port = free_port()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("FEATGRES_")}
    process = subprocess.Popen([os.path.abspath(binary), "serve", "--listen", f"127.0.0.1:{port}"], cwd=folder, env=environment, stderr=subprocess.DEVNULL)
    wait_for(port)
    return process, port


def start_postgres(folder):
    programs = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    programs = pathlib.Path(programs[-1] if programs else os.path.dirname(shutil.which("initdb") or ""))
    if not (programs / "initdb").exists():
        return None
    prefix = []
    if os.getuid() == 0:
        # The server refuses to run as root.
        os.chmod(folder, 0o755)
        data = os.path.join(folder, "pg")
        os.mkdir(data)
        shutil.chown(data, "nobody")
        prefix = ["setpriv", "--reuid=nobody", "--clear-groups"]
    data = os.path.join(folder, "pg", "data")
    subprocess.run([*prefix, programs / "initdb", "-A", "trust", "-U", "bench", "-E", "UTF8", "--no-locale", "-D", data], check=True, stdout=subprocess.DEVNULL, cwd="/")
    port = free_port()
    settings = ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "timezone=UTC"]
    process = subprocess.Popen([*prefix, programs / "postgres", "-D", data, "-p", str(port), "-k", "", *settings], stderr=subprocess.DEVNULL, cwd="/")
    wait_for(port)
    time.sleep(0.5)
    return process, port


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--binary", default="target/release/featgres")
    arguments.add_argument("--featgres")
    arguments.add_argument("--postgres")
    arguments.add_argument("--rows", type=int, default=1_000_000)
    arguments.add_argument("--joins", type=int, default=40)
    given = arguments.parse_args()
    started = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            if not given.featgres:
                process, port = start_featgres(given.binary, folder)
                started.append(process)
                given.featgres = f"127.0.0.1:{port}/featgres"
            if not given.postgres and (server := start_postgres(folder)):
                started.append(server[0])
                given.postgres = f"127.0.0.1:{server[1]}/postgres"
            ours = measure(given.featgres, given.rows) | beside_joins(given.featgres, given.joins)
            theirs = measure(given.postgres, given.rows) | beside_joins(given.postgres, given.joins) if given.postgres else {}
        finally:
            for process in started:
                process.terminate()
            for process in started:
                process.wait()
    print(f"{'':36}{'featgres':>14}{'PostgreSQL':>14}{'ratio':>8}")
    for name, value in ours.items():
        other = theirs.get(name)
        ratio = f"{value / other:8.2f}" if other else ""
        print(f"{name:36}{value:14,.0f}{other or 0:14,.0f}{ratio}")


main()
