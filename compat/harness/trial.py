"""Runs a client's checks and prints one line for each: `ok FEATURE` or `FAILED FEATURE: what went wrong`.

A check is a function of no arguments that raises when something is wrong. Checks run one after another against one broker; each uses topics and
groups of its own.
"""

import os
import signal
import subprocess
import sys
import time
import traceback

SECONDS_MAX = 90
address = os.environ["ADDRESS"]


def broker(what):
    """`restart` or `kill`: the broker ends so and is started again at the same address."""
    subprocess.run([os.environ["BROKER"], what], check=True, stdin=subprocess.DEVNULL)


def expect(holds, what):
    if not holds:
        raise AssertionError(what)


def eventually(holds, what, seconds=10):
    """Waits until `holds()`: for what a broker may tell its clients a little later."""
    until = time.monotonic() + seconds
    while not holds():
        expect(time.monotonic() < until, what)
        time.sleep(0.1)


def run(checks):
    """Runs `{feature: function}`, or those that the command line names."""
    signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(TimeoutError(f"not done within {SECONDS_MAX} s")))
    for feature in sys.argv[1:] or checks:
        try:
            signal.alarm(SECONDS_MAX)
            checks[feature]()
            signal.alarm(0)
            print(f"ok {feature}", flush=True)
        except Exception as error:  # pylint: disable=broad-except
            signal.alarm(0)
            traceback.print_exc()
            print(f"FAILED {feature}: {type(error).__name__}: {error}".replace("\n", " "), flush=True)
