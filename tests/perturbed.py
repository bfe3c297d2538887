"""Measurements that never were: what a judge would see if the world, or the code, were another."""

from collections.abc import Iterator, Mapping

import numpy as np
import xarray as xr

Measured = Mapping[str, xr.Dataset]
FACTORS = 10.0 ** np.array([-6, -3, -1, -0.3, 0.3, 1, 3])
LEVELS = np.array([0, 1e-6, 1e-3, 0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 1, 1.5, 2, 5, 20, 1e3])


def perturbed(measured: Measured, random: np.random.Generator) -> dict[str, xr.Dataset]:
    """Each variable as it is, or changed in a way that is drawn."""
    kept = random.uniform(0, 1)
    return {
        name: data.assign({key: _changed(data[key], random) for key in data.data_vars if random.uniform() > kept})
        for name, data in measured.items()
    }


def degenerate(measured: Measured) -> Iterator[tuple[str, dict[str, xr.Dataset]]]:
    """All that a judge must survive, by name."""
    for name, value in {"NaN": np.nan, "infinite": np.inf, "zero": 0.0, "negative": -1.0, "huge": 1e300}.items():
        yield name, {key: _filled(data, value) for key, data in measured.items()}
    yield "one seed", {key: data.isel(seed=slice(1)) if "seed" in data.dims else data for key, data in measured.items()}
    yield (
        "a NaN",
        {key: data.map(lambda values: _with_first(values, np.nan)) for key, data in measured.items()},
    )


def _filled(data: xr.Dataset, value: float) -> xr.Dataset:
    return data.map(lambda values: xr.full_like(values, value) if values.dtype.kind == "f" else values)


def _with_first(values: xr.DataArray, value: float) -> xr.DataArray:
    if values.dtype.kind != "f" or not values.size:
        return values
    changed = values.copy(deep=True)
    changed.values.flat[0] = value
    return changed


def _changed(values: xr.DataArray, random: np.random.Generator) -> xr.DataArray:
    old = values.values
    if old.dtype == bool:
        return values.copy(data=random.uniform(size=old.shape) < random.choice([0.0, 0.5, 1.0]))
    if old.dtype.kind not in "iuf":
        return values
    finite = old[np.isfinite(old)] if old.size else old
    noise = 1 + random.choice([1e-6, 1e-3, 0.1, 1]) * random.normal(size=old.shape)
    candidates = [
        lambda: old * random.choice(FACTORS),
        lambda: old * random.choice(FACTORS) * noise,
        lambda: random.choice(LEVELS) * noise,
        lambda: (random.choice(finite) if finite.size else 1.0) * noise,
        lambda: old + random.choice(LEVELS) * random.choice([-1, 1]),
        lambda: np.flip(old, random.integers(old.ndim)) if old.ndim else -old,
        lambda: random.permutation(old, random.integers(old.ndim)) if old.ndim else old * 2,
        lambda: -old,
        lambda: 1 / np.where(old == 0, 1, old),
        lambda: np.where(random.uniform(size=old.shape) < random.choice([0.1, 0.9]), np.nan, old),
    ]
    new = candidates[random.integers(len(candidates))]()
    if old.dtype.kind in "iu":  # counts, which have limits
        new = np.clip(np.nan_to_num(new), old.min(initial=0), old.max(initial=0))
    return values.copy(data=new.astype(old.dtype))
