# SPDX-License-Identifier: BSD-2-Clause
"""A running machine: its serial line in both directions, and how the run ended.

Ringmaster's line `rm: event=exit status=N` is the truth about success; the emulator's exit status is the
second source. A session owns its emulator: close() leaves no process and no descriptor behind."""

import enum
import os
import re
import select
import time
import tty

ESCAPE_SEQUENCE = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|[@-Z\\-_])")
EXIT_EVENT = re.compile(r"^rm: event=(?:exit status=(\d+)|panic)")
PANIC_STATUS = 1


class Outcome(enum.Enum):
    """How a run ended; the value is (name, exit status of scripts/run)."""

    MATCHED = ("the awaited line came", 0)
    SUCCESS = ("Ringmaster reported success", 0)
    FAILURE = ("Ringmaster reported failure", 1)
    ENDED = ("the machine stopped or was reset without a word about success", 1)
    DIED = ("the emulator failed", 3)
    TIMEOUT = ("the time was up", 124)
    INTERRUPTED = ("interrupted", 130)

    @property
    def text(self):
        return self.value[0]

    @property
    def status(self):
        return self.value[1]


class SerialLog:
    """What came over the line: the bytes, and the same as lines without colours and carriage returns."""

    def __init__(self):
        self.raw = bytearray()
        self.lines = []
        self._partial = b""

    def feed(self, data):
        """Add bytes; returns the lines that they completed."""
        self.raw += data
        *complete, self._partial = (self._partial + data).split(b"\n")
        new = [self.clean(line) for line in complete]
        self.lines += new
        return new

    @property
    def partial(self):
        """The line that has not ended yet, such as a prompt."""
        return self.clean(self._partial)

    @staticmethod
    def clean(line):
        """As a terminal would show it: what stands behind the last carriage return."""
        text = line.replace(b"\0", b"").decode("utf-8", "replace")
        return ESCAPE_SEQUENCE.sub("", text).rstrip("\r").rpartition("\r")[2]

    def find(self, pattern, start=(0, 0)):
        """The first match at or after `start`, a (line, column), and where to look on: behind the match,
        or at what has not come yet. The unfinished last line counts."""
        line, column = start
        for text in [*self.lines[line:], self.partial]:
            match = pattern.search(text, column)
            if match:
                return match, (line, match.end())
            line, column = line + 1, 0
        return None, (len(self.lines), start[1] if start[0] == len(self.lines) else 0)

    def tail(self, count=40):
        return [*self.lines, self.partial][-count:]


class Session:
    def __init__(self, machine, process, master, slave, workdir):
        self.machine = machine
        self.process = process
        self.workdir = workdir
        self.log = SerialLog()
        self.exit_status = None
        """N of Ringmaster's `rm: event=exit status=N`, once it was seen; a panic counts as 1."""
        self._started = time.monotonic()
        self._exit_seen_at = None
        self._outgoing = b""
        self._master = master
        self._slave = slave  # kept open: the line would hang up before the emulator opens it
        self._ended = os.pidfd_open(process.pid)
        tty.setraw(slave)
        os.set_blocking(master, False)

    @property
    def seconds(self):
        """Since the start."""
        return time.monotonic() - self._started

    def send(self, data):
        """Type on the line; pump() delivers as fast as the machine takes it."""
        self._outgoing += data

    def pump(self, timeout, keyboard=None):
        """Wait at most `timeout` seconds (None: for ever) until something happens. Returns what came over
        the line, and whether `keyboard`, another descriptor to wait for, has something."""
        sources = [self._master, self._ended, *([] if keyboard is None else [keyboard])]
        sinks = [self._master] if self._outgoing else []
        readable, writable, _ = select.select(sources, sinks, [], timeout)
        if writable:
            self._outgoing = self._outgoing[os.write(self._master, self._outgoing):]
        return self._receive(), keyboard is not None and keyboard in readable

    def _receive(self):
        try:
            data = os.read(self._master, 65536)
        except OSError:
            return b""  # nothing there
        for line in self.log.feed(data):
            event = EXIT_EVENT.match(line)
            if event and self.exit_status is None:
                self.exit_status = int(event[1] or PANIC_STATUS)
                self._exit_seen_at = time.monotonic()
        return data

    @property
    def running(self):
        return self.process.poll() is None

    @property
    def overdue(self):
        """Did Ringmaster report the end, and the machine not power off?"""
        patience = self.machine.power_off_seconds
        return self._exit_seen_at is not None and time.monotonic() - self._exit_seen_at > patience

    @property
    def powered_off(self):
        """Did the machine end by itself and properly?"""
        return not self.running and not self.why_died()

    def why_died(self):
        """How the ended emulator failed; None when it did not."""
        return self.machine.why_died(self.process.returncode, self.workdir)

    def outcome(self):
        """How the run ended, once it has."""
        if self.exit_status is not None:
            return Outcome.FAILURE if self.exit_status else Outcome.SUCCESS
        if self.running:
            return Outcome.TIMEOUT
        if self.why_died():
            return Outcome.DIED
        verdict = self.machine.verdict(self.process.returncode)
        return {True: Outcome.SUCCESS, False: Outcome.FAILURE, None: Outcome.ENDED}[verdict]

    def close(self):
        if self.running:
            self.process.kill()
        self.process.wait()
        for descriptor in (self._master, self._slave, self._ended):
            os.close(descriptor)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def watch(session, until=None, timeout=None, start=(0, 0), show=None, keyboard=None):
    """Let the machine run until the compiled regex `until` matches at or after `start`, it ends, or
    `timeout` seconds have passed. `show(data)` sees what comes; `keyboard()` handles input on its fileno()
    and says whether to go on. Returns (Outcome, match or None, position behind the match)."""
    deadline = None if timeout is None else time.monotonic() + timeout
    if until:  # it may have come with what came last: nothing would be there to wake us
        match, start = session.log.find(until, start)
        if match:
            return Outcome.MATCHED, match, start
    while True:
        running = session.running
        left = 1.0 if deadline is None else min(1.0, max(0.0, deadline - time.monotonic()))
        data, typed = session.pump(left if running else 0, keyboard and keyboard.fileno())
        if show:
            show(data)
        if until:
            match, start = session.log.find(until, start)
            if match:
                return Outcome.MATCHED, match, start
        if (not running and not data) or session.overdue:
            return session.outcome(), None, start
        if deadline is not None and time.monotonic() >= deadline:
            return Outcome.TIMEOUT, None, start
        if typed and not keyboard():
            return Outcome.INTERRUPTED, None, start
