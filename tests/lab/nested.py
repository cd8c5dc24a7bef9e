# SPDX-License-Identifier: BSD-2-Clause
"""The lab's machines, as scripts/run's module knows machines: Level1 boots the Linux with KVM on Bochs;
NestedQemu resumes a snapshot of it and boots an ISO in QEMU/KVM there, with nested VMX and VT-d.

Everything that levels 1 and 2 print comes out of Bochs' standard output, by port 0xE9."""

import os
import re
import shutil
import subprocess

from ringmaster import TREE
from ringmaster.machines import Bochs, MachineError
from ringmaster.session import Session

LAB = TREE / "build/lab"
LEVEL1_ISO = LAB / "level1.iso"
SNAPSHOT = LAB / "snapshot"
LEVEL1_MEMORY = 1024

QEMU_OPTIONS = ("-nodefaults -accel kvm -cpu host,+vmx -machine q35,kernel-irqchip=split "
                "-device intel-iommu,intremap=on,eim=on,caching-mode=on -cdrom /job/test.iso -boot d -serial stdio "
                "-display none -net none -no-reboot -device isa-debug-exit,iobase=0xf4,iosize=4")


class Level1(Bochs):
    """A Bochs whose console is port 0xE9. The second CD drive is empty."""

    name = "lab-level1"

    def bochsrc(self, serial, workdir):
        text = super().bochsrc(serial, workdir)
        text = re.sub(r"com1: .*", f"com1: enabled=1, mode=file, dev={workdir}/com1.log\n"
                                   "ata0-slave: type=cdrom, path=none, status=ejected", text)
        text = text.replace("reset_on_triple_fault=0, ignore_bad_msrs=0", "reset_on_triple_fault=1, ignore_bad_msrs=1")
        # Bochs says in its log at which port the display is, which make-snapshot needs.
        return text.replace("info: action=ignore", "info: action=report")

    def start(self, workdir, stdin=subprocess.DEVNULL):
        return self.launch(self.command(None, workdir), workdir, stdin)

    def launch(self, command, workdir, stdin=subprocess.DEVNULL):
        master, slave = os.openpty()
        process = subprocess.Popen(command, cwd=workdir, stdin=stdin, stdout=slave, stderr=subprocess.DEVNULL,
                                   start_new_session=True, preexec_fn=self.end_with_parent)
        return Session(self, process, master, slave, workdir)


class Level1Job(Level1):
    """A snapshot of level 1, resumed with a job on the second CD; fill_job() says which."""

    cpus = 1  # level 1's

    def check(self):
        super().check()
        if not (SNAPSHOT / "complete").exists():
            raise MachineError("no snapshot of level 1: make lab")

    def start(self, workdir, stdin=subprocess.DEVNULL):
        job = self.make_job(workdir)
        view = self.make_view(workdir, job)
        (workdir / "debugger.rc").write_text("c\n")
        return self.launch([self.program, "-q", "-r", str(view), "-rc", str(workdir / "debugger.rc")], workdir)

    def fill_job(self, folder):
        """Put into the folder what the job needs, and return its script."""
        raise NotImplementedError

    @staticmethod
    def job_of(workdir):
        return workdir / "job.iso"

    def make_job(self, workdir):
        folder, job = workdir / "job", self.job_of(workdir)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / "job.sh").write_text(self.fill_job(folder))
        subprocess.run(["xorriso", "-as", "mkisofs", "-quiet", "-R", "-o", str(job), str(folder)],
                       check=True, capture_output=True)
        shutil.rmtree(folder)
        return job

    def make_view(self, workdir, job):
        """A snapshot of our own: the saved state is shared, the configuration names our CD and logs."""
        view = workdir / "snapshot"
        shutil.rmtree(view, ignore_errors=True)
        view.mkdir()
        error = "report" if self.spec.bochs_errors else "ignore"
        for file in SNAPSHOT.iterdir():
            if file.name == "config":
                (view / "config").write_text(self.own_config(file.read_text(), workdir, job))
            elif file.name == "logopts":
                (view / "logopts").write_text(re.sub(r"ERROR=\w+", f"ERROR={error}", file.read_text()))
            elif file.name != "complete":
                (view / file.name).symlink_to(file)
        return view

    @staticmethod
    def own_config(text, workdir, job):
        for pattern, line in (
            (r"^ata0-slave:.*", f'ata0-slave: type=cdrom, path="{job}", status=inserted'),
            (r"^com1:.*", f'com1: enabled=1, mode=file, dev="{workdir}/com1.log"'),
            (r"^log:.*", f'log: "{workdir}/bochs.log"'),
        ):
            text = re.sub(pattern, line, text, flags=re.MULTILINE)
        return text


class FreshLevel1Job(Level1Job):
    """Boots level 1 with the job in its drive: a snapshot has one CPU. The job turns the others on, when it has read its files."""

    def check(self):
        Level1.check(self)

    def start(self, workdir, stdin=subprocess.DEVNULL):
        self.make_job(workdir)
        return Level1.start(self, workdir, stdin)

    def bochsrc(self, serial, workdir):
        return super().bochsrc(serial, workdir).replace("path=none, status=ejected", f"path={self.job_of(workdir)}, status=inserted")


class NestedQemu(Level1Job):
    """The ISO under test in QEMU/KVM with nested VMX. A class that has devices to give away is nested_with()'s."""

    name = "lab"
    power_off_seconds = 120  # level 1 has to end QEMU and itself
    devices = ()
    drives = ()

    def fill_job(self, folder):
        os.link(self.spec.iso, folder / "test.iso")
        options = [f"-m {self.spec.memory} -smp {self.spec.cpus}", *(f"-device {device}" for device in self.devices)]
        for name, path in self.drives:
            shutil.copy(path, folder / f"{name}.img")
            options.append(f"-drive if=none,id={name},format=raw,snapshot=on,file=/job/{name}.img")
        return f"mkdir -p /var/tmp\nqemu {QEMU_OPTIONS} {' '.join(options)}\necho \"L1: qemu status $?\"\n"


def nested_with(*devices, drives=()):
    """NestedQemu with these -device arguments, and an image as the drive of each name."""
    return type("NestedVariant", (NestedQemu,), {"devices": devices, "drives": drives})
