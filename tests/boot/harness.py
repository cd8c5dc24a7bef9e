# SPDX-License-Identifier: BSD-2-Clause
"""One booted machine of a system test: from a TOML text to expectations on the serial log.

Everything of a boot is kept in build/tests/NAME: config.toml, the emulator's command and logs, serial.log.
Time-outs here are nets: a test that passes never waits for one."""

import re
from pathlib import Path

from ringmaster import TREE
from ringmaster.config import Config, read_config
from ringmaster.iso import make_iso
from ringmaster.machines import MACHINES, Spec
from ringmaster.session import Outcome, watch

KERNEL = TREE / "build/ringmaster.elf"
EXPECT_SECONDS = 180
TAIL_LINES = 60


class Boot:
    """A machine that runs, with a cursor in its log: each expectation looks behind the last one's match."""

    def __init__(self, session):
        self.session = session
        self.position = (0, 0)

    @property
    def lines(self):
        return self.session.log.lines

    def expect(self, regex, timeout=EXPECT_SECONDS):
        """The next match of the regex on the console; fails when the machine ends before."""
        outcome, match, self.position = watch(self.session, re.compile(regex), timeout, self.position)
        assert match, f"never came: {regex!r} ({outcome.text})\n{self.tail()}"
        return match

    def expect_in_any_order(self, *regexes, timeout=EXPECT_SECONDS):
        """All of the regexes, from here on; the cursor then stands behind the last one. Returns their matches."""
        start, positions, matches = self.position, [], []
        for regex in regexes:
            self.position = start
            matches.append(self.expect(regex, timeout))
            positions.append(self.position)
        self.position = max(positions)
        return matches

    def send(self, text):
        self.session.send(text.encode())

    def finish(self, timeout=EXPECT_SECONDS):
        """Let the machine run to its end, which must be a power-off of its own; returns the Outcome."""
        outcome, _, _ = watch(self.session, None, timeout)
        assert outcome not in (Outcome.TIMEOUT, Outcome.DIED), \
            f"{outcome.text}: {self.session.why_died() if outcome is Outcome.DIED else ''}\n{self.tail()}"
        assert not self.session.running, f"did not power off\n{self.tail()}"
        return outcome

    def succeed(self, timeout=EXPECT_SECONDS):
        outcome = self.finish(timeout)
        assert outcome is Outcome.SUCCESS, f"{outcome.text}\n{self.tail()}"

    def fail(self, timeout=EXPECT_SECONDS):
        outcome = self.finish(timeout)
        assert outcome is Outcome.FAILURE, f"{outcome.text}\n{self.tail()}"

    def absent(self, regex):
        """No line so far matches: the counterpart of expect for what must not happen."""
        found = [line for line in self.lines if re.search(regex, line)]
        assert not found, f"came, but should not have: {found[0]!r}\n{self.tail()}"

    def found(self, regex):
        """All matches so far."""
        return [match for line in self.lines if (match := re.search(regex, line))]

    def tail(self):
        return f"--- {self.session.workdir}, end of the serial log ---\n" + "\n".join(self.session.log.tail(TAIL_LINES))


class Booter:
    """Makes the boots of one test, and cleans up behind it."""

    def __init__(self, directory: Path, machine="bochs"):
        self.directory = directory
        self.machine = machine
        """The name of the one that the test's boots are for, unless they say otherwise."""
        self.boots = []

    def config(self, text) -> Config:
        """The checked description. Paths in it start at the source tree."""
        self.directory.mkdir(parents=True, exist_ok=True)
        build = self.directory / "build"
        if not build.exists():
            build.symlink_to(TREE / "build")
        path = self.directory / "config.toml"
        path.write_text(text)
        return read_config(path)

    def __call__(self, config, machine=None, acpi=(), **spec) -> Boot:
        """Boot a TOML text, or a Config that a test has changed after the checks, on a machine by its name
        or class, with tables of ACPI in the firmware's stead (make_iso)."""
        if isinstance(config, str):
            config = self.config(config)
        workdir = self.directory / str(len(self.boots))
        workdir.mkdir(parents=True, exist_ok=True)
        iso = workdir / "test.iso"
        make_iso(config, KERNEL, iso, acpi)
        machine = machine or self.machine
        return self.watch(MACHINES.get(machine, machine)(Spec(iso=iso, **spec)), workdir)

    def watch(self, machine, workdir) -> Boot:
        """Start a machine that a test has made, whatever it boots."""
        boot = Boot(machine.start(workdir))
        self.boots.append(boot)
        return boot

    def close(self):
        for boot in self.boots:
            boot.session.close()
            workdir = boot.session.workdir
            (workdir / "serial.log").write_bytes(boot.session.log.raw)
            (workdir / "test.iso").unlink(missing_ok=True)
