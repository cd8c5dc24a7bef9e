# SPDX-License-Identifier: BSD-2-Clause
"""What does Linux pay for the hypervisor? The same kernel, initramfs and command line in the same Bochs, bare and in a
VM, from the 64-bit entry of the bzImage to the first instruction of /init. Ticks are executed instructions but where the
CPU halts, when Bochs lets time run ahead: breakpoints say how far."""

import re
import struct

from harness import KERNEL
from ringmaster import TREE
from ringmaster.iso import make_bare_linux_iso
from ringmaster.machines import Bochs, Spec
from trace import symbols
from vms import POWER_OFF

LINUX = TREE / "build/linux"
BUSYBOX = "/bin/busybox"  # /init is a script of it
# What makes the two comparable; README.md says why.
CMDLINE = ("console=ttyS0 loglevel=0 cryptomgr.notests nokaslr idle=halt clearcpuid=erms,rep_good lapic=notscdeadline "
           "no_timer_check")
MEMORY = 256  # MiB
BREAKPOINTS_MAX = 16  # Bochs'
STOPS_MAX = 2000
STOP = re.compile(r"Breakpoint \d+, (0x[0-9a-f]+) .*\nNext at t=(\d+)\n.*\nNext at t=(\d+)")

PREF_ADDRESS, ENTRY_64 = 0x258, 0x200  # Linux, "The Linux/x86 Boot Protocol"
ELF_ENTRY, ELF_SEGMENTS, ELF_SEGMENT_SIZE, PT_LOAD, PF_X = 24, 32, 54, 1, 1
STI_HLT_RETURN = re.compile(rb"\xfb\xf4(?=\xc3|\xe9)")  # the return may be a jump to where all returns are


def load_segments(image):
    """(virtual address, bytes) of what an ELF64 executes."""
    offset, (size, count) = struct.unpack_from("<Q", image, ELF_SEGMENTS)[0], struct.unpack_from("<2H", image, ELF_SEGMENT_SIZE)
    for at in range(offset, offset + size * count, size):
        kind, flags, start, address, _, length = struct.unpack_from("<2I4Q", image, at)
        if kind == PT_LOAD and flags & PF_X:
            yield address, image[start : start + length]


def all_halts():
    """Where Linux and the hypervisor may halt."""
    image = (LINUX / "vmlinux").read_bytes()
    return [address + 1 for address, name in symbols(KERNEL) if name == "arch_wait_for_interrupt"] + [
        address + match.start() + 1 for address, code in load_segments(image) for match in STI_HLT_RETURN.finditer(code)]


def kernel_entry():
    return struct.unpack_from("<Q", (LINUX / "vmlinuz").read_bytes(), PREF_ADDRESS)[0] + ENTRY_64


def init_entry():
    with open(BUSYBOX, "rb") as file:
        return struct.unpack_from("<Q", file.read(64), ELF_ENTRY)[0]


class StoppingBochs(Bochs):
    """Stops at the kernel's entry, at /init and before and behind each halt. What comes behind /init is soon only halts."""

    def bochsrc(self, serial, workdir):
        """The kernel's 32-bit entry, which GRUB takes, reads an MSR of AMD's without asking."""
        return super().bochsrc(serial, workdir).replace("ignore_bad_msrs=0", "ignore_bad_msrs=1")

    def command(self, serial, workdir):
        command, stops = super().command(serial, workdir), [kernel_entry(), init_entry(), *all_halts()]
        assert len(stops) <= BREAKPOINTS_MAX, f"more stops than Bochs has breakpoints: {stops}"
        (workdir / "debugger.rc").write_text("".join(f"lb {stop:#x}\n" for stop in stops) + "c\ns\n" * STOPS_MAX + "q\n")
        return command


def ticks_to_init(boot):
    """Executed: without those that Bochs let pass while the CPU was halted."""
    boot.finish()
    log = (boot.session.workdir / "emulator.log").read_text(errors="replace")
    stops = [(int(address, 16), int(at), int(behind)) for address, at, behind in STOP.findall(log)]
    ends = [number for number, (address, *_) in enumerate(stops) if address == init_entry()]
    assert ends and stops[0][0] == kernel_entry(), f"did not come to /init\n{boot.tail()}"
    idle = sum(behind - at - 1 for _, at, behind in stops[1 : ends[0]])
    return stops[ends[0]][1] - stops[0][1] - idle


def measure_bare(booter):
    workdir = booter.directory / "bare"
    workdir.mkdir(parents=True, exist_ok=True)
    iso = workdir / "test.iso"
    make_bare_linux_iso(LINUX / "vmlinuz", LINUX / "initramfs.zst", CMDLINE, iso)
    return ticks_to_init(booter.watch(StoppingBochs(Spec(iso=iso, memory=MEMORY)), workdir))


def measure_in_vm(booter):
    config = POWER_OFF + f"""
[vm.linux]
kernel  = "build/linux/vmlinuz"
initrd  = "build/linux/initramfs.zst"
cmdline = "{CMDLINE}"
memory  = "{MEMORY}M"
"""
    return ticks_to_init(booter(config, machine=StoppingBochs))
