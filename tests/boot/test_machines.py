# SPDX-License-Identifier: BSD-2-Clause
"""Theory: a machine that is not as it should be is used as far as it goes, and the log says what is missing: CPUs that are
not there or come too late, CPUs that lack a feature. What cannot be done without is refused in one line."""

import re
import socket
import struct
import subprocess
import time

import pytest
from harness import KERNEL
from ringmaster.machines import QemuTcg
from screen import Monitor
from vms import POWER_OFF, guest, started, stopped

GUESTS = POWER_OFF + guest("small", "hello-multiboot.elf") + guest("long", "hello-multiboot64.elf")
SECONDS = 30


def runs_its_guests(machine):
    machine.expect_in_any_order(stopped("small", "debug-exit status=0"), stopped("long", "debug-exit status=0"))
    machine.succeed()
    machine.absent(r"event=panic")


# --- CPUs ---

LOCAL_APIC, IOAPIC, OVERRIDE = 0, 1, 2


def madt(cpus, ioapic_id):
    """A PC's table with CPUs of those APIC ids."""
    body = struct.pack("<II", 0xFEE00000, 1)  # where the local APIC is; there are 8259s
    for number, apic_id in enumerate(cpus):
        body += struct.pack("<BBBBI", LOCAL_APIC, 8, number, apic_id, 1)
    body += struct.pack("<BBBBII", IOAPIC, 12, ioapic_id, 0, 0xFEC00000, 0)
    body += struct.pack("<BBBBIH", OVERRIDE, 10, 0, 0, 2, 0)  # the PIT
    head = struct.pack("<4sIBB6s8sI4sI", b"APIC", 36 + len(body), 1, 0, b"TEST  ", b"TEST    ", 1, b"TEST", 1)
    table = bytearray(head + body)
    table[9] = -sum(table) & 0xFF
    return bytes(table)


@pytest.mark.engines
def test_a_cpu_that_is_not_there_is_left_out(boot, tmp_path):
    table = tmp_path / "madt.aml"
    table.write_bytes(madt([0, 9, 1], ioapic_id=2 if boot.machine == "bochs" else 0))
    machine = boot(GUESTS, cpus=2, acpi=[("APIC", table)])
    machine.expect(r"preflight: .*CPUs: 3\b")
    machine.expect(r"smp: .*CPU with APIC id 9 does not answer: left out")
    machine.expect(r"smp: 2 CPUs online")
    runs_its_guests(machine)


GDB_RDI = 5  # gdb's number of the register


class Debugger:
    """QEMU's stub for gdb: just enough to hold one CPU still while the other one runs."""

    def __init__(self, session):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(SECONDS)
        self.socket.connect(f"/proc/{session.process.pid}/cwd/gdb")
        self.pending = b""
        self.ask("qSupported:multiprocess+;vContSupported+")

    def tell(self, text):
        self.socket.sendall(b"$%s#%02x" % (text.encode(), sum(text.encode()) & 0xFF))

    def answer(self):
        """The next packet."""
        while b"#" not in self.pending[:-2]:
            data = self.socket.recv(4096)
            assert data, "QEMU's debugger stub hung up"
            self.pending += data
        packet, self.pending = self.pending.split(b"#", 1)
        self.pending = self.pending[2:]
        self.socket.sendall(b"+")
        return packet.partition(b"$")[2].decode()

    def ask(self, text):
        self.tell(text)
        return self.answer()

    def stop(self):
        self.socket.sendall(b"\x03")
        return self.answer()

    def run_until(self, address):
        assert self.ask(f"Z1,{address:x},1") == "OK"
        self.tell("vCont;c")
        assert self.answer().startswith("T")
        assert self.ask(f"z1,{address:x},1") == "OK"


class WithDebugger(QemuTcg):
    def command(self, serial, workdir):
        return [*super().command(serial, workdir), "-S", "-chardev", "socket,id=gdb,path=gdb,server=on,wait=off",
                "-gdb", "chardev:gdb"]


def debugger_of(machine):
    for _ in range(100 * SECONDS):  # until QEMU has opened it
        if (machine.session.workdir / "gdb").exists():
            break
        time.sleep(0.01)
    return Debugger(machine.session)


def address_of(symbol):
    """In the hypervisor; a copy that the compiler has made for its callers has the name and more behind a dot."""
    done = subprocess.run(["nm", KERNEL], capture_output=True, text=True, check=True)
    return next(int(line.split()[0], 16) for line in done.stdout.splitlines() if line.split()[-1].partition(".")[0] == symbol)


def assert_halts_in_its_page(machine):
    """In real mode, below 1 MiB; until it has taken the STARTUP it is where a reset has put it."""
    with Monitor(machine.session) as monitor:
        for _ in range(1000):
            registers = monitor.human("info registers -a").partition("CPU#1")[2]
            if "CS =f000" not in registers and "HLT=1" in registers:
                break
    assert re.search(r"CS =[0-9a-f]{2}00 000[0-9a-f]{2}000 ", registers) and "CR0=60000010" in registers, registers


@pytest.mark.tcg
def test_a_cpu_that_answers_too_late_halts(boot):
    """The second CPU gets INIT and STARTUP while it is held still, and goes on when nobody waits for it any more."""
    machine = boot('[ringmaster]\non_idle = "shell"\n' + guest("echo", "echo.elf"), machine=WithDebugger, cpus=2)
    debugger = debugger_of(machine)
    debugger.run_until(address_of("smp_start_others"))
    debugger.tell("vCont;c:p1.1")
    machine.expect(r"smp: .*CPU with APIC id 1 does not answer: left out")
    machine.expect(started("echo"))
    debugger.stop()
    debugger.tell("vCont;c")
    machine.expect(r"GUEST: echo is ready")
    assert_halts_in_its_page(machine)
    machine.send("patience\r")
    machine.expect(r"GUEST: heard patience$")
    machine.send("exit\r")
    machine.expect(stopped("echo", "debug-exit status=0"))
    machine.send("\x01x")
    machine.succeed()


@pytest.mark.tcg
def test_a_panic_before_there_are_page_tables(boot):
    """Its backtrace reads no stack by tables that are not there yet, and the machine ends as after any other panic."""
    machine = boot(guest("echo", "echo.elf"), machine=WithDebugger)
    debugger = debugger_of(machine)
    debugger.run_until(address_of("kernel_main"))
    debugger.ask("qXfer:features:read:target.xml:0,ffb")  # who has not asked for them may not write registers
    assert debugger.ask(f"P{GDB_RDI:x}={0:016x}") == "OK"  # the loader's magic number
    debugger.tell("vCont;c")
    machine.expect(r"panic: error: .*: not loaded by Multiboot2 \(magic 0x0\)")
    machine.expect(r"panic: error:   [0-9a-f]{16} kernel_main\+0x")
    machine.fail()


# --- memory ---

@pytest.mark.tcg
def test_an_emulation_that_is_stopped_again_and_again(boot):
    """QEMU delivers what VMRUN has injected a second time, if it is stopped before the next exit."""
    machine = boot(POWER_OFF + guest("events", "events.elf", "vcpus = 2"), cpus=2, machine="qemu-tcg")
    machine.expect(r"GUEST: masked-interrupts-wait ok")
    pairs = r"GUEST: pairs-from-another-cpu (\w+)"
    with Monitor(machine.session) as monitor:
        while not machine.found(pairs):
            monitor.human("stop")
            monitor.human("cont")
            machine.session.pump(0)
    assert machine.found(pairs)[0][1] == "ok"
    machine.expect(stopped("events", "debug-exit status=0"))
    machine.succeed()


@pytest.mark.tcg
def test_a_machine_with_little_memory(boot):
    machine = boot(GUESTS + guest("tiny", "hello-multiboot.elf").replace("16M", "4M"), machine="qemu-tcg", memory=16)
    machine.expect_in_any_order(*(rf'^rm: event=vm-refused vm={name} why="too little memory is free for it' for name in ("small", "long")),
                                stopped("tiny", "debug-exit status=0"))
    machine.fail()
    machine.absent(r"event=panic")


# --- features ---

@pytest.mark.tcg
@pytest.mark.parametrize("missing", ["pdpe1gb", "xsave", "pcid", "smep,-smap,-umip", "rdrand,-rdseed", "rdtscp", "fsgsbase",
                                     "mca,-mce", "tsc-deadline", "fxsr-opt,-invpcid,-erms"])
def test_a_feature_that_it_can_do_without(boot, missing):
    machine = boot(GUESTS, machine="qemu-tcg", cpus=2, cpu_model=f"max,-{missing}")
    machine.expect(r"preflight: AMD-V: yes")
    machine.expect(r"smp: 2 CPUs online")
    runs_its_guests(machine)


@pytest.mark.tcg
@pytest.mark.parametrize("missing, line", [
    ("lm", r"ringmaster: preflight: this CPU has no 64-bit mode"),
    ("nx", r"ringmaster: preflight: this CPU has no NX"),
    ("npt", r"preflight: .*AMD-V lacks nested paging"),
])
def test_a_feature_that_it_needs(boot, missing, line):
    machine = boot(GUESTS, machine="qemu-tcg", cpu_model=f"max,-{missing}")
    machine.expect(line)
    machine.absent(r"event=panic|event=vm-start")
    assert machine.session.running or missing == "npt"


@pytest.mark.bochs
@pytest.mark.parametrize("model", ["corei5_arrandale_m520", "corei7_sandy_bridge_2600k", "corei7_ivy_bridge_3770k"])
def test_older_cpus_with_vt_x(boot, model):
    """Without INVPCID, 1G pages, FSGSBASE, APICv; the first without x2APIC's, XSAVE's or the TSC deadline."""
    machine = boot(GUESTS, cpus=2, cpu_model=model)
    machine.expect(r"preflight: VT-x: yes")
    machine.expect(r"smp: 2 CPUs online")
    runs_its_guests(machine)


@pytest.mark.bochs
def test_a_cpu_whose_vt_x_is_too_old(boot):
    machine = boot(GUESTS, cpu_model="core2_penryn_t9600")
    machine.expect(r"preflight: .*(VT-x is too old|VT-x lacks )")
    machine.expect(r"^rm: event=exit status=1")
    machine.fail()
    machine.absent(r"event=panic|event=vm-start")
