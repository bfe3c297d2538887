"""Synthetic data: a pure function of its key, the same under jit, and what its definition says."""

import datetime
import re
import warnings
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import dlcore as dl

KEY = jax.random.key(0)
N = 400
MAKERS = {
    "blobs": dl.data.blobs,
    "moons": dl.data.moons,
    "spirals": dl.data.spirals,
    "xor": dl.data.xor,
    "parity": partial(dl.data.parity, num_bits=5),
    "sine": dl.data.sine,
    "polynomial": dl.data.polynomial,
    "sparse_linear": partial(dl.data.sparse_linear, num_features=6, num_relevant=2),
    "adding_problem": partial(dl.data.adding_problem, length=9),
    "copy_memory": partial(dl.data.copy_memory, delay=5, num_copied=3),
    "dates": dl.data.dates,
    "stories": dl.data.stories,
    "scattered_digits": dl.data.scattered_digits,
}


def made(function, num_examples=N, **options):
    split = jax.jit(partial(function, num_examples=num_examples, **options))(KEY)
    return tuple(map(np.asarray, split[:2]))


@pytest.fixture(autouse=True)
def no_rank_promotion():
    with jax.numpy_rank_promotion("raise"):
        yield


@pytest.mark.parametrize("name", MAKERS)
def test_pure_function_of_its_key(name):
    make = jax.jit(MAKERS[name], static_argnums=1)
    first, again, other = make(KEY, N), make(KEY, N), make(jax.random.key(1), N)
    assert len(first.inputs) == len(first.targets) == N
    for part, same, different in zip(first[:2], again[:2], other[:2], strict=True):
        np.testing.assert_array_equal(part, same)
        assert np.isfinite(part).all()
        assert not np.array_equal(part, different)
    data = dl.data.from_split(jax.tree.map(np.asarray, first), test=0.25, validation=0.1)
    assert [len(getattr(data, split).inputs) for split in data.splits] == [260, 40, 100]


@pytest.mark.parametrize("name", ["moons"])
def test_jit_equals_eager(name):
    eager, compiled = MAKERS[name](KEY, 20), jax.jit(MAKERS[name], static_argnums=1)(KEY, 20)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5), eager, compiled)


def test_blobs_have_the_spread_asked_for():
    inputs, labels = made(dl.data.blobs, 6000, num_classes=4, num_features=3, spread=0.5)
    deviations = [np.std(inputs[labels == k], axis=0) for k in range(4)]
    np.testing.assert_allclose(deviations, 0.5, rtol=0.1)
    assert np.bincount(labels).min() > 1300


def test_moons_lie_on_their_half_circles():
    inputs, labels = made(dl.data.moons, N, noise=0.0)
    centers = np.where(np.asarray(labels)[:, None] == 0, [0.0, 0.0], [1.0, 0.5])
    np.testing.assert_allclose(np.linalg.norm(inputs - centers, axis=1), 1, atol=1e-5)
    assert ((inputs[:, 1] - centers[:, 1] > 0) == (labels == 0)).mean() > 0.99


def test_spirals_turn_against_each_other():
    inputs, labels = made(dl.data.spirals, N, num_classes=3, turns=1.5, noise=0.0)
    radius = np.linalg.norm(inputs, axis=1)
    turned = np.arctan2(inputs[:, 1], inputs[:, 0]) / (2 * np.pi) - 1.5 * radius - labels / 3
    np.testing.assert_allclose(turned, np.round(turned), atol=1e-4)


def test_parity_and_xor_count_signs():
    inputs, labels = made(dl.data.parity, N, num_bits=5, num_relevant=3)
    np.testing.assert_array_equal(labels, (inputs[:, :3] > 0).sum(1) % 2)
    inputs, labels = made(dl.data.xor, N, noise=0.0)
    np.testing.assert_array_equal(labels, inputs[:, 0] * inputs[:, 1] < 0)
    with pytest.raises(dl.ArgumentError, match=r"num_relevant is 6; expects 1 to num_bits=5"):
        dl.data.parity(KEY, N, num_bits=5, num_relevant=6)


def test_regressions_follow_their_formula():
    x, y = made(dl.data.sine, N, frequency=2.0, noise=0.0)
    np.testing.assert_allclose(y, np.sin(2 * np.asarray(x)[:, 0]), atol=1e-5)
    x, y = made(dl.data.polynomial, N, coefficients=(1.0, 0.0, -2.0), noise=0.0)
    np.testing.assert_allclose(y, 1 - 2 * np.asarray(x)[:, 0] ** 2, atol=1e-5)
    x, y = made(dl.data.sparse_linear, N, num_features=5, num_relevant=2, noise=0.0)
    weights, *_ = np.linalg.lstsq(np.asarray(x), np.asarray(y), rcond=None)
    assert abs(weights[:2]).min() > 0.05 > 1e-4 > abs(weights[2:]).max()


def test_noisy_and_sparse_labels():
    labels = jnp.zeros(5000, jnp.int32)
    noisy = np.asarray(dl.data.noisy_labels(KEY, labels, num_classes=4, rate=0.3))
    np.testing.assert_allclose(np.bincount(noisy) / 5000, [0.7, 0.1, 0.1, 0.1], atol=0.02)
    sparse = np.asarray(dl.data.sparse_labels(KEY, labels, known=0.2))
    assert set(sparse.tolist()) == {0, dl.data.UNKNOWN_LABEL}
    assert abs((sparse == 0).mean() - 0.2) < 0.02


@pytest.mark.parametrize("labels", [[0, 3], [-1], [2**32 + 1]])
def test_labels_of_no_class_are_no_noisy_labels(labels):
    """Catches a label out of range that is kept, and one of 64 bits that becomes another."""
    with pytest.raises(dl.DataError, match="noisy_labels: labels"):
        dl.data.noisy_labels(KEY, np.array(labels), num_classes=3, rate=0.0)
    with pytest.raises(dl.DataError, match="do not fit int32"):
        dl.data.sparse_labels(KEY, np.array([2**32 + 1]), known=1.0)


def test_adding_problem_marks_one_number_in_each_half():
    inputs, targets = made(dl.data.adding_problem, 3000, length=9)
    marks = inputs[:, :, 1]
    np.testing.assert_array_equal(marks[:, :4].sum(1), 1)
    np.testing.assert_array_equal(marks[:, 4:].sum(1), 1)
    np.testing.assert_allclose(targets, (inputs[:, :, 0] * marks).sum(1), rtol=1e-5)
    assert (marks.sum(0) > 0).all()
    assert abs(np.mean((targets - 1) ** 2) - 1 / 6) < 0.01


def test_copy_memory_layout():
    inputs, targets = made(dl.data.copy_memory, 50, delay=4, num_symbols=3, num_copied=2)
    assert inputs.shape == targets.shape == (50, 8)
    np.testing.assert_array_equal(inputs[:, 2:], np.tile([0, 0, 0, 4, 0, 0], (50, 1)))
    np.testing.assert_array_equal(targets[:, -2:], inputs[:, :2])
    assert targets[:, :-2].max() == 0
    assert set(inputs[:, :2].flatten().tolist()) == {1, 2, 3}


def test_dates_against_the_standard_library():
    inputs, targets = made(dl.data.dates, 1500)
    vocabulary = dl.data.date_vocabulary()
    seen = set()
    for row, target in zip(np.asarray(inputs), np.asarray(targets), strict=True):
        text, iso = vocabulary.decode(row), vocabulary.decode(target)
        day = datetime.date.fromisoformat(iso)
        ordinal = re.search(r"(\d+)(st|nd|rd|th)", text)
        if ordinal:
            assert ordinal[0] in {"1st", "2nd", "3rd", "21st", "22nd", "23rd", "31st"} | {
                f"{i}th" for i in range(4, 31)
            }
        forms = {
            f"{day.day} {day:%B} {day.year}", f"{day:%B} {day.day}, {day.year}", f"{day:%d/%m/%Y}",
            f"{day.day} {day:%b} {day.year}", f"{day:%A}, {day.day} {day:%B} {day.year}", f"{day:%d-%b-%Y}",
            *([f"{day:%b} {ordinal[0]} {day.year}", f"the {ordinal[0]} of {day:%B}, {day.year}"] if ordinal else []),
        }  # fmt: skip
        assert text in forms, (text, iso)
        assert not ordinal or int(ordinal[1]) == day.day
        seen.add(re.sub(r"\d+", "9", re.sub(r"[A-Z][a-z]+", "A", text)))
    assert len(seen) > 8  # all formats occur
    one, _ = made(dl.data.dates, 5, formats=("{year}{month2}{day2}",))
    assert one.shape == (5, 8)


def test_stories_answer_where_the_person_went_last():
    inputs, targets = made(dl.data.stories, 200, num_sentences=6)
    vocabulary = dl.data.story_vocabulary()
    for row, target in zip(np.asarray(inputs), np.asarray(targets), strict=True):
        *sentences, question = vocabulary.decode(row).split(" . ")
        person = question.split()[2]
        last = [sentence.split()[4] for sentence in sentences if sentence.split()[0] == person][-1]
        assert dl.data.PLACES[target] == last
        assert question == f"where is {person} ?"


@pytest.mark.parametrize(("pictures", "labels", "message"), [
    (np.full((2, 2, 2), 255.0), np.arange(2), r"pictures go from 255 to 255; expects \[0, 1\]"),
    (np.ones((2, 2, 2), np.uint8), np.arange(2), "pictures are uint8; expects floats"),
    (np.ones((2, 2, 2)), np.asarray([0.5, 1.0]), "integer labels"),
    (np.ones((2, 2, 2)), np.asarray([-1, 1]), "labels go from -1 to 1"),
    (np.ones((2, 2, 2)), None, "integer labels"),
    ({"a": np.ones((2, 2, 2))}, np.arange(2), "expects float pictures"),
])  # fmt: skip
def test_scattered_digits_need_pictures_and_classes(pictures, labels, message):
    with pytest.raises(dl.DataError, match=message):
        dl.data.scattered_digits(KEY, 2, digits=(pictures, labels))


def test_half_precision_does_not_round_labels_and_corners():
    digits = np.ones((1, 2, 2), np.float16), np.asarray([3001])
    _, rows = jax.eval_shape(lambda key: tuple(dl.data.scattered_digits(key, 1, digits=digits).columns.values()), KEY)
    assert rows.dtype == jnp.float32


def test_scattered_digits_lie_in_their_boxes():
    digits = dl.data.digit_pictures()
    canvases, boxes = made(dl.data.scattered_digits, 200, canvas_size=30, max_digits=4)
    assert canvases.shape == (200, 30, 30)
    present = boxes[:, :, 0].sum(1)
    assert set(present.tolist()) == {1, 2, 3, 4}
    for canvas, rows in zip(canvases, boxes, strict=True):
        covered = np.zeros((30, 30))
        for there, label, top, left, bottom, right in rows.astype(int):
            if not there:
                assert (top, left, bottom, right) == (0, 0, 0, 0)
                continue
            covered[top:bottom, left:right] += 1
            same = digits.inputs[digits.targets == label]
            assert abs(same - canvas[top:bottom, left:right]).max((1, 2)).min() < 1e-6
        assert covered.max() == 1  # no overlap
        assert abs(canvas * (1 - covered)).max() == 0
    with pytest.raises(dl.ArgumentError, match=r"room for 1 digits of 8 x 8; .* max_digits is 3. Enlarge the canvas"):
        dl.data.scattered_digits(KEY, 2, canvas_size=15)


def test_data_made_inside_a_compiled_study():
    """The data depend on the seed, and are made on the device in the program that trains on them."""

    def fit(seed):
        key = jax.random.key(seed)
        split = dl.data.blobs(jax.random.fold_in(key, 0), 60, spread=0.1)
        data = dl.data.from_split(split, test=0.5, target_names=("a", "b", "c"))
        repr(data)
        task = dl.tasks.classification(dl.models.linear(2, 3), data)
        return dl.training(jax.random.fold_in(key, 1), task, optax.sgd(0.3), batch_size="full", num_steps=100)

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "this study runs on 1 of")  # once in a process
        runs = dl.sweep(fit, seed=jnp.arange(4))
    accuracy = runs.test_accuracy.values[:, -1]
    assert accuracy.min() > 0.6
    assert accuracy.mean() > 0.9
    assert len(np.unique(runs.test_loss.values[:, -1])) == 4


def test_split_that_leaves_no_rows():
    split = made(dl.data.sine, 10)
    with pytest.raises(dl.ArgumentError, match=r"validation \+ test is 1; expects fractions that sum to less than 1"):
        dl.data.from_split(split, validation=0.5, test=0.5)
    with pytest.raises(dl.DataError, match="leave 0 of 10 rows for test"):
        dl.data.from_split(split, test=0.01)


@pytest.mark.parametrize(
    ("purpose", "widths"), [("denoising", (16, 16)), ("colorization", (16, 48)), ("compression", (48, 48))]
)
def test_photo_patches(purpose, widths):
    data = dl.data.photo_patches(purpose, size=4, num_patches=200)
    assert [len(getattr(data, split).inputs) for split in data.splits] == [140, 20, 40]
    assert (data.train.inputs.shape[1], data.train.targets.shape[1]) == widths
    assert 0 <= data.train.targets.min() < 0.2 < 0.8 < data.train.targets.max() <= 1
    if purpose == "denoising":
        assert abs(np.std(data.train.inputs - data.train.targets) - 0.1) < 0.01
    if purpose == "colorization":
        gray = data.train.targets.reshape(-1, 4, 4, 3) @ np.asarray([0.299, 0.587, 0.114])
        np.testing.assert_allclose(data.train.inputs, gray.reshape(-1, 16), atol=1e-5)
    if purpose == "compression":
        np.testing.assert_array_equal(data.train.inputs, data.train.targets)


def test_photo_patches_that_cannot_be():
    with pytest.raises(dl.ArgumentError, match=r"purpose is 'denoise'; expects one of .*Did you mean 'denoising'\?"):
        dl.data.photo_patches("denoise")  # pyright: ignore[reportArgumentType]
    with pytest.raises(dl.ArgumentError, match=r"the validation strip of the photographs is 4[23] pixels high"):
        dl.data.photo_patches("denoising", size=50)
