"""Runs the services of this folder against the real program, and kills one of them at the worst moment.

    check.py HEADWATER decide COMMAND…      several at once over one account, each `COMMAND ADDRESS ACCOUNT AMOUNT`
    check.py HEADWATER react  COMMAND…      `COMMAND KAFKA HTTP PROVIDER`, killed between its act and its note of it
"""

import http.server
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
SECONDS = 60


def expect(holds, what):
    if not holds:
        sys.exit(f"FAILED: {what}")


def eventually(holds, what):
    until = time.monotonic() + SECONDS
    while not holds():
        expect(time.monotonic() < until, f"not within {SECONDS} s: {what}")
        time.sleep(0.05)


class Program:
    """`headwater run` over a scratch folder."""

    def __init__(self, program, data):
        self.program, self.data = program, data
        self.start()

    def start(self):
        doors = ["--kafka", "127.0.0.1:0", "--postgres", "none", "--http", "127.0.0.1:0"]
        command = [self.program, "run", str(HERE), "--data", str(self.data), *doors]
        self.child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        addresses = {}
        for line in self.child.stdout:
            name, _, address = line.strip().partition(" ")
            addresses[name] = address
            if name == "ready":
                break
        expect("ready" in addresses, "the program starts")
        self.kafka, self.http = addresses["kafka"], f"http://{addresses['http']}"
        threading.Thread(target=self.child.stdout.read, daemon=True).start()

    def stop(self):
        self.child.kill()
        self.child.wait()

    def post(self, path, body):
        request = urllib.request.Request(self.http + path, body.encode(), {"Content-Type": "application/x-ndjson"})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def rows(self, question):
        request = urllib.request.Request(f"{self.http}/sql", question.encode(), {"Content-Type": "text/plain"})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)["rows"]


def decide(program, command):
    """Ten withdrawals of 10 have room on an account of 100; sixteen services try at once."""
    program.post("/streams/accounts/events", '{"account": "BradA", "kind": "deposit", "amount": 100.00}')
    tries = [subprocess.Popen([*command, program.http, "BradA", "10.00"], stdout=subprocess.PIPE, text=True) for _ in range(16)]
    said = [one.communicate()[0].strip() for one in tries]
    expect(all(one.returncode == 0 for one in tries), f"every service ends well: {said}")
    withdrawn = [words for words in said if words.startswith("withdrawn")]
    expect(len(withdrawn) == 10 and said.count("refused") == 6, f"ten withdraw and six are refused: {said}")
    left = sorted(words.split()[1] for words in withdrawn)
    expect(left == sorted(f"{tens * 10}.00" for tens in range(10)), f"each saw what the one before left: {left}")
    eventually(
        lambda: [float(row[0]) for row in program.rows("SELECT balance FROM balances WHERE account = 'BradA'")] == [0.0],
        "nothing is left on the account",
    )


class Provider(http.server.ThreadingHTTPServer):
    """Takes payments. The same key is the same charge; while the one to be killed is known, the fourth charge kills it before the answer."""

    def __init__(self):
        self.charges, self.asked, self.victim = {}, [], None
        super().__init__(("127.0.0.1", 0), Charges)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Charges(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        provider, key = self.server, self.headers["Idempotency-Key"]
        receipt = provider.charges.setdefault(key, f"receipt {len(provider.charges) + 1}")
        provider.asked.append(key)
        if provider.victim and len(provider.asked) == 4:
            provider.victim.kill()
            return
        body = json.dumps({"receipt": receipt}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def react(program, command):
    """Six orders: the first three are charged and noted and not committed, the fourth is charged and not noted when the service dies."""
    orders = "\n".join(f'{{"order_id": "o{number}", "amount": 10.00}}' for number in range(6))
    program.post("/streams/orders/events", orders)
    provider = Provider()
    start = lambda: subprocess.Popen([*command, program.kafka, program.http, f"http://127.0.0.1:{provider.server_port}"])
    provider.victim = start()
    eventually(lambda: provider.victim.poll() is not None, "the service is killed with its fourth charge")
    paid = "SELECT order_id, receipt FROM payments ORDER BY order_id"
    expect(len(program.rows(paid)) == 3, f"three orders are noted: {program.rows(paid)}")
    provider.victim = None
    service = start()
    try:
        eventually(lambda: len(program.rows(paid)) == 6, "every order is noted")
        eventually(lambda: len(provider.asked) >= 10, "what was not committed is done again")
        expect(len(provider.charges) == 6, f"six charges were made, whoever asked how often: {provider.charges}")
        rows = program.rows(paid)
        expect([row[0] for row in rows] == [f"o{number}" for number in range(6)], f"each order is noted once: {rows}")
        expect(sorted(row[1] for row in rows) == sorted(provider.charges.values()), f"with its own receipt: {rows}")
        asked = len(provider.asked)
        rebuild(program, service, paid)
        expect(len(provider.asked) == asked, "building the views again asks for nothing")
    finally:
        service.kill()
        service.wait()
        provider.shutdown()


def rebuild(program, service, paid):
    """Deletes every view while the program is stopped, and starts again: the rows come back, and no effect does."""
    service.kill()
    service.wait()
    program.stop()
    shutil.rmtree(program.data / "views")
    program.start()
    eventually(lambda: len(program.rows("SELECT * FROM paid")) == 6, "the view is there again")
    expect(len(program.rows(paid)) == 6, "the stream is as it was")


def main(program, what, *command):
    with tempfile.TemporaryDirectory() as scratch:
        running = Program(program, pathlib.Path(scratch) / "data")
        try:
            {"decide": decide, "react": react}[what](running, list(command))
        finally:
            running.stop()
    print(f"ok {what}: {' '.join(os.path.basename(word) for word in command)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
