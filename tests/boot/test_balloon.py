# SPDX-License-Identifier: BSD-2-Clause
"""Theory: memory that one guest's balloon gives back is the pool's, to the page, and another VM lives in it; both guests
go on. What the guest gave back it can have again when that is free."""

import time

import pytest
from harness import EXPECT_SECONDS
from vms import linux, started, stopped

pytestmark = [pytest.mark.engines(full=["vt-x"]), pytest.mark.slow, pytest.mark.timeout(900)]

SHELL = "\x010"
PROMPT = r"^(?=rm> )"  # takes nothing: a line that comes above it takes its place
PAGES_OF_HALF = 128 << 8
TABLE_PAGES = 16  # of a guest's memory in large or in small pages, as they come and go
# All that remains of a board of 448 MiB beside a guest of 256 is less than the second one needs.
BOARD_MIB = 448


def say(machine, line, *answers):
    """A command and what must come of it, in that order; then the prompt. The last answer's match."""
    machine.send(line + "\r")
    match = None
    for answer in answers:
        match = machine.expect(answer)
    machine.expect(PROMPT)
    return match


def free_pages(machine):
    return int(say(machine, "mem", r"^free .*\((\d+) pages\)")[1])


def wait_for_given_back(machine, name, pages):
    deadline = time.monotonic() + EXPECT_SECONDS  # a few pages at a time, while this asks as fast as it can
    while time.monotonic() < deadline:
        if int((say(machine, "mem", rf"^{name} .*?(?:\((\d+) pages\) given back|MiB(?=$|;))")[1]) or 0) == pages:
            return
    raise AssertionError(f"{name} never gave back {pages} pages")


def checks_its_memory(machine, name):
    """The attached guest writes 8 MiB, and reads two copies alike."""
    machine.send(f"attach {name}\r")
    machine.expect(r"attached to")
    machine.send("head -c 4194304 /dev/urandom >/tmp/a; cp /tmp/a /tmp/b; md5sum </tmp/a >/tmp/sum; md5sum -c /tmp/sum </tmp/b; rm /tmp/a /tmp/b\r")
    machine.expect(r"^-: OK$")
    machine.send(SHELL)
    machine.expect(r"console: shell")
    machine.expect(PROMPT)


def test_memory_moves_from_one_guest_to_another(boot):
    machine = boot('[ringmaster]\non_idle = "shell"\n' + linux("one") + 'balloon = true\n', cpus=2, memory=BOARD_MIB)
    machine.expect(r"GUEST: shell ready")
    machine.send(SHELL)
    machine.expect(PROMPT)
    before = free_pages(machine)
    say(machine, "vm create two like=one memory=160M", r"too little memory is free")
    assert free_pages(machine) == before

    say(machine, "vm balloon one 128M", r"^one was asked to live with 128M")
    wait_for_given_back(machine, "one", PAGES_OF_HALF)
    given = free_pages(machine) - before
    # What the bookkeeping costs: the second level of a guest's memory in small pages.
    assert PAGES_OF_HALF - 256 <= given <= PAGES_OF_HALF
    say(machine, "vm create two like=one memory=160M", r"^two is created")
    machine.send("vm start two\r")
    machine.expect_in_any_order(started("two"), r"\[two\] GUEST: shell ready")
    checks_its_memory(machine, "one")
    checks_its_memory(machine, "two")
    say(machine, "vm balloon one 256M", r"^one: too little memory is free")

    say(machine, "vm stop two --force", stopped("two", "stopped"), r"^two is stopped")
    assert abs(free_pages(machine) - before - given) <= TABLE_PAGES
    say(machine, "vm balloon one 256M", r"^one was asked to live with 256M")
    wait_for_given_back(machine, "one", 0)
    checks_its_memory(machine, "one")
    say(machine, "vm stop one --force", stopped("one", "stopped"), r"^one is stopped")
    machine.absent(r"GUEST: FAILED|event=panic|Kernel panic|Call Trace")
    machine.send("poweroff --force\r")
    machine.succeed()
