# SPDX-License-Identifier: BSD-2-Clause
"""Theory: what `make run` boots does what the README promises: two Linux guests that reach each other, and a console
from which a person reaches both."""

import pytest
from ringmaster import TREE
from ringmaster.config import read_config
from vms import started, stopped

pytestmark = [pytest.mark.tcg, pytest.mark.slow]

ADDRESSES = {"one": "10.0.0.1", "two": "10.0.0.2"}


def attach(machine, number, name):
    machine.send(f"\x01{number}")
    machine.expect(rf"^console: attached to {name}; Ctrl-A 0 is the shell$")
    machine.send("\n")
    machine.expect(r"^/ # ")


def test_what_make_run_shows(boot):
    machine = boot(read_config(TREE / "configs/default.toml"), machine="qemu-tcg", cpus=2, memory=1024)
    machine.expect_in_any_order(started("one"), started("two"), r"^console: Ctrl-A and 1 one, 2 two, 0 the shell; Ctrl-A h is help$")
    machine.expect_in_any_order(r"^\[one\] GUEST: shell ready", r"^\[two\] GUEST: ping ok 10\.0\.0\.1$", r"^\[two\] GUEST: shell ready")
    for number, (name, peer) in enumerate(zip(ADDRESSES, reversed(ADDRESSES.values())), 1):
        attach(machine, number, name)
        machine.send(f"ping -c 3 {peer}\n")
        machine.expect(rf"^64 bytes from {peer}: seq=2")
        machine.expect(r"^3 packets transmitted, 3 packets received, 0% packet loss$")
    machine.send("poweroff -f\n")
    machine.expect(stopped("two", "shutdown"))
    attach(machine, 1, "one")
    machine.send("poweroff -f\n")
    machine.expect(stopped("one", "shutdown"))
    machine.succeed()
    machine.absent(r"GUEST: FAILED|event=panic|Kernel panic|Call Trace")
