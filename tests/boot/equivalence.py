# SPDX-License-Identifier: BSD-2-Clause
"""Equivalence: guests/popek on the bare machine and in a VM on it, and the differences of the two logs.

Where a VM may differ stands in tests/popek/allowed.toml, a row a reason:

    cases    what is run, as the log calls it, each exactly
    modes    in which of the modes; all, if it is not there
    engines  on which of vt-x and amd-v; both, if it is not there
    bare, vm what is observed, as regular expressions of the whole result
    reason   why
    sometimes = true: not in each run, because it depends on when the host is interrupted

Otherwise a row that excuses nothing, or a case or mode of it that does not, is stale and an error as well."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from ringmaster import TREE
from ringmaster.iso import make_bare_iso
from ringmaster.machines import Bochs, QemuTcg, Spec
from vms import POWER_OFF, guest

IMAGE = TREE / "build/guests/popek.elf"
ALLOWED = TREE / "tests/popek/allowed.toml"
LINE = re.compile(r"POPEK (\w+ \d) (.*?): (.*)")


class QuickSerialBochs(Bochs):
    """A slower clock makes each character of the UART cheaper, and the log is most of the work."""

    instructions_per_second = 10_000_000


@dataclass(frozen=True)
class Engine:
    name: str
    machine: type
    cmdline: str


ENGINES = {
    "vt-x": Engine("vt-x", QuickSerialBochs, ""),
    # QEMU's TCG hangs, or ends, on some of what does not exist.
    "amd-v": Engine("amd-v", QemuTcg, "tcg=1"),
}


@dataclass(frozen=True)
class Difference:
    mode: str
    case: str
    bare: str
    vm: str

    def __str__(self):
        return f"{self.mode} {self.case}\n  bare: {self.bare}\n  VM:   {self.vm}"


def observe(boot):
    """{(mode, case): result} of a machine that runs the guest to its end."""
    boot.expect(r"POPEK end")
    boot.absent("bytes dropped")
    return {(match[1], match[2]): match[3] for line in boot.lines if (match := LINE.search(line))}


def run_bare(booter, engine):
    workdir = booter.directory / "bare"
    workdir.mkdir(parents=True, exist_ok=True)
    iso = workdir / "test.iso"
    make_bare_iso(IMAGE, engine.cmdline, iso)
    return observe(booter.watch(engine.machine(Spec(iso=iso)), workdir))


def run_in_vm(booter, engine):
    config = POWER_OFF + guest("popek", "popek.elf", f'cmdline = "{engine.cmdline}"')
    return observe(booter(config, machine=engine.machine))


def compare(bare, vm):
    """What is not the same; an observation that is missing is a difference, too."""
    return [Difference(*key, bare.get(key, "nothing"), vm.get(key, "nothing"))
            for key in {**bare, **vm} if bare.get(key) != vm.get(key)]


@dataclass(frozen=True)
class Row:
    """Of the table of what is allowed."""

    cases: tuple
    reason: str
    bare: str
    vm: str
    modes: tuple = ()
    engines: tuple = tuple(ENGINES)
    sometimes: bool = False

    def excuses(self, engine, difference):
        return (engine.name in self.engines and difference.case in self.cases and
                difference.mode in (self.modes or [difference.mode]) and
                re.fullmatch(self.bare, difference.bare) and re.fullmatch(self.vm, difference.vm))


def read_allowed(path: Path = ALLOWED):
    rows = tomllib.loads(path.read_text())["allow"]
    return [Row(**{key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}) for row in rows]


class Judgement:
    """The differences by whether a row excuses them, and what of the table excuses nothing."""

    def __init__(self, engine, differences, rows):
        self.excused = {}
        self.unexcused = []
        used = set()
        for difference in differences:
            found = next((n for n, row in enumerate(rows) if row.excuses(engine, difference)), None)
            if found is None:
                self.unexcused.append(difference)
                continue
            self.excused.setdefault(found, []).append(difference)
            used.update([(found, difference.case), (found, difference.mode)])
        self.stale = [f"{what}: {row.reason}" for n, row in enumerate(rows)
                      if engine.name in row.engines and not row.sometimes
                      for what in (*row.cases, *row.modes) if (n, what) not in used]
