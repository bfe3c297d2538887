"""Lengths of studies whose parts have known lengths, by hand."""

import pytest

from dlcore.engine.planning.makespan import MOST_BLOCKS, Lengths, makespan


def on_two(*programs, shares_cores=False):
    """Of two devices and two cores."""
    return makespan(programs, 2, 2, shares_cores=shares_cores)


def test_one_program():
    """Catches functions that compile one after the other, devices that load by turns, half waves that take no time."""
    program = Lengths(lowering=0.1, compiling=(1.0, 2.0), loading=0.5, blocks=5, block=10.0)
    assert on_two(program) == pytest.approx(0.1 + 2.0 + 0.5 + 3 * 10.0)
    assert on_two(program._replace(blocks=0)) == pytest.approx(0.1 + 2.0)
    assert on_two(program._replace(blocks=1)) == pytest.approx(0.1 + 2.0 + 0.5 + 10.0)


def test_programs_compile_while_others_run():
    """Catches a sum of all compile times: the second is compiled during the blocks of the first."""
    first = Lengths(0.0, (1.0,), 0.0, 4, 3.0)
    assert on_two(first, Lengths(0.0, (3.0,), 0.0, 2, 1.0)) == pytest.approx(1.0 + 6.0 + 1.0)
    # The third is lowered when no more than two blocks a device are waiting, and compiles longer than they run.
    many = Lengths(0.0, (1.0,), 0.0, 100, 0.01)
    assert on_two(many, many, many) == pytest.approx(3 * 1.0 + 3 * 0.5, abs=0.1)


def test_cores_do_one_thing_at_a_time():
    """Catches compiling that costs the devices nothing where they are the same cores."""
    program = Lengths(0.0, (4.0,), 0.0, 4, 2.0)
    apart, shared = on_two(*[program] * 4), on_two(*[program] * 4, shares_cores=True)
    assert shared == pytest.approx((4 * 4.0 + 4 * 4 * 2.0) / 2)
    assert apart < shared


def test_many_blocks_are_taken_together():
    """Catches a loop over a million blocks, and blocks that are lost by it."""
    program = Lengths(0.0, (1.0,), 0.0, 1_000_001, 0.001)
    assert on_two(program) == pytest.approx(1.0 + 500.001, rel=2 / MOST_BLOCKS)
