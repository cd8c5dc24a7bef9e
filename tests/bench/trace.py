# SPDX-License-Identifier: BSD-2-Clause
"""What one exit executes: a Bochs that prints its instructions at the start of each benchmark, and the table of
the hypervisor's symbols to count them by function. A VMREAD or VMWRITE is an exit itself where Ringmaster is nested,
so those are counted apart."""

import bisect
import re
import subprocess
from collections import Counter

from ringmaster.machines import Bochs

BENCHMARKS_MAX = 64
STEPS = 3000  # enough for several exits of the dearest kind, and for a switch
SWITCHES = 16, 60  # that are looked at, and exits that go before, while the console is still written
INSTRUCTION = re.compile(r"\(0\)\.\[\d+\] \[0x[0-9a-f]+\] [0-9a-f]{4}:([0-9a-f]{8,16}) \([^)]*\): (\w+)")


def symbols(image):
    """(address, name) of each function, by address."""
    lines = subprocess.run(["nm", "-n", image], check=True, capture_output=True, text=True).stdout.splitlines()
    return [(int(address, 16), name) for address, kind, name in map(str.split, lines) if kind in "tT"]


def traced_bochs(guest_image):
    """A Bochs whose emulator.log has the instructions from each call of begin_trace() on."""
    start = next(address for address, name in symbols(guest_image) if name == "begin_trace")

    class TracedBochs(Bochs):
        """The commands that remain when the machine is off are never executed."""

        def command(self, serial, workdir):
            command = super().command(serial, workdir)
            one = f"c\ntrace on\ns {STEPS}\ntrace off\n"
            (workdir / "debugger.rc").write_text(f"lb {start:#x}\n" + one * BENCHMARKS_MAX)
            return command

    return TracedBochs


def switched_bochs(image, guest_image):
    """A Bochs whose emulator.log has the instructions from some of the hypervisor's exits on, once the guest only ends slices."""
    start = next(address for address, name in symbols(guest_image) if name == "measure_switch")
    exit_point = next(address for address, name in symbols(image) if name == "vmx_exit_point")

    class SwitchedBochs(Bochs):
        """It gives up its breakpoints before the commands end."""

        def command(self, serial, workdir):
            command = super().command(serial, workdir)
            looked_at, before = SWITCHES
            one = f"c\ntrace on\ns {STEPS}\ntrace off\n"
            (workdir / "debugger.rc").write_text(f"lb {start:#x}\nc\nlb {exit_point:#x}\nd 1\n" + "c\n" * before
                                                 + one * looked_at + "d 2\nc\n")
            return command

    return SwitchedBochs


class Exit:
    """The instructions between two of the guest's, by function."""

    def __init__(self, instructions, table):
        addresses = [address for address, _ in table]
        self.functions = Counter(table[bisect.bisect_right(addresses, address) - 1][1] for address, _ in instructions)
        self.vmreads = sum(mnemonic == "vmread" for _, mnemonic in instructions)
        self.vmwrites = sum(mnemonic == "vmwrite" for _, mnemonic in instructions)


def split_exits(instructions, table):
    """What the hypervisor executed, from each exit to the entry behind it."""
    hypervisor = table[0][0]
    exits, current = [], []
    for address, mnemonic in instructions:
        if address >= hypervisor:
            current.append((address, mnemonic))
        elif current:
            exits.append(tuple(current))
            current = []
    return exits


def usual_exit(exits, table):
    """The most frequent one; None when there is none: the guest was alone."""
    counts = Counter(exits)
    return Exit(counts.most_common(1)[0][0], table) if counts else None


def traced(log):
    """The instructions of each trace in an emulator.log."""
    traces = []
    for line in log.read_text(errors="replace").splitlines():
        if "Tracing enabled" in line:
            traces.append([])
        elif traces and (match := INSTRUCTION.match(line)):
            traces[-1].append((int(match[1], 16), match[2]))
    return traces


def read_traces(log, image):
    """The usual exit of each benchmark, in their order; the first exit of each fills caches."""
    table = symbols(image)
    return [usual_exit(split_exits(instructions, table)[1:], table) for instructions in traced(log)]


def read_switches(log, image):
    """The usual switch: each trace begins with one."""
    table = symbols(image)
    return usual_exit([split_exits(instructions, table)[0] for instructions in traced(log)], table)
