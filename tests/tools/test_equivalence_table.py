# SPDX-License-Identifier: BSD-2-Clause
"""Theory: the table of sensitive instructions in guests/popek/README.md tells what is tested and what the engines do. Each case
of the guest belongs to a row and each name in a row to a case; what a row says of an exit stands in the engine's own table."""

import re

import pytest
from ringmaster import TREE

pytestmark = pytest.mark.quick

README = (TREE / "guests/popek/README.md").read_text()
SOURCES = "".join(path.read_text() for path in sorted((TREE / "guests/popek").glob("*.inc")))
CASES = sorted(set(re.findall(r'^(?:CASE|ABSENT) "([^"]+)"', SOURCES, re.M)))
INSTRUCTION, SENSITIVE, _PRIVILEGED, VT_X, AMD_V, WHAT = range(6)


def rows():
    lines = re.findall(r"^\| (`.*) \|$", README.split("## The table")[1], re.M)
    return [[cell.strip() for cell in line.split("|")] for line in lines]


def names(row, column):
    return re.findall(r"`([^`]+)`", row[column])


def row_of(case):
    """The row with the longest name that the case begins with."""
    found = [(len(name), number) for number, row in enumerate(rows()) for name in names(row, INSTRUCTION) if case.startswith(name)]
    return max(found)[1] if found else None


def test_each_case_is_in_a_row():
    assert len(CASES) > 200
    assert not [case for case in CASES if row_of(case) is None]


def test_each_name_has_a_case():
    assert not [name for row in rows() for name in names(row, INSTRUCTION) if not any(case.startswith(name) for case in CASES)]


def test_each_row_is_whole():
    assert all(len(row) == WHAT + 1 and all(row) for row in rows())
    assert all(row[SENSITIVE] in ("control", "behaviour", "no") for row in rows())


def test_the_exits_are_those_of_vt_x():
    table = (TREE / "arch/x86/vmx/vmx_exit.c").read_text()
    for row in rows():
        for reason in names(row, VT_X):
            assert re.search(rf"\[VMX_EXIT_{reason}\] = {{EXIT_", table), f"{reason}: {row[INSTRUCTION]}"


def test_the_intercepts_are_those_of_amd_v():
    sources = "".join((TREE / "arch/x86/svm" / name).read_text() for name in ("vmcb.c", "svm_event.c", "svm_exit.c"))
    for row in rows():
        for intercept in names(row, AMD_V):
            assert intercept in sources, f"{intercept}: {row[INSTRUCTION]}"
