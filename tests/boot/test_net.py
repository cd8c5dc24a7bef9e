# SPDX-License-Identifier: BSD-2-Clause
"""Theory: guests on one switch reach each other with what Debian's driver negotiates, and what one sends is what the
other gets."""

import pytest
from vms import POWER_OFF, linux, stopped

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TRANSFER_SECONDS = 600  # 8 MiB through BusyBox's nc are 8192 writes


@pytest.mark.engines(full=["vt-x"])
def test_two_guests_ping_and_push_tcp(boot):
    machine = boot(
        POWER_OFF
        + linux("one", "rm.test=net-receive ip=10.0.0.1/24", extra='nets = [{ switch = "lan0" }]')
        + linux("two", "rm.test=net-send ip=10.0.0.2/24 peer=10.0.0.1", extra='nets = [{ switch = "lan0" }]'),
        cpus=2, memory=768)
    machine.expect(r"GUEST: ping ok 10\.0\.0\.1")
    machine.expect_in_any_order(stopped("one", "shutdown"), stopped("two", "shutdown"), timeout=TRANSFER_SECONDS)
    machine.succeed()
    machine.absent(r"GUEST: FAILED|event=panic|Kernel panic|Call Trace")
    sent, received = (machine.found(rf"GUEST: net {what} 8388608 bytes sha256=([0-9a-f]{{64}})") for what in ("sent", "received"))
    assert len(sent) == 1 and [match[1] for match in sent] == [match[1] for match in received]


@pytest.mark.engines(full=["vt-x"])
def test_sockets_between_vms(boot):
    """Theory: what a stock driver writes into a socket of another VM arrives there, whole and once, with no network between them."""
    machine = boot(
        POWER_OFF
        + linux("one", "rm.test=vsock-receive", extra="vsock = 3")
        + linux("two", "rm.test=vsock-send peer=3", extra="vsock = 44"),
        cpus=2, memory=768)
    machine.expect_in_any_order(stopped("one", "shutdown"), stopped("two", "shutdown"), timeout=TRANSFER_SECONDS)
    machine.succeed()
    machine.absent(r"GUEST: FAILED|event=panic|Kernel panic|Call Trace")
    sent, received = (machine.found(rf"GUEST: vsock {what} 8388608 bytes sha256=([0-9a-f]{{64}})") for what in ("sent", "received"))
    assert len(sent) == 1 and [match[1] for match in sent] == [match[1] for match in received]
