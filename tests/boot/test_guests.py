# SPDX-License-Identifier: BSD-2-Clause
"""Theory: every boot protocol that Ringmaster speaks, spoken to a tiny guest that says what it was handed
over, and every way in which a VM can end, each with its event line."""

import re

import pytest
from vms import POWER_OFF, guest, options, started, stopped

pytestmark = pytest.mark.engines

LOADERS = {
    "multiboot": ("hello-multiboot.elf", "", r"memory lower=\d+K upper=\d{5}K"),
    "multiboot64": ("hello-multiboot64.elf", "", r"memory lower=\d+K upper=\d{5}K"),
    "aout": ("hello-aout.bin", "", r"memory lower=\d+K upper=\d{5}K"),
    "pvh": ("hello-pvh.elf", "", r"version=1 modules=0 memory map entries=[1-9]\d* rsdp=(?!0\b)"),
    "real": ("hello-real.bin", 'format = "flat"\nentry = "real"', None),
    "protected": ("hello-protected.bin", 'format = "flat"\nentry = "protected"\nload = 0x100000', None),
}
WITH_CMDLINE = ("multiboot", "multiboot64", "aout", "pvh")


def test_every_loader(boot):
    """All at once, each on a CPU of its own: one boot shows as much as six."""
    vms = []
    for name, (image, extra, _) in LOADERS.items():
        cmdline = f'cmdline = "for={name} a=\\"b c\\""' if name in WITH_CMDLINE else ""
        vms.append(guest(name, image, f"{extra}\n{cmdline}"))
    machine = boot(POWER_OFF + "".join(vms), cpus=len(LOADERS))
    machine.expect_in_any_order(
        *(started(name) for name in LOADERS),
        *(rf"GUEST: hello from {name}\b" for name in LOADERS),
        *(text for _, _, text in LOADERS.values() if text),
        *(rf'GUEST: cmdline=(.* )?for={name} a="b c"' for name in WITH_CMDLINE),
        *(stopped(name, "debug-exit status=0") for name in LOADERS),
    )
    machine.succeed()


def test_modules_arrive_whole_and_in_order(boot):
    contents = [b"first module\n", bytes(range(256)) * 33, b"x"]
    config = boot.config(POWER_OFF + guest("tiny", "hello-multiboot.elf"))
    for index, data in enumerate(contents):
        path = boot.directory / f"module{index}"
        path.write_bytes(data)
    files = ", ".join(f'{{ file = "module{index}", cmdline = "number {index}" }}' for index in range(len(contents)))
    config = boot.config(POWER_OFF + guest("tiny", "hello-multiboot.elf", f"modules = [{files}]"))
    machine = boot(config)
    for index, data in enumerate(contents):
        checksum = 0
        for byte in data:
            checksum = (checksum * 31 + byte) & 0xFFFFFFFF
        machine.expect(rf"GUEST: module {index} bytes={len(data)} sum={checksum:x} cmdline=(.* )?number {index}$")
    machine.succeed()


def test_debug_exit_gives_its_status(boot):
    machine = boot(POWER_OFF + guest("tiny", "hello-multiboot.elf", 'cmdline = "status=42"'))
    machine.expect(stopped("tiny", "debug-exit status=42"))
    machine.expect(r"^rm: event=exit status=1")
    machine.fail()


def test_a_triple_fault_stops_only_its_vm(boot):
    machine = boot(POWER_OFF + guest("bad", "crash.elf") + guest("good", "hello-multiboot.elf"), cpus=2)
    machine.expect_in_any_order(stopped("bad", "triple-fault"), stopped("good", "debug-exit status=0"))
    machine.fail()
    machine.absent(r"event=panic")


def test_eip_wraps_around_behind_an_emulated_instruction(boot):
    machine = boot(POWER_OFF + guest("tiny", "wrap.elf"))
    machine.expect(r"GUEST: back from 4 GiB, leaf 0 says [1-9a-f]")
    machine.expect(stopped("tiny", "debug-exit status=0"))
    machine.succeed()


@pytest.mark.parametrize("switch", ["apicv", "tpr_shadow", "vpid", "x2apic", "ept_large_pages", "preemption_timer"])
def test_each_feature_can_be_switched_off(boot, switch):
    """The benchmark guest uses timer, EOI, IPIs, ports and MMIO, so it shows that the other path works."""
    if switch == "preemption_timer" and boot.machine != "bochs":
        pytest.skip("AMD-V has no preemption timer: the host's interrupts end a slice")
    machine = boot(options(**{switch: False}) + guest("bench", "bench.elf"))
    machine.expect(r"BENCH cpuid [1-9]\d*$")
    machine.expect(r"BENCH xapic_self_ipi [1-9]\d*$")
    machine.expect(r"BENCH end")
    machine.succeed()


def test_emulated_instructions_trap_when_stepped(boot):
    machine = boot(POWER_OFF + guest("step", "step.elf"))
    for name, count in (("cpuid", 1), ("in", 1), ("load", 1), ("repeat", 3), ("end", 1)):
        machine.expect(rf"GUEST: step {name} {count} of {count}$")
    machine.expect(r"GUEST: step traps 12, for other causes 0$")
    machine.succeed()


def test_the_benchmark_measures_everything(boot):
    machine = boot(options(virtual_interrupt_delivery=True) + guest("bench", "bench.elf"))
    machine.expect(r"BENCH end")
    machine.succeed()
    missing = [line for line in machine.lines if re.search(r"BENCH \w+ -$", line)]
    assert not missing, missing


def test_events_come_as_on_a_bare_cpu(boot):
    machine = boot(POWER_OFF + guest("events", "events.elf", "vcpus = 2"), cpus=2)
    machine.expect(stopped("events", r"debug-exit status=\d+"))
    assert not machine.found(r"GUEST: .* FAILED"), machine.tail()
    machine.succeed()
