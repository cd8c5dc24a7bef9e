# SPDX-License-Identifier: BSD-2-Clause
"""Theory: Debian's kernel, unmodified, finds its platform by ACPI alone, uses disk, entropy source and
virtio console, and every way in which it ends is reported for what it is."""

import pytest
from vms import POWER_OFF, guest, linux, options, started, stopped

pytestmark = [pytest.mark.engines, pytest.mark.slow]

ATTACH_FIRST = "\x011"  # Ctrl-A 1


def test_disk_rng_and_console_then_shutdown(boot):
    machine = boot(POWER_OFF + linux(cmdline="rm.test=disk"))
    machine.expect(started("linux"))
    machine.expect(r"GUEST: init up, \d")
    machine.expect(r"GUEST: rng ok")
    machine.expect_in_any_order(r"GUEST: hello from hvc0", r"GUEST: hvc ok")
    machine.expect(r"GUEST: disk ok sha256=[0-9a-f]{64}$")
    machine.expect(r"GUEST: all ok")
    machine.expect(stopped("linux", "shutdown"))
    machine.succeed()
    machine.absent(r"GUEST: FAILED|event=panic|Kernel panic|Call Trace")


def test_same_with_everything_emulated_in_software(boot):
    """No APICv, no TPR shadow, no VPID, 4 KiB pages: the paths that newer CPUs do not take."""
    machine = boot(options(apicv=False, tpr_shadow=False, vpid=False, ept_large_pages=False) + linux(cmdline="rm.test=disk"))
    machine.expect(r"GUEST: all ok")
    machine.expect(stopped("linux", "shutdown"))
    machine.succeed()


@pytest.mark.engines(full=["vt-x", "amd-v"])
def test_same_with_interrupts_delivered_by_the_cpu(boot):
    """As on real CPUs. Bochs errs in it, and must be asked; not where the host's interrupts are few."""
    if boot.machine != "bochs":
        pytest.skip("AMD-V's own is AVIC, which QEMU's TCG has not")
    machine = boot(options(virtual_interrupt_delivery=True) + linux(cmdline="rm.test=disk", extra="vcpus = 2"), cpus=2)
    machine.expect(r"virtual-interrupt delivery: used")
    machine.expect(r"GUEST: all ok")
    machine.expect(stopped("linux", "shutdown"))
    machine.succeed()


@pytest.mark.engines(full=["vt-x"])
def test_shell_and_back(boot):
    machine = boot(POWER_OFF + linux())
    machine.expect(r"GUEST: shell ready")
    machine.send(ATTACH_FIRST)
    machine.expect(r"attached to linux")
    machine.send("\n")
    machine.expect(r"/ # ")
    machine.send("echo $((6 * 7)) $(cat /sys/block/vda/serial)\n")
    machine.expect(r"^42 test-disk")
    machine.send("poweroff -f\n")
    machine.expect(stopped("linux", "shutdown"))
    machine.succeed()


@pytest.mark.engines(full=["vt-x"])
def test_shell_on_the_virtio_console(boot):
    machine = boot(POWER_OFF + linux(console="hvc0"))
    machine.expect(r"GUEST: shell ready")
    machine.send(ATTACH_FIRST)
    machine.expect(r"attached to linux")
    machine.send("\ntty\n")
    machine.expect(r"/dev/hvc0")
    machine.send("poweroff -f\n")
    machine.expect(stopped("linux", "shutdown"))
    machine.succeed()


def test_boots_by_pvh(boot):
    machine = boot(POWER_OFF + linux(kernel="vmlinux", cmdline="rm.test=poweroff"), memory=768)
    machine.expect(r"GUEST: init up, \d")
    machine.expect(stopped("linux", "shutdown"))
    machine.succeed()


@pytest.mark.engines(full=["vt-x"])
def test_reboot_is_reported_as_reset(boot):
    machine = boot(POWER_OFF + linux(cmdline="rm.test=reboot"))
    machine.expect(stopped("linux", "reset"))
    machine.finish()


@pytest.mark.engines(full=["vt-x"])
def test_a_crashing_neighbour_is_not_noticed(boot):
    machine = boot(POWER_OFF + guest("bad", "crash.elf") + linux(cmdline="rm.test=disk"), cpus=2)
    machine.expect_in_any_order(stopped("bad", "triple-fault"), r"GUEST: all ok", stopped("linux", "shutdown"))
    machine.fail()
    machine.absent(r"event=panic|GUEST: FAILED")
