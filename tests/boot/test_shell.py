# SPDX-License-Identifier: BSD-2-Clause
"""Theory: a person at the console can do with every VM what the shell's help says, sees it happen in the event lines,
and whatever is mistyped is answered and does nothing. One session as it would be, on a machine with two guests that
say what they hear."""

import pytest
from vms import guest, started, stopped

pytestmark = [pytest.mark.engines, pytest.mark.slow]

SHELL = "\x010"
PROMPT = r"^(?=rm> )"  # takes nothing: a line that comes above it takes its place
CARD = 'nets = [{ switch = "lan0", vlan = 7, rate = "10M" }]'
GUESTS = '[ringmaster]\non_idle = "shell"\n' + guest("web", "echo.elf", CARD) + guest("db", "echo.elf")

WRONG = {
    "frobnicate": r"unknown command 'frobnicate'",
    "vm strat web": r"unknown command 'vm strat'; did you mean 'vm start'\?",
    "vm": r"vm what\? list, show, create",
    "vm pause": r"vm pause: VM is missing; usage: vm pause VM",
    "vm pause web db": r"db is too much; usage: vm pause VM",
    "vm pause wbe": r"no VM 'wbe'; did you mean 'web'\?; there are: web, db",
    "vm resume web": r"web is running; pause it first",
    "vm start web": r"web is running; stop it first",
    "vm destroy web": r"web is running; stop it first",
    "vm create web like=db": r"there is a VM 'web' already",
    "vm create x like=web memory=12Q": r"memory=12Q: expected a size like 256M",
    "vm create x like=web colour=red": r"colour: no such key",
    "vm create x memory=16M": r"like=VM is missing",
    "vm stop web --now": r"'--now' is not \[--force\]",
    "log loud": r"'loud' is not \[error\|warn\|info\|debug\]",
    "trace web 0": r"number=0: expected a number",
    "poweroff": r"still there: web, db; --force ends them",
    "'": r"unknown command",
}


@pytest.fixture
def session(boot):
    machine = boot(GUESTS, cpus=2)
    machine.expect_in_any_order(started("web"), started("db"), r"\[web\] GUEST: echo is ready", r"\[db\] GUEST: echo is ready")
    machine.send(SHELL)
    machine.expect(r"console: shell")
    machine.expect(PROMPT)
    return machine


def say(machine, line, *answers):
    """A command and what must come of it, in that order; then the prompt."""
    machine.send(line + "\r")
    for answer in answers:
        machine.expect(answer)
    machine.expect(PROMPT)


def talk(machine, text):
    """What the attached guest is told, it says."""
    machine.send(text + "\r")
    machine.expect(rf"^GUEST: heard {text}$")


def test_a_session(session):
    say(session, "vm list", r"^web +running +1 +16M +1 +1", r"^db +running")
    say(session, "vm create copy like=web memory=32M", r"^copy is created")
    session.send("vm start copy\r")
    session.expect_in_any_order(started("copy"), r"^copy is running", r"^\[copy\] GUEST: echo is ready", PROMPT)

    session.send("attach copy\r")
    session.expect(r"attached to copy")
    talk(session, "hello")
    session.send("forge rm: event=exit status=0\r")
    session.expect(r"^\[copy\] rm: event=exit status=0$")
    session.send(SHELL)
    session.expect(PROMPT)

    say(session, "vm pause copy", r"^copy is paused")
    say(session, "vm pause copy", r"^copy is paused; resume it first")
    session.send("attach copy\r")
    session.expect(r"attached to copy")
    session.send("patience\r" + SHELL)
    session.expect(r"console: shell")
    say(session, "vm resume copy", r"^copy is running")

    session.send("vm restart copy\r")
    session.expect(stopped("copy", "stopped"))
    session.expect_in_any_order(started("copy"), r"^copy is running anew", r"^\[copy\] GUEST: echo is ready", PROMPT)
    session.send("\x013")
    session.expect(r"console: attached to copy")
    session.send("exit\r")
    session.expect(stopped("copy", "debug-exit status=0"))
    session.expect(PROMPT)
    say(session, "vm destroy copy", r"^copy is gone")
    say(session, "attach copy", r"no VM 'copy'")

    session.send("\x01n")
    session.expect(r"console: attached to web")
    talk(session, "still here")
    session.send(SHELL)
    session.expect(PROMPT)
    say(session, "vm stop db --force", stopped("db", "stopped"), r"^db is stopped")
    session.send("poweroff --force\r")
    session.succeed()


@pytest.mark.engines(full=["vt-x"])
def test_what_is_wrong_does_nothing(session):
    for line, answer in WRONG.items():
        say(session, line, answer)
    say(session, "vm list", r"^web +running +1 +16M +1 ", r"^db +running +1 +16M +1 ")
    for number, name in enumerate(("web", "db"), 1):
        session.send(f"\x01{number}")
        session.expect(f"console: attached to {name}")
        talk(session, f"are you there {name}")
    session.absent(r"event=vm-stop")
    session.absent(r"event=panic")


@pytest.mark.engines(full=["vt-x"])
def test_looking(session):
    say(session, "help", r"^vm start VM", r"^poweroff")
    say(session, "cpus", r"^ +0 .*yes", r"^ +1 .*yes")
    say(session, "mem", r"^total +\d+ MiB", r"^web +16 MiB")
    say(session, "net", r"^switch lan0, 1 in use", r"^web\.0 +7 +10M +0 +0 +0 +0 +0$")
    say(session, "net lan0", r"^02:[0-9a-f:]{14} +7 web\.0 +its card's$")
    say(session, "vm show web", r"^web: running", r"memory=16M", r"debug_exit=1")
    say(session, "exits web", r"^web +io +[1-9]\d*")
    say(session, "trace web", r"nothing is recorded of web")
    say(session, "trace on web", r"^web is traced")
    session.send("\x011")
    session.expect(r"console: attached to web")
    talk(session, "you are watched")  # it has run since: until a vCPU's next exit there is nothing to be shown
    session.send(SHELL)
    session.expect(PROMPT)
    say(session, "trace web 30", r"^ +0 +\d+ +\d+ +[0-9a-f]{16} io +in 0x3fd width 1")
    say(session, "exits web", r"^web +io +\d+ +[1-9]\d*$")
    say(session, "trace off web", r"not traced any more")
    say(session, "top -1", r"^VM +STATE +MEMORY", r"^web +running +16M +(9\d|100)\.\d")
    session.send("top\r")
    session.expect(r"q ends")
    session.expect(r"^web +running +16M +(9\d|100)\.\d +\d+\.\d +[1-9]\d*")
    session.send("q")
    session.expect(PROMPT)
    say(session, "dump web", r"dump: web: running", r"last exits:")
    session.send("vm sh\tw\t\r")
    session.expect(r"^web: running")
