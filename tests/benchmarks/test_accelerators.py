"""The benchmark of accelerators, on the CPU."""

import pytest

from benchmarks import accelerators


@pytest.mark.job
def test_a_process_measures_what_it_is_asked_for():
    """Catches a variant that is not run, and bits that are not those of the study."""
    request = {"repeats": 1, "runs": 2, "lanes": 2, "unroll": 4, "single": True, "anew": True}
    found = accelerators._child(request)
    assert found["bits"] == found["again"] == found["anew"]
    assert found["ms"] > 0
    assert found["us_of_single"] > 0
    assert [len(losses) for losses in found["first_losses"]] == [accelerators.EPOCHS + 1] * 2


def test_a_flag_that_xla_does_not_know():
    """Catches a process that fails without a word of why."""
    with pytest.raises(RuntimeError, match=r"'lanes': 2.* with --xla_no_such_flag failed:\n(.|\n)*Unknown flag"):
        accelerators._child({"lanes": 2}, "--xla_no_such_flag")
