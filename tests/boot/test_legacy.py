# SPDX-License-Identifier: BSD-2-Clause
"""Theory: what a PC has at fixed places – COM2, the VGA – can be one VM's instead of the hypervisor's: its own driver
works there, nobody else gets it meanwhile, and the hypervisor's lines are not on that screen any more."""

import pytest
from ringmaster.machines import Bochs, QemuTcg
from screen import Monitor
from vms import POWER_OFF, guest, linux, stopped

COM2 = ("-chardev", "file,id=two,path=com2.log", "-device", "isa-serial,chardev=two,index=1")


def machine_with(*arguments, vga="std"):
    class Variant(QemuTcg):
        def command(self, serial, workdir):
            command = super().command(serial, workdir)
            command[command.index("-vga") + 1] = vga
            return [*command, *arguments]

    return Variant


class BochsWithCom2(Bochs):
    def bochsrc(self, serial, workdir):
        return super().bochsrc(serial, workdir) + f"com2: enabled=1, mode=file, dev={workdir}/com2.log\n"


def refused(name, why):
    return rf'^rm: event=vm-refused vm={name} why="{why}"'


LINUX = linux(cmdline="rm.test=legacy", extra='serial = "COM2"\nvga = true')


def expect_com2(machine):
    machine.expect(r"legacy: COM2 is linux's")
    machine.expect(r"legacy: VGA is linux's")
    machine.expect(r"GUEST: COM2 ok, interrupts [1-9]")
    machine.expect(r"GUEST: screen ok")
    assert (machine.session.workdir / "com2.log").read_bytes().count(b"out of the guest") == 50
    machine.absent(r"GUEST: FAILED|event=panic|Kernel panic|Call Trace|nobody cared")


@pytest.mark.bochs
@pytest.mark.slow
def test_com2_by_vt_x(boot):
    expect_com2(boot(LINUX, memory=512, machine=BochsWithCom2))


@pytest.mark.tcg
@pytest.mark.slow
def test_com2_and_the_screen(boot):
    machine = boot(LINUX, memory=768, machine=machine_with(*COM2))
    expect_com2(machine)
    with Monitor(machine.session) as monitor:
        screen = monitor.vga_text()
    assert "GUEST on the screen" in screen[0], screen
    assert not any("Ringmaster" in line or "rm:" in line for line in screen), screen


@pytest.mark.tcg
def test_only_one_has_it(boot):
    """Until it is given back."""
    machine = boot(guest("one", "hello-multiboot.elf", extra='serial = "COM2"\nvga = true')
                   + guest("two", "hello-multiboot.elf", extra='serial = "COM2"') + guest("three", "hello-multiboot.elf", extra="vga = true"),
                   machine=machine_with(*COM2))
    machine.expect_in_any_order(refused("two", "serial=COM2: another VM has it"), refused("three", "vga: another VM has it"),
                                stopped("one", "debug-exit"))
    machine.expect(r"event=idle")
    machine.send("\x010vm start two\n")
    machine.expect(r"legacy: COM2 is two's")
    machine.expect(stopped("two", "debug-exit"))
    machine.send("vm start three\n")
    machine.expect(r"legacy: VGA is three's")
    machine.expect(stopped("three", "debug-exit"))
    machine.send("\x01x")
    machine.absent(r"event=panic")


@pytest.mark.tcg
def test_what_is_not_there(boot):
    machine = boot(POWER_OFF + guest("one", "hello-multiboot.elf", extra='serial = "COM2"')
                   + guest("two", "hello-multiboot.elf", extra="vga = true"), machine=machine_with(vga="none"))
    machine.expect_in_any_order(refused("one", "serial=COM2: the machine has none"), refused("two", "vga: the machine has none"))
    machine.fail()
    machine.absent(r"event=panic")
