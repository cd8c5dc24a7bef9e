# SPDX-License-Identifier: BSD-2-Clause
"""Theory: whatever a guest does, with the seeds below and whatever its two CPUs race for, it is the only one that notices.
It ends by itself or is stopped with a reason; its neighbours' memory and wake-ups are what they would be, nothing
panics, the tables and bitmaps of every VM still give it its own only, and every page comes back."""

import pytest
from vms import guest, options, stopped

pytestmark = pytest.mark.engines

# Attacks by what may disturb what; the last ones end most VMs at once, as they would stop a bare machine.
ATTACKS = {
    "registers": "port,msr,cpuid,hypercall,cr,dr",
    "memory": "mmio,decoder,walk",
    "queues": "virtqueue",
    "entries": "entry,odd",
    "events": "interrupt,ipi,init",
    "power": "power",
    "lost": "lost",
    "undecodable": "undecodable,cr3",
}
SURVIVED = ("registers", "queues")
"""These end well whatever the seed."""

QUICK = {"seed": 1, "rounds": 24}
LONG = [{"seed": seed, "rounds": 150} for seed in (2, 3, 5, 7)]
TICKS_PER_MS = {"bochs": 100_000, "qemu-tcg": 2_500_000}
WORST_MS = {"bochs": 15, "qemu-tcg": 400}
"""How late a neighbour on the same CPU may wake: a request to a disk is up to 2 MiB, and QEMU's clock is the host's, which
has other things to do."""
FATAL = ("power", "lost", "undecodable")
"""They are not on the waker's CPU: what a crash dumps is written there, and waits for the serial line."""
FREE = r"^free +\d+ MiB \((\d+) pages\)"
HEAP = r"^hypervisor's heap +(\d+) KiB in (\d+) objects"


def chaos(name, seed, rounds):
    return guest(name, "chaos.elf", f"""
cmdline = "seed={seed} rounds={rounds} cpus=2 what={ATTACKS[name]}"
vcpus = 2
cpus = {[2] if name in FATAL else [1, 2]}
disks = [{{ file = "build/guests/hello-multiboot.elf", mode = "cow", id = "d" }}]
nets = [{{ switch = "lan" }}]
""")


def neighbours(ticks_per_ms):
    return guest("waker", "measure.elf", f"""
cmdline = "mode=latency count=60 period={5 * ticks_per_ms}"
cpus = [1]
""") + guest("keeper", "measure.elf", f"""
cmdline = "mode=memory ticks={300 * ticks_per_ms}"
cpus = [2]
""")


def operations(machine):
    return sum(int(match[1]) for match in machine.found(r"GUEST: chaos: \w+: (\d+)$"))


def free_memory(machine):
    machine.send("mem\r")
    return machine.expect(FREE)[1], machine.expect(HEAP)[2]


def start_again(machine, names):
    for name in names:
        machine.send(f"vm start {name}\r")
    machine.expect_in_any_order(*(stopped(name, r"\S+") for name in names))
    machine.expect(r"event=idle")


def run(boot, record_property, seed, rounds):
    ticks = TICKS_PER_MS[boot.machine]
    description = options(audit=True).replace('"poweroff"', '"shell"')
    machine = boot(description + neighbours(ticks) + "".join(chaos(name, seed, rounds) for name in ATTACKS), cpus=3)
    machine.expect(r"event=idle")
    before = free_memory(machine)
    start_again(machine, ATTACKS)
    machine.absent(r"event=panic|audit: .*violation")
    for name in SURVIVED:
        assert machine.found(stopped(name, "debug-exit status=0")), f"{name} did not survive itself"
    record_property("operations", operations(machine))
    assert operations(machine) > 20 * rounds
    worst = int(machine.found(r"^\[waker\] GUEST: latency worst=(\d+)")[0][1])
    record_property("worst_wake_up_ticks", worst)
    assert worst < WORST_MS[boot.machine] * ticks
    assert machine.found(r"^\[keeper\] GUEST: memory changed=0 rounds=[1-9]")
    assert free_memory(machine) == before, "memory is lost"
    assert machine.found(r"audit: \d+ VMs, \d+ pages, \d+ bitmap bits: ok")


def test_a_hostile_guest_is_the_only_one_that_notices(boot, record_property):
    run(boot, record_property, **QUICK)


@pytest.mark.full
@pytest.mark.slow
@pytest.mark.parametrize("hostility", LONG, ids=lambda hostility: f"seed-{hostility['seed']}")
def test_for_longer(boot, record_property, hostility):
    run(boot, record_property, **hostility)
