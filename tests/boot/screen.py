# SPDX-License-Identifier: BSD-2-Clause
"""What stands on a QEMU machine's screen, as text: out of VGA text memory, or read off the framebuffer by the
font that the hypervisor was built with."""

import json
import re
import socket
import time

from ringmaster import TREE
from ringmaster.machines import Qemu

FONT_SOURCE = TREE / "build/font.c"
FONT_WIDTH, FONT_HEIGHT = 8, 16
VGA_TEXT_BASE, VGA_COLUMNS, VGA_ROWS = 0xB8000, 80, 25
SECONDS = 20


class Monitor:
    """QEMU's monitor (QMP). Its files are in its working directory, which may be too deep for a socket's name."""

    def __init__(self, session):
        self.directory = session.workdir
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(SECONDS)
        self.socket.connect(f"/proc/{session.process.pid}/cwd/{Qemu.control_socket}")
        self.replies = self.socket.makefile()
        self.ask("qmp_capabilities")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.replies.close()
        self.socket.close()

    def ask(self, command, **arguments):
        self.socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        for line in self.replies:  # the greeting and events come between
            reply = json.loads(line)
            assert "error" not in reply, reply
            if "return" in reply:
                return reply["return"]
        raise AssertionError(f"QEMU did not answer {command}")

    def human(self, line):
        """The answer of the monitor for people."""
        return self.ask("human-monitor-command", **{"command-line": line})

    def vga_text(self):
        self.ask("pmemsave", val=VGA_TEXT_BASE, size=2 * VGA_COLUMNS * VGA_ROWS, filename="vga.bin")
        cells = (self.directory / "vga.bin").read_bytes()[::2].decode("cp437")
        return [cells[start:start + VGA_COLUMNS].rstrip() for start in range(0, len(cells), VGA_COLUMNS)]

    def framebuffer_text(self):
        """Cells that are no character of the font appear as U+FFFD."""
        self.ask("screendump", filename="screen.ppm")
        kind, size, _, pixels = (self.directory / "screen.ppm").read_bytes().split(b"\n", 3)
        assert kind == b"P6"
        width, height = map(int, size.split())
        lit = bytes(any(pixels[at:at + 3]) for at in range(0, len(pixels), 3))
        font = read_font()
        columns = range(0, width - FONT_WIDTH + 1, FONT_WIDTH)
        rows = range(0, height - FONT_HEIGHT + 1, FONT_HEIGHT)
        return ["".join(font.get(cell(lit, width, x, y), "\ufffd") for x in columns).rstrip() for y in rows]


def cell(lit, width, x, y):
    """A character's pixels, a byte each."""
    starts = range(y * width + x, (y + FONT_HEIGHT) * width + x, width)
    return b"".join(lit[start:start + FONT_WIDTH] for start in starts)


def read_font():
    """{pixels of an ASCII character, a byte each: the character}"""
    found = {}
    for code, lines in re.findall(r"\[(\w+)\] = \{(.*)\}", FONT_SOURCE.read_text()):
        if int(code, 16) < 0x80:
            bits = "".join(f"{int(line, 16):08b}" for line in lines.split(","))
            found[bytes(map(int, bits))] = chr(int(code, 16))
    return found


def expect_on_screen(machine, read, *texts):
    """Each text comes to stand at the beginning of a line. `read` is a method of Monitor. The serial line may
    be ahead of the screen."""
    deadline = time.monotonic() + SECONDS
    with Monitor(machine.session) as monitor:
        while True:
            lines = read(monitor)
            if all(any(line.startswith(text) for line in lines) for text in texts):
                return
            assert time.monotonic() < deadline, "not on the screen: " + "\n".join([*texts, "--- the screen:", *lines])
            time.sleep(0.2)
