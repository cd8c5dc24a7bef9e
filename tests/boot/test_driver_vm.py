# SPDX-License-Identifier: BSD-2-Clause
"""Theory: a guest that was given the machine's network card can serve the others as any Linux would: what stands in
configs/driver-vm.toml reaches the outside, both ways, and a driver VM that crashes comes back."""

import hashlib
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from devices import NET, machine_with
from ringmaster import TREE
from ringmaster.config import read_config
from vms import started, stopped

pytestmark = [pytest.mark.tcg, pytest.mark.slow]

FILE = os.urandom(1 << 20)


class _Server(BaseHTTPRequestHandler):
    def do_GET(self):  # pylint: disable=invalid-name
        self.send_response(200)
        self.send_header("Content-Length", str(len(FILE)))
        self.end_headers()
        self.wfile.write(FILE)

    def log_message(self, *args):  # pylint: disable=arguments-differ
        """Nobody reads it."""


@pytest.fixture(name="outside")
def make_outside():
    """A web server on this machine, which QEMU's user network shows as 10.0.2.2; its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def start(boot, url):
    config = read_config(TREE / "configs/driver-vm.toml")
    config.vms[1].settings["cmdline"] += f" rm.test=fetch url={url}"
    return boot(config, machine=machine_with(NET, arguments=["-netdev", "user,id=out"]), memory=1024, cpus=2)


def test_the_example(boot, outside):
    machine = start(boot, f"http://10.0.2.2:{outside}/file")
    machine.expect_in_any_order(started("driver"), started("web"), r"\[driver\] GUEST: bridge of eth0 eth1")
    machine.expect(r"\[web\] GUEST: ping ok 10\.0\.2\.2")
    machine.expect(rf"\[web\] GUEST: fetched {len(FILE)} bytes sha256={hashlib.sha256(FILE).hexdigest()}")
    machine.expect(stopped("web", "shutdown"))
    machine.send("\x011")
    machine.send("\necho c >/proc/sysrq-trigger\n")
    machine.expect(stopped("driver", "(reset|triple-fault|error|stopped)"))
    machine.expect(started("driver"))
    machine.expect(r"GUEST: bridge of eth0 eth1")
    machine.send("\x010vm start web\n")
    machine.expect(r"\[web\] GUEST: fetched ")
    machine.absent(r"GUEST: FAILED|event=panic|iommu: .*refused")
