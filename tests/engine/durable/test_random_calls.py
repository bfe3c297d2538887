"""Calls on one store in any order, disturbed in any way, give what the same calls give without one."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dlcore as dl
from dlcore.engine.durable import parts, session

STARTS, FACTORS = np.arange(1.0, 9.0), np.array([1.5, 2.0, 3.0])


def falling(start, factor, kind="plain", num_records=3):
    """A number that falls, with all that a training may have."""
    key = jax.random.key(0)

    def record(x):
        more = {"low": jnp.stack([x, -x]).astype(jnp.bfloat16), "int": jnp.int8(x)}
        more["named"] = dl.labeled(jnp.stack([x, x]), ("side", ["left", "right"]))
        return {"x": x, **more, **({"ended": x < 0.6} if kind == "ends" else {})}

    def advance(state, by=1.0):
        x = state["x"] / factor / by + jax.random.uniform(state["key"]) * 0
        x = jnp.where(x < 0.1, jnp.nan, x) if kind == "diverges" else x
        return {"x": x, "key": jax.random.split(state["key"])[0], "n": state["n"] + 1}, record(x)

    measured = kind != "unmeasured"
    return dl.Training(
        lambda: {"x": start * 1.0, "key": key, "n": jnp.zeros((), jnp.int32)},
        advance,
        num_records,
        measure=(lambda state: {"x": state["x"]}) if measured else None,
        last=(lambda state: advance(state, 2.0)) if kind == "last" else None,
    )


def disturb(store, random):
    """Take away or spoil what a store can lose."""
    for folder in ("states", "parts"):
        files = sorted((store / folder).iterdir())
        if files and random.random() < 0.3:
            file = files[random.integers(len(files))]
            if random.random() < 0.5:
                file.unlink()
            else:
                content = bytearray(file.read_bytes())
                content[random.integers(len(content))] ^= 1
                file.write_bytes(bytes(content))


def interrupted_after(count):
    """`Session.work` that is left after so many segments."""
    left = [count]
    original = session.Session.work

    def work(self, *arguments):
        for rows in original(self, *arguments):
            yield rows
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt

    return work


def some(random, values):
    return values[np.sort(random.permutation(len(values))[: random.integers(1, len(values) + 1)])]


def play(store, random, kinds, calls, monkeypatch):
    """Calls on a store, each compared with the same call without one."""
    fixed, longest = "last" in kinds, 0  # where a last record takes fewer steps, a longer run has another one
    for _ in range(calls):
        axes = {"start": random.permutation(some(random, STARTS)), "factor": some(random, FACTORS)}
        if len(kinds) > 1:
            axes["kind"] = [kinds[i] for i in random.permutation(len(kinds))[: random.integers(1, len(kinds) + 1)]]
        length = 4 if fixed else int(random.integers(1, 7))
        fit = functools.partial(falling, num_records=length)
        if len(kinds) == 1:
            fit = functools.partial(fit, kind=kinds[0])
        keeps = {"final_params": bool(random.random() < 0.4), "final_state": [None, True, False][random.integers(3)]}
        monkeypatch.setattr(session, "SECONDS_BETWEEN_PARTS", [0.0, 60.0][random.integers(2)])
        if random.random() < 0.4:
            with monkeypatch.context() as patch:
                patch.setattr(session.Session, "work", interrupted_after(int(random.integers(0, 6))))
                try:
                    dl.sweep(fit, **axes, **keeps, store=store, lane_width=4)
                except KeyboardInterrupt:
                    disturb(store, random)
        found = dl.sweep(fit, **axes, **keeps, store=store, lane_width=4)
        plain = dl.sweep(fit, **axes, **keeps | {"final_state": bool(keeps["final_state"])}, lane_width=4)
        assert found.drop_attrs().identical(plain.drop_attrs())
        loaded = dl.load(store)
        chosen = {name: np.asarray(values, dtype=object if name == "kind" else None) for name, values in axes.items()}
        there = loaded.sel(chosen) if len(kinds) > 1 else loaded.sel({k: v for k, v in chosen.items() if k != "kind"})
        longest = max(longest, length)
        assert there.finished.all() or length < longest
        np.testing.assert_array_equal(there.x.sel(step=plain.step), plain.x)
        if random.random() < 0.5:
            disturb(store, random)
            dl.sweep(fit, **axes, store=store, lane_width=4)
    # Damaged ones are noticed where a run goes on, and where their cells are in no other part.
    for file in [*parts.listing(store / "states"), *parts.listing(store / "parts")]:
        try:
            dict(parts.read(file).arrays)
        except dl.DataError:
            file.unlink()
    dl.verify(store, fraction=0.5)


KINDS = {
    "plain": ["plain"],
    "ends": ["ends"],
    "last": ["last"],
    "unmeasured": ["unmeasured"],
    "diverges": ["diverges"],
    "several": ["plain", "ends", "diverges"],
}


@pytest.mark.filterwarnings("ignore:.*its cells are computed anew")
@pytest.mark.filterwarnings("ignore:.*go on|.*anew|.*damaged")
@pytest.mark.parametrize("kinds", ["ends", "several"])
def test_a_few_calls(tmp_path, kinds, monkeypatch):
    """Catches a cell that is lost, taken for another, or put together of pieces that do not fit."""
    play(tmp_path / "s", np.random.default_rng(0), KINDS[kinds], 3, monkeypatch)


@pytest.mark.heavy
@pytest.mark.filterwarnings("ignore:.*its cells are computed anew")
@pytest.mark.filterwarnings("ignore:.*go on|.*anew|.*damaged")
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kinds", KINDS)
def test_many_calls(tmp_path, kinds, seed, monkeypatch):
    """Catches the same after more calls."""
    play(tmp_path / "s", np.random.default_rng(seed), KINDS[kinds], 12, monkeypatch)
