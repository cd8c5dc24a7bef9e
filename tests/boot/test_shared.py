# SPDX-License-Identifier: BSD-2-Clause
"""Theory: guests that name a region of memory have the same memory, and wake each other by its doorbell; who does not
name it finds nothing; what is in it lives as long as one of them does."""

import pytest
from vms import POWER_OFF, guest, linux, stopped

pytestmark = pytest.mark.engines

RING = 'shared = [{ name = "ring", size = "1M", vectors = 2 }]'


def share(name, mode, extra=RING):
    return guest(name, "share.elf", f'cmdline = "mode={mode}"\n{extra}')


def test_two_guests_hand_a_token_to_and_fro(boot):
    """Beside them one that has no region, and one that has another."""
    machine = boot(POWER_OFF + share("one", "token") + share("two", "token") + share("three", "look", "")
                   + share("four", "count", RING.replace("ring", "other")), cpus=2)
    machine.expect_in_any_order(
        r"\[one\] GUEST: peer 0: 1000 rounds, 1000 interrupts, token 2000, \d+ ticks a round",
        r"\[two\] GUEST: peer 1: 1000 rounds, 1000 interrupts, token 2000, \d+ ticks a round",
        r"\[three\] GUEST: nothing is shared", r"\[four\] GUEST: peer 0: count 1",
        *(stopped(name, "debug-exit status=0") for name in ("one", "two", "three", "four")))
    machine.succeed()
    machine.absent(r"FAILED|event=panic")


def test_what_is_in_it_lives_as_long_as_somebody_has_it(boot):
    config = boot.config(share("holder", "hold") + share("counter", "count") + share("larger", "count"))
    config.vms[2].shared[0].text = "ring,size=2M"  # mkiso does not let it through
    machine = boot(config, cpus=2)
    machine.expect_in_any_order(r"peer 0: holds it", r"peer 1: count 1", stopped("counter", "debug-exit status=0"),
                                r'^rm: event=vm-refused vm=larger why="shared ring: another VM has it in another size')
    for number in (2, 3):
        machine.send("\x010vm start counter\n")
        machine.expect(rf"peer 1: count {number}")
        machine.expect(stopped("counter", "debug-exit status=0"))
    machine.send("mem\n")
    machine.expect(r"region ring +1024 KiB, 1 VM")
    machine.send("vm stop holder --force\n")
    machine.expect(stopped("holder", "stopped"))
    machine.send("vm start counter\n")
    machine.expect(r"peer 0: count 1")
    machine.expect(stopped("counter", "debug-exit status=0"))
    machine.send("vm start larger\n")
    machine.expect(r"peer 0: count 1")
    machine.send("\x01x")
    machine.absent(r"FAILED|event=panic")


def test_who_rings_without_end_hurts_nobody(boot):
    """Its peer is woken all the time, and works; one that has nothing to do with them does not notice."""
    machine = boot(share("holder", "hold") + share("flood", "flood") + share("look", "look", ""),
                   cpus=2)
    machine.expect_in_any_order(r"flood\] GUEST: peer \d: rings", r"look\] GUEST: nothing is shared",
                                stopped("holder", "debug-exit status=0"))
    for _ in range(3):
        machine.send("\x010vm start holder\n")
        machine.expect(stopped("holder", "debug-exit status=0"))
    machine.send("vm stop flood --force\n")
    machine.expect(stopped("flood", "stopped"))
    machine.send("\x01x")
    machine.absent(r"FAILED|event=panic")


@pytest.mark.parametrize("extra", ["", "balloon = true\n"], ids=["plain", "balloon"])
def test_it_is_where_the_guest_wants_it(boot, extra):
    machine = boot(POWER_OFF + share("move", "move", extra + RING) + share("count", "count"))
    machine.expect_in_any_order(r"GUEST: it moves", stopped("move", "debug-exit status=0"), stopped("count", "debug-exit status=0"))
    machine.succeed()
    machine.absent(r"FAILED|event=panic")


def test_there_is_no_code_in_it(boot):
    machine = boot(POWER_OFF + share("fetch", "fetch") + share("count", "count"))
    machine.expect_in_any_order(r"the guest jumped to where there is no memory", stopped("fetch", "error"),
                                stopped("count", "debug-exit status=0"))
    machine.fail()
    machine.absent(r"FAILED|event=panic")


@pytest.mark.slow
@pytest.mark.engines(full=["vt-x"])
def test_linux_finds_it(boot):
    """Debian's kernel sees the device, and its user has the memory that a tiny guest has."""
    machine = boot(POWER_OFF + linux(cmdline="rm.test=shared", extra=RING + "\nballoon = true") + share("hold", "hold"), cpus=2, memory=768)
    machine.expect(r"GUEST: shared 0000:00:01\.0 0x1af4:1110 class 0x050000 region 1048576 bytes peer [01]")
    machine.expect_in_any_order(r"GUEST: shared memory ok", r"hold\] GUEST: peer [01]: was rung, count 4711",
                                stopped("hold", "debug-exit status=0"), stopped("linux", "shutdown"))
    machine.succeed()
    machine.absent(r"FAILED|event=panic|Kernel panic|Call Trace")
