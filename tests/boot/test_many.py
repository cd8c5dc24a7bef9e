# SPDX-License-Identifier: BSD-2-Clause
"""Theory: many guests on few CPUs, each with a disk and a network card of its own, are served at once and never get
what is another's. Each works on its disk, and passes packets round a ring; it checks every word, and so do we."""

import struct

import pytest
from vms import POWER_OFF, started, stopped

pytestmark = [pytest.mark.engines, pytest.mark.slow]

GUESTS, CPUS, ROUNDS = 16, 4, 24
DISK_WORDS, BLOCK_WORDS = 16 * 1024, 1024


def pattern(seed, count):
    """As guests/worker/pattern.h makes it."""
    return struct.pack(f"<{count}I", *((seed * 0x9e3779b1 + i * 0x85ebca6b) & 0xffffffff for i in range(count)))


def worker(number):
    return f"""
[vm.w{number}]
kernel = "build/guests/worker.elf"
cmdline = "id={number} of={GUESTS} rounds={ROUNDS}"
memory = "4M"
debug_exit = true
disks = [{{ file = "disk-{number}.img", mode = "cow", id = "disk-{number}" }}]
nets = [{{ switch = "ring", mac = "02:00:00:00:01:{number:02x}" }}]
"""


def write_disks(directory):
    directory.mkdir(parents=True, exist_ok=True)
    for number in range(GUESTS):
        blocks = (pattern(number << 16 | block, BLOCK_WORDS) for block in range(DISK_WORDS // BLOCK_WORDS))
        (directory / f"disk-{number}.img").write_bytes(b"".join(blocks))


def test_sixteen_guests_work_and_check_it_on_four_cpus(boot):
    write_disks(boot.directory)
    machine = boot(POWER_OFF + "".join(map(worker, range(GUESTS))), cpus=CPUS)
    machine.expect_in_any_order(*(started(f"w{number}") for number in range(GUESTS)))
    machine.expect_in_any_order(*(stopped(f"w{number}", "debug-exit status=0") for number in range(GUESTS)))
    machine.succeed()
    for number in range(GUESTS):
        assert machine.found(rf"^\[w{number}\] GUEST: worker {number} did {ROUNDS} rounds, {ROUNDS} packets came$")
    machine.absent(r"GUEST: FAILED|event=panic|bytes dropped")
