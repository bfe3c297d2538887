"""Streamed data: the same run as in memory, bit for bit; iterators that go on exactly where they stopped."""

import itertools
import pickle
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import pytest
from data_support import pictures, png, private_cache, write, zip_bytes  # noqa: F401

import dlcore as dl

IMAGES = pictures(24, (4, 3))


@pytest.fixture
def folder(tmp_path):
    files = {f"train/{'ab'[i % 2]}/{i:02}.png": png(image) for i, image in enumerate(IMAGES)}
    files |= {f"test/{'ab'[i % 2]}/{i}.png": png(image) for i, image in enumerate(IMAGES[:6])}
    return write(tmp_path / "images.zip", zip_bytes(files))


@pytest.fixture
def shards(tmp_path):
    paths = [tmp_path / f"{i}.npz" for i in range(3)]
    for i, path in enumerate(paths):
        rows = np.arange(10 * i, 10 * i + 10)
        np.savez(path, inputs=np.stack([rows, -rows], axis=1).astype(np.float32), targets=rows % 2)
    return paths


def fit(data, seed=0, **options):
    model = dl.data.prepared(dl.models.mlp([12, 8, 2]), dl.data.unit_range, dl.data.flatten)
    task = dl.tasks.classification(model, data)
    return dl.training(
        jax.random.key(seed), task, optax.sgd(0.1), batch_size=4, num_steps=12, record_every=3, **options
    )


def test_streamed_run_equals_the_run_in_memory(folder):
    loaded, streamed = dl.data.from_image_folder(folder), dl.data.stream_image_folder(folder)
    assert isinstance(streamed.train.inputs, dl.data.Streamed)
    assert "train 24, test 6; inputs uint8[N, 4, 3], targets int32[N]" in repr(streamed)
    np.testing.assert_array_equal(streamed.train.inputs[:], loaded.train.inputs)
    ours, theirs = dl.run(fit(streamed)), dl.run(fit(loaded, evaluate=("test",)))
    assert "train_loss" not in ours  # the train split is not evaluated
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name])


@pytest.mark.filterwarnings("ignore:this study runs on 1 of")
def test_streamed_study_equals_the_study_in_memory(folder):
    loaded, streamed = dl.data.from_image_folder(folder), dl.data.stream_image_folder(folder)
    ours = dl.sweep(lambda seed: fit(streamed, seed), seed=jnp.arange(3))
    theirs = dl.sweep(lambda seed: fit(loaded, seed, evaluate=("test",)), seed=jnp.arange(3))
    np.testing.assert_array_equal(ours.batch_loss, theirs.batch_loss)
    assert len(np.unique(ours.batch_loss[:, -1])) == 3


def test_streams_of_one_shape_are_not_mixed_up(folder, tmp_path):
    """Compiled programs are kept by their text, and that of the two is the same but for the callback."""
    files = {f"train/{'ab'[i % 2]}/{i:02}.png": png(255 - image) for i, image in enumerate(IMAGES)}
    files |= {f"test/{'ab'[i % 2]}/{i}.png": png(image) for i, image in enumerate(IMAGES[:6])}
    other = write(tmp_path / "other.zip", zip_bytes(files))
    for path in (folder, other, folder):
        ours = dl.run(fit(dl.data.stream_image_folder(path)))
        theirs = dl.run(fit(dl.data.from_image_folder(path), evaluate=("test",)))
        np.testing.assert_array_equal(ours.batch_loss, theirs.batch_loss)


def test_streamed_split_is_the_split_in_memory(shards):
    streamed = dl.data.stream_npz(shards, test=0.3, validation=0.1, seed=5)
    inputs = np.concatenate([np.load(path)["inputs"] for path in shards])
    loaded = dl.data.from_arrays(inputs, np.arange(30) % 2, test=0.3, validation=0.1, seed=5)
    for split in loaded.splits:
        np.testing.assert_array_equal(getattr(streamed, split).inputs[:], getattr(loaded, split).inputs)
        np.testing.assert_array_equal(getattr(streamed, split).targets, getattr(loaded, split).targets)
    np.testing.assert_array_equal(dl.data.first(streamed, 5).train.inputs, loaded.train.inputs[:5])


def test_streamed_rows_have_the_dtypes_of_rows_in_memory(tmp_path):
    """Catches float64 shards, whose held-out rows would be float32 and those of train not."""
    inputs = np.arange(20.0).reshape(10, 2)
    np.savez(tmp_path / "a.npz", inputs=inputs, targets=np.arange(10))
    data = dl.data.stream_npz([tmp_path / "a.npz"], test=0.2)
    loaded = dl.data.from_arrays(inputs, np.arange(10), test=0.2)
    assert all(getattr(data, split).inputs[:].dtype == np.float32 for split in ("train", "test"))
    np.testing.assert_array_equal(data.train.inputs[:], loaded.train.inputs)
    np.savez(tmp_path / "b.npz", inputs=np.full((3, 2), 2**40), targets=np.arange(3))
    with pytest.raises(dl.DataError, match=r"'inputs' after row 0 hold 1099511627776 .* that fit int32"):
        dl.data.stream_npz([tmp_path / "b.npz"])


@pytest.mark.parametrize("stop", [0, 1, 4, 7])
def test_iterator_goes_on_exactly_where_it_stopped(shards, tmp_path, stop):
    data = dl.data.stream_npz(shards)

    def made():
        return dl.data.batches(data, batch_size=7, seed=3, num_epochs=3)

    whole = list(made())
    assert len(whole) == 12
    interrupted = made()
    list(itertools.islice(interrupted, stop))
    dl.data.save_position(interrupted, tmp_path / "position")
    resumed = made()
    dl.data.load_position(resumed, tmp_path / "position")
    rest = list(resumed)
    assert len(rest) == 12 - stop
    for ours, theirs in zip(rest, whole[stop:], strict=True):
        np.testing.assert_array_equal(ours.inputs, theirs.inputs)
        np.testing.assert_array_equal(ours.targets, theirs.targets)
    assert [path.name for path in tmp_path.iterdir() if "position" in path.name] == ["position"]


def test_each_process_has_rows_of_its_own_and_each_epoch_an_order(shards):
    data = dl.data.stream_npz(shards)
    seen = []
    for index in range(4):
        made = dl.data.batches(data, batch_size=7, seed=0, num_epochs=2, process_index=index, process_count=4)
        first, second = (batch.inputs[:, 0].astype(int).tolist() for batch in made)
        assert sorted(first) == sorted(second)
        assert first != second
        seen += first
    assert len(set(seen)) == 28  # 30 rows, 7 for each of 4


def test_what_cannot_be_streamed(shards, tmp_path, folder):
    data = dl.data.stream_image_folder(folder)
    with pytest.raises(dl.ArgumentError, match='batch_size is "full", the train split is streamed'):
        dl.training(jax.random.key(0), fit_task(data), optax.sgd(0.1), batch_size="full", num_steps=1)
    with pytest.raises(
        dl.ArgumentError, match=r"evaluate names 'train', images has the splits test. The train split is streamed"
    ):
        fit(data, evaluate=("train",))
    with pytest.raises(dl.DataError, match="24 streamed rows do not become an array: they may not fit in memory"):
        np.asarray(data.train.inputs)
    with pytest.raises(dl.ArgumentError, match="process 0 of 1 has 24 rows, batch_size is 25"):
        dl.data.batches(data, batch_size=25, seed=0)
    np.savez_compressed(tmp_path / "packed.npz", inputs=np.ones((3, 2)), targets=np.ones(3))
    with pytest.raises(dl.DataError, match=r"'inputs' is compressed, .* Write it with np.savez"):
        dl.data.stream_npz([tmp_path / "packed.npz"])
    with pytest.raises(dl.DataError, match=r"has no array 'input'; did you mean 'inputs'\?"):
        dl.data.stream_npz(shards, keys=("input", "targets"))
    np.savez(tmp_path / "objects.npz", inputs=np.asarray([{}], object), targets=np.ones(1))
    with pytest.raises(dl.DataError, match=r"'inputs' is object.*expects rows of numbers, not objects"):
        dl.data.stream_npz([tmp_path / "objects.npz"])
    np.savez(tmp_path / "other.npz", inputs=np.ones((3, 5), np.float32), targets=np.ones(3, int))
    with pytest.raises(dl.DataError, match=r"'inputs' is float32\[3, 5\], that of .* float32\[10, 2\]"):
        dl.data.stream_npz([*shards, tmp_path / "other.npz"])
    write(tmp_path / "position", "no JSON")
    with pytest.raises(dl.DataError, match="is no position of this iterator"):
        dl.data.load_position(dl.data.batches(data, batch_size=2, seed=0), tmp_path / "position")


def test_row_that_is_wrong_is_named_out_of_a_run():
    """Catches an error that comes out of JAX as another one."""
    rows = [np.zeros((4, 3), np.uint8)] * 5 + [np.zeros((4, 2), np.uint8)]
    with pytest.raises(dl.DataError, match=r"row 5 of the source is uint8\[4, 2\], the first one uint8\[4, 3\]"):
        dl.run(fit(dl.data.Dataset((dl.data.Streamed(rows), np.arange(6) % 2))))


def fit_task(data):
    return dl.tasks.classification(dl.data.prepared(dl.models.mlp([12, 2]), dl.data.unit_range, dl.data.flatten), data)


def test_plot_of_streamed_images(folder):
    assert dl.data.stream_image_folder(folder).plot(num_rows=4) is not None


def test_streams_can_be_pickled(tmp_path):
    """Catches threads that cannot travel, and a pickle that holds the data of its files."""
    np.savez(tmp_path / "a.npz", inputs=np.ones((3000, 100), np.float32), targets=np.arange(3000))
    data = dl.data.stream_npz([tmp_path / "a.npz"], test=0.2)
    sent = pickle.dumps(data)
    assert len(sent) < 400_000, "the test split is in memory, the train split is not"
    there = pickle.loads(sent)
    np.testing.assert_array_equal(there.train.inputs[:5], data.train.inputs[:5])


def test_streams_of_images_can_be_pickled(folder):
    """Catches an open archive, or a lock of the files."""
    data = dl.data.stream_image_folder(folder)
    there = pickle.loads(pickle.dumps(data))
    np.testing.assert_array_equal(there.train.inputs[:5], data.train.inputs[:5])


def test_streamed_rows_are_asked_for_by_number():
    """Catches rows by a frame's labels, and raw errors for rows that are not there."""
    frame = pd.DataFrame({"a": [1.0, 2.0]}, index=[1, 0])
    sources: tuple[Any, ...] = (frame, frame["a"], {0: 1.0, 1: 2.0})
    for named in sources:
        with pytest.raises(dl.ArgumentError, match=r"expects rows by number. Pass an array of its rows: .*to_numpy"):
            dl.data.Streamed(named)
    rows = dl.data.Streamed(frame.to_numpy())
    assert rows[:0].shape == (0, 1)
    assert rows[[[0, 1]]].tolist() == [[[1.0], [2.0]]]
    assert [row.tolist() for row in rows] == [[1.0], [2.0]]
    with pytest.raises(dl.DataError, match="there are no rows 9 of 2"):
        rows[9]


def test_streamed_npz_is_as_in_memory_and_names_what_is_not_read(tmp_path):
    np.savez(tmp_path / "a.npz", inputs=np.eye(3), targets=np.arange(3)[:, None], weights=np.ones(3))
    data = dl.data.stream_npz([tmp_path / "a.npz"])
    np.testing.assert_array_equal(data.train.targets, dl.data.from_npz(tmp_path / "a.npz").train.targets)
    assert data.source.endswith("streamed, without their arrays weights")


@pytest.mark.parametrize("rows", [64, 20_000])
def test_streamed_rows_that_float32_does_not_tell_apart(tmp_path, rows):
    """Catches a check of arrays in memory only."""
    seconds = 1_700_000_000 + 30 * np.arange(rows)[:, None]
    for column in (seconds, seconds.astype(np.int32), seconds.astype(np.uint32), seconds + 0.5):
        np.savez(tmp_path / "a.npz", inputs=column, targets=np.arange(rows) % 2)
        with pytest.raises(dl.DataError, match="the rows of the source: column 0 holds 1700000000"):
            dl.data.stream_npz([tmp_path / "a.npz"], test=0.5)
    assert len(dl.data.Streamed(seconds - seconds[0])) == len(dl.data.Streamed(seconds.astype(np.float32))) == rows
