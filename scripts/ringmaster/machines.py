# SPDX-License-Identifier: BSD-2-Clause
"""The machines that an ISO can be booted on: each class knows how to start one emulator with its serial
line on a terminal device, and what the emulator's own exit status means. What goes over the serial line
is session.py's business.

To add a machine: one class with a name, supports() and command(), and a row in MACHINES."""

import ctypes
import os
import re
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .session import Session


class MachineError(Exception):
    """The machine cannot do what was asked, or is not here."""


@dataclass(frozen=True)
class Spec:
    """What to boot and on what kind of board; the same for every machine."""

    iso: Path
    cpus: int = 1
    memory: int = 512  # MiB
    media: str = "cd"  # cd, disk, usb
    firmware: str = "bios"  # bios, uefi
    cpu_model: str | None = None
    bochs_errors: bool = False
    realtime: bool = False
    """Hold an idle machine to the wall clock: for people. Tests let it run ahead."""


def _end_with_parent():
    """In the child: be killed when the parent dies, however it dies."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


class Machine:
    name = ""
    program = ""
    package = ""
    default_cpu_model = ""
    power_off_seconds = 5
    """How long a machine may take to power off after Ringmaster said that it will, or to say all of a panic."""
    end_with_parent = staticmethod(_end_with_parent)

    def __init__(self, spec: Spec):
        self.spec = spec
        if not Path(spec.iso).is_file():
            raise MachineError(f"no ISO at '{spec.iso}'")
        self.require_file(shutil.which(self.program), self.program, self.package)
        self.check()

    @staticmethod
    def require_file(path, what, package):
        if not path or not Path(path).exists():
            raise MachineError(f"no {what} here: scripts/setup installs it (package {package})")

    @property
    def cpu_model(self):
        return self.spec.cpu_model or self.default_cpu_model

    def check(self):
        """Refuse what this machine cannot do."""

    def command(self, serial, workdir):
        """The argument list that starts it with COM1 on the terminal device `serial`."""
        raise NotImplementedError

    def verdict(self, status):
        """What the emulator's exit status says of Ringmaster: True, False, or None when nothing."""
        raise NotImplementedError

    def why_died(self, status, workdir):
        """None when the machine in the emulator was switched off or reset, else how the emulator failed."""
        return f"{self.program} was killed by signal {-status}" if status < 0 else None

    def start(self, workdir) -> Session:
        master, slave = os.openpty()
        workdir = Path(workdir)
        try:
            command = self.command(os.ttyname(slave), workdir)
            (workdir / "command").write_text(" ".join(command) + "\n")
            with (workdir / "emulator.log").open("wb") as log:
                process = subprocess.Popen(  # pylint: disable=consider-using-with,subprocess-popen-preexec-fn
                    command, cwd=workdir, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    start_new_session=True, preexec_fn=self.end_with_parent)
        except BaseException:
            os.close(master)
            os.close(slave)
            raise
        return Session(self, process, master, slave, workdir)


class Qemu(Machine):
    program = "qemu-system-x86_64"
    package = "qemu-system-x86"
    uefi_image = Path("/usr/share/ovmf/OVMF.fd")
    acceleration: tuple[str, ...] = ()
    exit_success, exit_failure = 0x10, 0x11  # what Ringmaster writes to isa-debug-exit
    control_socket = "qmp"  # in the emulator's folder: its monitor, for tests that look at the machine

    media = {
        "cd": ("-device", "ide-cd,drive=medium,bootindex=0"),
        "disk": ("-device", "ide-hd,drive=medium,bootindex=0"),
        "usb": ("-device", "qemu-xhci", "-device", "usb-storage,drive=medium,bootindex=0"),
    }

    def check(self):
        if self.spec.firmware == "uefi":
            self.require_file(self.uefi_image, str(self.uefi_image), "ovmf")

    def command(self, serial, workdir):
        spec = self.spec
        firmware = ["-bios", str(self.uefi_image)] if spec.firmware == "uefi" else []
        return [
            self.program, "-nodefaults", "-no-user-config", "-display", "none", "-vga", "std", "-no-reboot",
            *self.acceleration, "-cpu", self.cpu_model, "-smp", str(spec.cpus), "-m", str(spec.memory),
            "-device", "intel-iommu,intremap=on,caching-mode=on", *firmware,
            "-drive", f"if=none,id=medium,format=raw,snapshot=on,file={self.escaped(spec.iso)}", *self.media[spec.media],
            "-chardev", f"serial,id=com1,path={serial}", "-serial", "chardev:com1",
            "-debugcon", f"file:{self.escaped(workdir / 'e9.log')}",
            "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
            "-qmp", f"unix:{self.control_socket},server=on,wait=off",
        ]

    @staticmethod
    def escaped(path):
        """A path inside a QEMU option: commas are doubled."""
        return str(Path(path).resolve()).replace(",", ",,")

    def verdict(self, status):
        return {self.exit_success << 1 | 1: True, self.exit_failure << 1 | 1: False}.get(status)

    def why_died(self, status, workdir):
        if status == 1:  # QEMU's own failures; isa-debug-exit cannot give 1 for what Ringmaster writes
            return "\n".join((workdir / "emulator.log").read_text(errors="replace").splitlines()[-5:])
        return super().why_died(status, workdir)


class QemuTcg(Qemu):
    """It emulates AMD-V with nested paging, and VT-d."""

    name = "qemu-tcg"
    default_cpu_model = "max"
    """With AMD-V; "max,-svm" has none."""
    acceleration = ("-machine", "q35", "-accel", "tcg")


class QemuKvm(Qemu):
    """Of use only where KVM gives its guests VT-x or AMD-V: choice.py tries it."""

    name = "qemu-kvm"
    default_cpu_model = "host"
    acceleration = ("-machine", "q35,kernel-irqchip=split", "-accel", "kvm")


class Bochs(Machine):
    name = "bochs"
    program = "bochs"
    package = "bochs"
    default_cpu_model = "broadwell_ult"
    bios = Path("/usr/share/bochs/BIOS-bochs-latest")
    vga_bios = Path("/usr/share/vgabios/vgabios.bin")
    shutdown_panic = "Shutdown port: shutdown requested"  # Bochs calls it a panic; it is a proper power-off
    instructions_per_second = 100_000_000
    """Virtual time only; the TSC counts instructions. A slower clock makes each character of the UART
    cheaper, which is paced in virtual time, and each tick of a guest's timer dearer."""

    media = {
        "cd": "ata0-master: type=cdrom, path={iso}, status=inserted\nboot: cdrom",
        "disk": "ata0-master: type=disk, mode=volatile, path={iso}, cylinders=0, journal={workdir}/disk.redolog\nboot: disk",
    }

    def check(self):
        if self.spec.media not in self.media:
            raise MachineError(f"Bochs does not boot from {self.spec.media}: use --media cd or disk, or a QEMU machine")
        if self.spec.firmware != "bios":
            raise MachineError("Bochs has no UEFI firmware: use --firmware bios, or a QEMU machine")
        self.require_file(self.bios, str(self.bios), "bochsbios")
        self.require_file(self.vga_bios, str(self.vga_bios), "vgabios")

    def command(self, serial, workdir):
        (workdir / "bochsrc").write_text(self.bochsrc(serial, workdir))
        (workdir / "debugger.rc").write_text("c\n")  # Debian's build starts in its debugger
        return [self.program, "-q", "-f", str(workdir / "bochsrc"), "-rc", str(workdir / "debugger.rc")]

    def bochsrc(self, serial, workdir):
        spec = self.spec
        quantum = ", quantum=16" if spec.cpus > 1 else ""
        # The speaker is out because its sound thread crashes on a host without a sound card.
        return f"""\
config_interface: textconfig
display_library: rfb, options="timeout=0, no_gui_console"
cpu: model={self.cpu_model}, count={spec.cpus}, ips={self.instructions_per_second}, reset_on_triple_fault=0, \
ignore_bad_msrs=0{quantum}
memory: guest={spec.memory}, host={spec.memory}
romimage: file={self.bios}
vgaromimage: file={self.vga_bios}
pci: enabled=1, chipset=i440fx
plugin_ctrl: speaker=0
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
{self.media[spec.media].format(iso=Path(spec.iso).resolve(), workdir=workdir)}
com1: enabled=1, mode=term, dev={serial}
port_e9_hack: enabled=1
clock: sync={"slowdown" if spec.realtime else "none"}, time0=946684800
log: {workdir}/bochs.log
panic: action=fatal
error: action={"report" if spec.bochs_errors else "ignore"}
info: action=ignore
debug: action=ignore
"""

    def verdict(self, status):
        return None

    def why_died(self, status, workdir):
        log = workdir / "bochs.log"
        panics = re.findall(r">>PANIC<< (.*)", log.read_text(errors="replace")) if log.exists() else []
        if panics and panics[-1] != self.shutdown_panic:
            return panics[-1]
        if not log.exists() or status not in (0, 1):
            return super().why_died(status, workdir) or f"{self.program} ended with status {status}, see emulator.log"
        return None


MACHINES = {machine.name: machine for machine in (QemuKvm, QemuTcg, Bochs)}
