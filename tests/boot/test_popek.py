# SPDX-License-Identifier: BSD-2-Clause
"""Theory: equivalence, the first of Popek and Goldberg's properties. The same guest runs every sensitive instruction in every
mode on the bare machine and in a VM on it, and says what it saw, a line each. The logs are the same, but for what
tests/popek/allowed.toml has a reason for; and each row of that table is needed."""

import pytest
from equivalence import ENGINES, Judgement, compare, read_allowed, run_bare, run_in_vm

pytestmark = [pytest.mark.engines, pytest.mark.slow]
ENGINE_OF = {"bochs": ENGINES["vt-x"], "qemu-tcg": ENGINES["amd-v"]}
OBSERVATIONS_MIN = 6000


def test_a_vm_is_equivalent_to_the_bare_machine(boot):
    engine = ENGINE_OF[boot.machine]
    bare = run_bare(boot, engine)
    differences = compare(bare, run_in_vm(boot, engine))
    judgement = Judgement(engine, differences, read_allowed())
    assert len(bare) > OBSERVATIONS_MIN
    assert not judgement.unexcused, "differences without a reason:\n" + "\n".join(map(str, judgement.unexcused))
    assert not judgement.stale, "rows of allowed.toml that excuse nothing:\n" + "\n".join(judgement.stale)
