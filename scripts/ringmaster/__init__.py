# SPDX-License-Identifier: BSD-2-Clause
"""What scripts/mkiso, scripts/run and the system tests share: the description of VMs, ISO making, and
the machines that an ISO can be booted on."""

from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
"""The source tree that these scripts belong to."""
