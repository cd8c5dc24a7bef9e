# SPDX-License-Identifier: BSD-2-Clause
"""Theory: a guest gets its share of a CPU and no more, wakes at once beside whoever has the CPU, and nothing that
one guest does is noticed by the others. Guests measure by their own TSC; Bochs' counts instructions, so the figures
are nearly the same at every run."""

import pytest
from vms import options, started, stopped

pytestmark = pytest.mark.bochs

# As on a real CPU: on Bochs virtual interrupts are left to the CPU only if that is asked for. What storms with IPIs needs it to
# get anywhere itself, and no EOI of a guest that is measured is an exit.
AS_ON_REAL_CPUS = {"virtual_interrupt_delivery": True}
POWER_OFF = options(**AS_ON_REAL_CPUS)

TICKS_PER_MS = 100_000  # Bochs' TSC under machines.py's ips
SLICE_MIN = 7 * TICKS_PER_MS // 10  # kernel/sched.c
MARGIN = TICKS_PER_MS // 10
"""For the way from the timer to the guest's handler, which is some 3,000 ticks: an exit, a switch and an entry."""

HOSTILE = ("triple-fault", "cli-spin", "hlt-off", "reset-loop", "uart-flood", "port-flood", "doorbell-flood",
           "mmio-flood", "msr-flood", "ipi-flood", "timer-flood")
LAN = 'nets = [{ switch = "lan", spoof_check = false }]'
EQUIPPED = {
    "net-flood": ([1], LAN, MARGIN),
    "balloon-churn": ([2], "balloon = true", 0),
    "ipi-storm": ([3, 4], "vcpus = 3", 0),
    "init-storm": ([5, 6], "vcpus = 3", 0),
}
"""Hostile by what they have: their CPUs, of which the measuring guest has the first, what they have, and what the delay
may be above that of the others. The switch copies 64 frames in one exit, and the slice that ends meanwhile ends after it."""
PROOFS = (r"^\[balloon-churn\] GUEST: churned 1$", r"^\[ipi-storm\] GUEST: storms$", r"^\[init-storm\] GUEST: storms$",
          r"^\[by-net-flood\] GUEST: latency .* frames=[1-9]\d{3}")
"""They did what they are there for."""

TINY = 64
PEST_PERIOD = 5_000  # shorter, and it never gets to sleep
CONTROL_STEP = 8_192  # ticks: zeroing 64 KiB


def measure(name, mode, extra="", **numbers):
    """guests/measure in one of its modes."""
    cmdline = " ".join([f"mode={mode}", *(f"{key}={value}" for key, value in numbers.items())])
    return f"""
[vm.{name}]
kernel = "build/guests/measure.elf"
cmdline = "{cmdline}"
memory = "2M"
debug_exit = true
{extra}
"""


def spinner(name, extra):
    """Until the last spinner has started, the first ones have not begun to count."""
    return measure(name, "spin", extra, ticks=20_000_000, **{"from": 10_000_000})


def latency(name, extra, count=100):
    return measure(name, "latency", extra, count=count, period=2 * TICKS_PER_MS)


def share(machine, name):
    """Percent of a CPU that the spinner had."""
    return int(machine.found(rf"^\[{name}\] GUEST: spun permille=(\d+)")[0][1]) / 10


def assert_woke_in_time(machine, name, beside, record, more=0):
    figures = machine.found(rf"^\[{name}\] GUEST: latency worst=(\d+) mean=(\d+)")[0]
    worst, mean = int(figures[1]), int(figures[2])
    record(f"worst_wake_up_ticks_beside_{beside}", worst)
    assert worst <= SLICE_MIN + MARGIN + more, f"beside {beside} a guest woke {worst} ticks late (mean {mean})"


def test_shares_caps_and_wake_ups(boot, record_property):
    machine = boot(POWER_OFF
                   + spinner("light", "cpus = [1]\nweight = 100")
                   + spinner("heavy", "cpus = [1]\nweight = 300")
                   + spinner("capped", "cpus = [2]\ncap = 20")
                   + spinner("beside", "cpus = [3]")
                   + latency("waker", "cpus = [3]"), cpus=4)
    machine.succeed()
    for name, percent in {"light": 25, "heavy": 75, "capped": 20}.items():
        record_property(f"percent_of_{name}", share(machine, name))
        assert abs(share(machine, name) - percent) <= 2, f"{name} had {share(machine, name)} % of a CPU"
    assert_woke_in_time(machine, "waker", "beside", record_property)


def test_wake_ups_without_end_leave_the_other_its_share(boot, record_property):
    """The pest sleeps for about as long as a switch takes: every wake-up is a switch to it and one back."""
    machine = boot(POWER_OFF + spinner("victim", "cpus = [1]")
                   + measure("pest", "latency", "cpus = [1]", count=1_000_000_000, period=PEST_PERIOD), cpus=2)
    machine.expect(stopped("victim", "debug-exit status=0"))
    record_property("percent_beside_wake_ups", share(machine, "victim"))
    assert share(machine, "victim") >= 50


def test_hostile_guests_are_not_noticed(boot, record_property):
    """Each on a CPU that it shares with a guest which measures how late it wakes, and all at once: they meet at the
    console, its screen too, and at the control thread."""
    vms = [measure(mode, mode, f'cpus = [{cpu}]\nrestart = "always"') + latency(f"by-{mode}", f"cpus = [{cpu}]")
           for cpu, mode in enumerate(HOSTILE, start=1)]
    machine = boot(POWER_OFF + "".join(vms), cpus=len(HOSTILE) + 1)
    machine.expect_in_any_order(*(stopped(f"by-{mode}", "debug-exit status=0") for mode in HOSTILE))
    machine.absent(r"event=panic")
    for mode in HOSTILE:
        assert_woke_in_time(machine, f"by-{mode}", mode, record_property)


def beside(mode, cpu):
    """A guest that measures; on a switch that is flooded it has a card, and everything comes in there."""
    if mode == "net-flood":
        return measure(f"by-{mode}", "listen", f"cpus = [{cpu}]\n{LAN}", count=100, period=2 * TICKS_PER_MS)
    return latency(f"by-{mode}", f"cpus = [{cpu}]")


def test_hostile_guests_with_devices_and_vcpus_are_not_noticed(boot, record_property):
    vms = [measure(mode, mode, f'cpus = {cpus}\n{has}\nrestart = "always"', cpus=3).replace("2M", "4M") + beside(mode, cpus[0])
           for mode, (cpus, has, _) in EQUIPPED.items()]
    machine = boot(POWER_OFF + "".join(vms), cpus=7)
    machine.expect_in_any_order(*(stopped(f"by-{mode}", "debug-exit status=0") for mode in EQUIPPED), *PROOFS)
    machine.absent(r"event=panic|GUEST: FAILED")
    for mode, (_, _, more) in EQUIPPED.items():
        assert_woke_in_time(machine, f"by-{mode}", mode, record_property, more)


def test_building_a_vm_is_not_noticed(boot, record_property):
    """On the boot CPU, where the control thread builds what a Linux VM is made of, and takes it apart, again and again."""
    linux = 'restart = "always"\nmodules = ["build/linux/vmlinuz"]'
    machine = boot(POWER_OFF + latency("beside", "cpus = [0]", count=300)
                   + measure("linux", "latency", linux, count=1, period=1000).replace("2M", "64M"), cpus=2)
    machine.expect(stopped("beside", "debug-exit status=0"))
    assert len(machine.found(started("linux"))) >= 3
    assert_woke_in_time(machine, "beside", "a_vm_that_is_built", record_property)
    mean = int(machine.found(r"^\[beside\] GUEST: latency .* mean=(\d+)")[0][1])
    assert mean < CONTROL_STEP, "a wake-up waits for the end of the control thread's step, and for no other step"


@pytest.mark.parametrize("cpus", [1, 4])
def test_64_tiny_guests_start_run_and_stop(boot, cpus):
    """One of them on the last CPU that there is, and one more that names a CPU which there is not."""
    names = [f"tiny{number}" for number in range(TINY - 1)]
    vms = [latency(name, f"cpus = [{cpus - 1}]" if name == "tiny7" else "", count=3) for name in names]
    machine = boot(POWER_OFF + "".join(vms) + measure("nowhere", "spin", f"cpus = [{cpus}]"), cpus=cpus)
    machine.fail()
    for name in names:
        assert machine.found(started(name)), name
        assert machine.found(rf"^\[{name}\] GUEST: latency .* count=3$"), name
        assert machine.found(stopped(name, "debug-exit status=0")), name
    assert machine.found(r'^rm: event=vm-refused vm=nowhere why="none of the CPUs .*"')
    machine.absent(started("nowhere"))


ROUNDS = 100
GONE = r"(\[ *(\d+)\.(\d+)\]) cpu\d+ manager: again is gone: (\d+ pages are free, \d+ objects on the heap)"


def test_restart_policies_and_all_memory_comes_back(boot):
    """One CPU: with nothing to do it skips the time between restarts. What ended well comes back after the same time
    again and again, what crashes ever later."""
    machine = boot(options(log="debug")
                   + measure("crasher", "triple-fault", 'restart = "on-crash"')
                   + measure("once", "latency", 'restart = "on-crash"', count=1, period=1000)
                   + measure("again", "latency", 'restart = "always"', count=1, period=1000))
    for _ in range(ROUNDS):
        machine.expect(GONE)
    memory = {match[4] for match in machine.found(GONE)[1:]}
    crashes = len(machine.found(stopped("crasher", "triple-fault")))
    assert len(memory) == 1, f"memory is lost: {sorted(memory)}"
    assert len(machine.found(started("once"))) == 1
    assert 5 <= crashes <= 8, f"{crashes} crashes in {ROUNDS} times 100 ms of back-off that doubles"


def test_an_idle_machine_makes_no_exits_but_its_guests_timers(boot):
    """One second of a guest that takes a timer interrupt every 10 ms and sleeps, on two CPUs."""
    machine = boot(options(log="debug", **AS_ON_REAL_CPUS)
                   + measure("idle", "latency", count=100, period=10 * TICKS_PER_MS), cpus=2)
    machine.succeed()
    exits = {match[1]: int(match[2]) for match in machine.found(r"exits: idle: (\S+) (\d+)$")}
    assert exits.pop("io") < 300, "it prints one line"
    assert exits.pop("hlt") == 100
    assert exits.pop("wrmsr") == 100, "each arms the timer"
    assert sum(exits.values()) < 20, exits
