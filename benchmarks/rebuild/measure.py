#!/usr/bin/env python3
"""How fast a view is built anew from its stream: on one core and on all, and what a stream costs that several views are built of.

    HEADWATER=target/release/headwater benchmarks/rebuild/measure.py [EVENTS] [ACCOUNTS]

Events are appended once over HTTP, then the views' folder is deleted and the program started again, bound to the cores named; it is asked by SHOW VIEWS
until every view runs. Beside the time stands the processor time of the process.
"""
import json, os, random, shutil, signal, subprocess, sys, tempfile, time, urllib.request

HEADWATER = os.environ.get("HEADWATER", "target/release/headwater")
EVENTS = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000
ACCOUNTS = int(sys.argv[2]) if len(sys.argv) > 2 else 100_000
BATCH = 5_000
STREAM = """CREATE STREAM transactions (account TEXT NOT NULL, kind TEXT NOT NULL, amount DECIMAL(18,2) NOT NULL, teller TEXT)
WITH (partitions = 4, entities = 'none');"""
BALANCES = """CREATE MATERIALIZED VIEW {name} STORED AS document AS SELECT account,
sum(CASE kind WHEN 'deposit' THEN amount ELSE -amount END) AS balance, count(*) AS entries, max(_timestamp) AS updated_at
FROM transactions GROUP BY account;"""


class Program:
    def __init__(self, folder, views, cores):
        application = os.path.join(folder, "app.sql")
        with open(application, "w") as file:
            file.write(STREAM + "".join(BALANCES.format(name=f"balances_{view}") for view in range(views)))
        command = [HEADWATER, "run", application, "--data", os.path.join(folder, "data"), "--kafka", "none", "--postgres", "none"]
        self.began = time.monotonic()
        self.process = subprocess.Popen(["taskset", "-c", cores] + command + ["--http", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True)
        for line in self.process.stdout:
            if line.startswith("http "):
                self.http = line.split()[1]
            if line.startswith("ready"):
                break

    def ask(self, method, path, body=None):
        request = urllib.request.Request(f"http://{self.http}{path}", data=body, method=method, headers={"Content-Type": "application/x-ndjson"})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def built(self):
        """Waits until every view is built: seconds since the start, and the process's seconds on processors."""
        while True:
            views = self.ask("GET", "/views")["views"]
            if all(view["status"]["building"] is None and view["status"]["lag_events"] == 0 for view in views):
                break
            time.sleep(0.02)
        took = time.monotonic() - self.began
        with open(f"/proc/{self.process.pid}/stat") as file:
            fields = file.read().rsplit(") ", 1)[1].split()
        return took, (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def load(program):
    dice = random.Random(7)
    for first in range(0, EVENTS, BATCH):
        events = [
            {"account": f"account-{dice.randrange(ACCOUNTS):06}", "kind": dice.choice(("deposit", "withdrawal")), "amount": dice.randrange(1_000_000) / 100, "teller": "ann"}
            for _ in range(min(BATCH, EVENTS - first))
        ]
        program.ask("POST", "/streams/transactions/events", "\n".join(map(json.dumps, events)).encode())


def main():
    cores = f"0-{os.cpu_count() - 1}"
    with tempfile.TemporaryDirectory() as folder:
        program = Program(folder, 0, cores)
        load(program)
        program.stop()
        for views, bound in [(0, cores), (1, "0"), (1, cores), (4, "0"), (4, cores)]:
            shutil.rmtree(os.path.join(folder, "data", "views"), ignore_errors=True)
            program = Program(folder, views, bound)
            took, processor = program.built()
            program.stop()
            each = f"{EVENTS / took / 1e6:.2f} M events/s each" if views else "start alone"
            print(f"{views} views on cores {bound}: {took:.2f} s, {processor:.2f} s of processors, {each}", flush=True)


main()
