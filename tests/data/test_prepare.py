"""What happens to a batch inside the step: casts, augmentation, encodings; vocabularies, masks, printing, plots."""

import itertools
import unicodedata
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from data_support import image_members, private_cache, write, zip_bytes  # noqa: F401
from hypothesis import given, settings
from hypothesis import strategies as st

import dlcore as dl

KEY = jax.random.key(0)
IMAGES = jnp.asarray(np.random.default_rng(0).integers(1, 256, (40, 6, 5, 3), np.uint8))


@pytest.fixture(autouse=True)
def no_rank_promotion():
    with jax.numpy_rank_promotion("raise"):
        yield


@pytest.mark.parametrize("function", [dl.data.flip, partial(dl.data.crop, padding=2), dl.data.shift])
@pytest.mark.parametrize("gray", [False, True])
def test_augmentation_is_a_pure_function_of_its_key(function, gray):
    images = IMAGES[..., 0] if gray else IMAGES
    first, again, other = (jax.jit(function)(key, images) for key in (KEY, KEY, jax.random.key(1)))
    assert (first.shape, first.dtype) == (images.shape, images.dtype)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    one_by_one = jax.vmap(lambda key: function(key, images))(jnp.stack([KEY, jax.random.key(1)]))
    np.testing.assert_array_equal(one_by_one, jnp.stack([first, other]))


def test_flip_mirrors_about_half():
    flipped = np.asarray(dl.data.flip(KEY, IMAGES))
    mirrored = (flipped == np.asarray(IMAGES)[:, :, ::-1]).all((1, 2, 3))
    same = (flipped == np.asarray(IMAGES)).all((1, 2, 3))
    assert (mirrored ^ same).all()
    assert 8 < mirrored.sum() < 32


@pytest.mark.parametrize(
    ("function", "mode"), [(partial(dl.data.crop, padding=2), "reflect"), (dl.data.shift, "constant")]
)
def test_moved_images_are_windows_of_the_framed_ones(function, mode):
    moved, seen = np.asarray(function(KEY, IMAGES)), set()
    framed = np.pad(np.asarray(IMAGES), ((0, 0), (2, 2), (2, 2), (0, 0)), mode=mode)
    for image, frame in zip(moved, framed, strict=True):
        places = [(i, j) for i in range(5) for j in range(5) if (frame[i : i + 6, j : j + 5] == image).all()]
        assert len(places) == 1
        seen |= set(places)
    assert {place[0] for place in seen} == {place[1] for place in seen} == set(range(5))


def test_noise_needs_floats():
    noisy = dl.data.noise(KEY, jnp.zeros((500, 4)), deviation=0.5)
    assert abs(float(noisy.std()) - 0.5) < 0.03
    with pytest.raises(dl.DataError, match=r"noise: images is uint8\[.*\]; expects floats \[B, ...\]; put it after"):
        dl.data.noise(KEY, IMAGES)
    with pytest.raises(dl.DataError, match=r"flip: images is uint8\[40, 90\]; expects .*augment before flatten"):
        dl.data.flip(KEY, dl.data.flatten(IMAGES))


@pytest.mark.parametrize("function", [dl.data.flip, dl.data.crop, dl.data.shift, dl.data.noise])
def test_augmentation_refuses_what_jax_would_hold_as_other_numbers(function):
    big = np.full((1, 2, 2), 1e300) if function is dl.data.noise else np.full((1, 2, 2), 2**40)
    with pytest.raises(dl.DataError, match=r"Some do not fit (int32|float32): rescale them"):
        function(KEY, big)


def test_noise_keeps_the_type_where_its_deviation_is_traced():
    noisy = jax.jit(lambda deviation: dl.data.noise(KEY, jnp.ones((2, 3), jnp.float16), deviation=deviation))(0.5)
    assert noisy.dtype == jnp.float16


def identity():
    return dl.Model(lambda key: ({}, {}), lambda params, state, x, *, key=None, train=False: ((x, key), state))


def test_prepared_runs_its_steps_in_order_and_augments_in_training_only():
    model = dl.data.prepared(identity(), dl.data.in_training(dl.data.flip), dl.data.unit_range, dl.data.flatten)
    (plain, key), _ = model.apply({}, {}, IMAGES)
    np.testing.assert_allclose(plain, np.asarray(IMAGES).reshape(40, -1) / 255, rtol=1e-6)
    assert key is None
    (augmented, key), _ = model.apply({}, {}, IMAGES, key=KEY, train=True)
    expected = dl.data.flip(jax.random.fold_in(KEY, 0), IMAGES)
    np.testing.assert_allclose(augmented, np.asarray(expected).reshape(40, -1) / 255, rtol=1e-6)
    assert key is not None
    assert not np.array_equal(jax.random.key_data(key), jax.random.key_data(KEY))  # dropout draws other numbers
    (evaluated, _), _ = model.apply({}, {}, IMAGES, key=KEY, train=False)
    np.testing.assert_array_equal(evaluated, plain)
    with pytest.raises(dl.ArgumentError, match="augments its inputs in training: pass key="):
        model.apply({}, {}, IMAGES, train=True)


def test_prepared_without_random_steps_leaves_the_models_key_alone():
    (_, key), _ = dl.data.prepared(identity(), dl.data.unit_range).apply({}, {}, IMAGES, key=KEY, train=True)
    assert key is KEY


def test_integer_images_train_and_augmentation_changes_the_run(tmp_path):
    data = dl.data.from_image_folder(write(tmp_path / "a.zip", zip_bytes(image_members()[0])))
    model = dl.models.mlp([20, 2])

    def losses(*augmentation):
        prepared = dl.data.prepared(model, *augmentation, dl.data.unit_range, dl.data.flatten)
        task = dl.tasks.classification(prepared, data)
        return dl.run(
            dl.training(KEY, task, optax.sgd(0.1), batch_size=3, num_steps=6, record_every=1)
        ).batch_loss.values[1:]

    plain, flipped = losses(), losses(dl.data.in_training(dl.data.flip))
    assert np.isfinite(flipped).all()
    assert not np.allclose(plain, flipped)
    np.testing.assert_array_equal(flipped, losses(dl.data.in_training(dl.data.flip)))


def test_unit_range_by_type():
    np.testing.assert_array_equal(dl.data.unit_range(jnp.asarray([0, 65535], jnp.uint16)), [0, 1])
    np.testing.assert_array_equal(dl.data.unit_range(jnp.asarray([0, 2**32 - 1], jnp.uint32)), [0, 1])
    np.testing.assert_array_equal(dl.data.unit_range(jnp.asarray([0.25])), [0.25])
    with pytest.raises(dl.DataError, match=r"unit_range: images is int32\[1\]; expects unsigned integers"):
        dl.data.unit_range(jnp.asarray([1]))


@pytest.mark.parametrize("gray", [False, True])
def test_standardizer_gives_mean_0_deviation_1_per_channel(gray):
    images = np.asarray(IMAGES[..., 0] if gray else IMAGES)
    step = dl.data.standardizer(dl.data.from_arrays(images, np.zeros(40)))
    scaled = np.asarray(jax.jit(step)(images), np.float64)
    np.testing.assert_allclose(scaled.mean((0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(scaled.std((0, 1, 2)), 1, rtol=1e-5)


@pytest.mark.parametrize(("offset", "scale"), [(0, 1e-6), (1e4, 1), (1e5, 3), (0, 1e6), (0, 1e-25)])
def test_standardizer_of_a_large_mean(offset, scale):
    """Catches E[x^2] - E[x]^2, and a mean that is rounded to float32 before it is subtracted."""
    images = np.float32(offset + scale * np.random.default_rng(0).normal(size=(7, 2, 2, 3)))
    found = dl.data.standardizer(dl.data.from_arrays(images, np.zeros(7)))(images)
    exact = np.asarray(images, np.float64)
    np.testing.assert_allclose(found, (exact - exact.mean((0, 1, 2))) / exact.std((0, 1, 2)), atol=1e-5)


def test_standardizer_of_large_integers():
    """Catches images that are rounded to float32 before the mean is subtracted, and a difference that wraps around."""
    whole = np.arange(12).reshape(3, 2, 2)
    for images in (whole * 100 + 2**30, (whole - 6) * 3 * 10**8, np.uint32(whole * 300 + 2**32 - 3600)):
        images = images if images.dtype == np.uint32 else images.astype(np.int32)
        step = dl.data.standardizer(dl.data.Dataset((images, np.zeros(3))))
        np.testing.assert_allclose(jax.jit(step)(images), (whole - 5.5) / whole.std(), rtol=1e-6)


def test_standardizer_of_constant_and_of_other_images():
    """Catches a rounding error scaled up, channels that broadcast, and tables taken for images."""
    images = np.full((5, 2, 3, 3), 0.1, np.float32)
    step = dl.data.standardizer(dl.data.from_arrays(images, np.zeros(5)))
    np.testing.assert_array_equal(step(images), 0)
    for wrong in (images[..., :1], images[..., 0], images.astype(str)):
        with pytest.raises(dl.DataError, match=r"standardizer: images .*; expects"):
            step(wrong)
    with pytest.raises(dl.DataError, match=r"inputs are float32\[5, 2\]; .* For tables use dl.data.standardize"):
        dl.data.standardizer(dl.data.from_arrays(images[:, :, 0, 0], np.zeros(5)))


def test_standardize_makes_floats_of_integers():
    data = dl.data.standardize(dl.data.from_arrays(np.asarray([[1], [3]], np.uint8), np.zeros(2)))
    np.testing.assert_array_equal(data.train.inputs, [[-1], [1]])
    assert data.train.inputs.dtype == np.float32


def test_encodings_of_tokens():
    ids = jnp.asarray([[4, 5, 4, 0], [5, 0, 0, 0], [0, 0, 0, 0]])
    bags = jax.jit(dl.data.bag_of_words(6))(ids)
    np.testing.assert_allclose(bags, [[0, 0, 0, 0, 2 / 3, 1 / 3], [0, 0, 0, 0, 0, 1], [0] * 6], rtol=1e-6)
    np.testing.assert_array_equal(dl.data.one_hot(6)(ids).argmax(-1), ids)


@pytest.mark.parametrize("step", [dl.data.one_hot, dl.data.bag_of_words])
def test_ids_out_of_range(step):
    """Catches a row of zeros, the last token for -1, and 8-bit ids of more tokens than they can tell apart."""
    for ids in (
        [[0, 3]],
        [[-1, 0]],
        np.array([[2**40]]),
        [[0.0, 1.0]],
        [["a"]],
        [[True]],
        np.ma.array([[1]], mask=[[1]]),
    ):
        with pytest.raises(dl.DataError, match=r"ids .*; expects"):
            step(3)(ids)
    found = jax.jit(step(3))(jnp.asarray([[1, -1], [1, 3], [1, 2]]))
    assert np.isnan(found[:2]).any(axis=-1).any(axis=-1).all() if found.ndim == 3 else np.isnan(found[:2]).all()
    assert np.isfinite(found[2]).all()
    assert np.asarray(step(300)(np.uint8([[44]]))).argmax(-1).ravel()[0] == 44


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=5), st.booleans(), st.booleans())
def test_characters_round_trip(texts, start, end):
    vocabulary = dl.data.characters(texts)
    ids = vocabulary.encode_lines(texts, start=start, end=end)
    composed = [unicodedata.normalize("NFC", text) for text in texts]
    assert [vocabulary.decode(row) for row in ids] == composed
    np.testing.assert_array_equal(dl.data.mask(ids).sum(1), [len(text) + start + end for text in composed])


def test_words_by_frequency_and_unknown_ones():
    vocabulary = dl.data.words(["The cat, the dog", "don't"], max_size=7)
    assert vocabulary.tokens[4:] == ("the", ",", "cat")
    assert vocabulary.decode(vocabulary.encode("The dog, the CAT")) == "the <unknown> , the cat"
    assert dl.data.words("a a b", min_count=2).tokens[4:] == ("a",)
    assert "don't" in dl.data.words(["don't"]).tokens
    with pytest.raises(dl.DataError, match="no word is frequent enough for the vocabulary"):
        dl.data.words("a b", min_count=2)
    with pytest.raises(dl.ArgumentError, match="max_size is 4; expects an integer, 5 or more"):
        dl.data.words("a b", max_size=4)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda v: v.decode([4, 99]), dl.DataError, "decode: ids go from 4 to 99; expects those of 6 characters"),
        (lambda v: v.decode([-1]), dl.DataError, "decode: ids go from -1 to -1"),
        (lambda v: v.decode([0.5]), dl.DataError, "decode: ids is .*; expects token ids"),
        (lambda v: v.encode(3), dl.ArgumentError, "encode: text is 3; expects a string"),
        (
            lambda v: v.encode_lines("abc"),
            dl.ArgumentError,
            "encode_lines: lines is 'abc'; expects a sequence of strings",
        ),
        (lambda v: dl.data.Vocabulary("abcdef", "word"), dl.ArgumentError, "Vocabulary: tokens is 'abcdef'; expects"),
        (lambda v: dl.data.Vocabulary(tuple("abcd"), "word"), dl.ArgumentError, "Vocabulary: tokens begin with"),
        (
            lambda v: dl.data.Vocabulary(v.tokens, "line"),
            dl.ArgumentError,
            "Vocabulary: unit is 'line'; expects one of",
        ),
    ],
)
def test_vocabulary_refuses_what_is_no_text_and_no_id(call, error, message):
    with pytest.raises(error, match=message):
        call(dl.data.characters("ab"))


def test_pad_cuts_and_fills():
    np.testing.assert_array_equal(dl.data.pad([[1, 2, 3], [4]]), [[1, 2, 3], [4, 0, 0]])
    np.testing.assert_array_equal(dl.data.pad([[1, 2, 3], [4]], length=2, value=9), [[1, 2], [4, 9]])
    with pytest.raises(dl.ArgumentError, match="length is 0; expects an integer from 1 to"):
        dl.data.pad([[1]], length=0)


def test_repr_says_what_it_is():
    text = repr(dl.data.iris())
    assert (
        "Dataset iris: train 120, test 30; inputs float32[N, 4], targets int32[N]; from scikit-learn load_iris" in text
    )
    assert "3 classes (rows in train): setosa 40, versicolor 40, virginica 40" in text
    assert "normalization: inputs standardized per column on train" in text
    assert "targets from -" in repr(dl.data.diabetes())
    flags = dl.data.from_arrays(np.zeros((4, 1)), np.eye(4, dtype=bool))
    assert "targets from 0 to 1 (train)" in repr(flags)
    large = dl.data.from_arrays(np.zeros((3, 1)), [0, 7, 2_000_000_000])
    assert "3 classes (rows in train): class 0 1, class 7 1, class 2000000000 1" in repr(large)
    many = dl.data.from_arrays(
        np.zeros((50, 1)), np.minimum(np.arange(50) // 2, 23), target_names=tuple(f"n{i}" for i in range(24))
    )
    assert "24 classes (rows in train): from 2 (n0) to 4 (n23)" in repr(many)


def two_columns_of_iris():
    split = dl.data.iris().train
    return dl.data.from_arrays(split.inputs[:, :2], split.targets, target_names=dl.data.iris().target_names)


def made(function, num_examples, **options):
    split = jax.jit(partial(function, num_examples=num_examples, **options))(KEY)
    return dl.data.Dataset(dl.data.Split(*split))


LONG = ("a name that is far too long for its place",)
DRAWINGS = {
    "image": (dl.data.digits, 12),
    "image with boxes": (lambda: made(dl.data.scattered_digits, 6), 6),
    "image of long names": (
        lambda: dl.data.from_arrays(np.asarray(IMAGES), np.zeros(40, int), target_names=LONG),
        12,
    ),
    "text": (lambda: dl.data.next_token("To be, or $not$ to be: that is the question. " * 40, length=60), 8),
    "points": (two_columns_of_iris, 1),
    "function": (lambda: made(dl.data.sine, 50), 1),
    "strokes": (lambda: dl.data.from_arrays(np.random.default_rng(0).normal(size=(9, 6, 2)), np.arange(9)), 9),
    "series": (lambda: made(dl.data.adding_problem, 9, length=25), 9),
    "table": (dl.data.wine, 12),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_plot_has_no_overlapping_labels(name, monkeypatch):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    make, num_rows = DRAWINGS[name]
    figure = make().plot(num_rows=num_rows)
    canvas, written, draw = FigureCanvasAgg(figure), [], Text.draw
    canvas.draw()  # lays everything out
    monkeypatch.setattr(Text, "draw", lambda text, renderer: (written.append(text), draw(text, renderer))[1])
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())
    assert len(np.unique(pixels)) > 5  # something is drawn
    boxes = {text: text.get_window_extent() for text in written if text.get_visible() and text.get_text().strip()}
    assert len(boxes) > 1
    for box in boxes.values():
        assert box.x0 > -2
        assert box.x1 < pixels.shape[1] + 2
    if name != "image with boxes":  # those labels stand where the digits are
        for (one, box), (other, place) in itertools.combinations(boxes.items(), 2):
            assert not box.shrunk(0.98, 0.98).overlaps(place), (one.get_text(), other.get_text())


def test_plot_that_cannot_be():
    with pytest.raises(dl.ArgumentError, match=r"split is 'tset'; did you mean 'test'\?"):
        dl.data.wine().plot("tset")
    with pytest.raises(dl.ArgumentError, match=r"kind is 'images'; expects one of .* Did you mean 'image'\?"):
        dl.data.wine().plot(kind="images")
    with pytest.raises(
        dl.ArgumentError,
        match=r"inputs are float32\[N, 13\]; they cannot be drawn as image. Leave kind out for 'table'",
    ):
        dl.data.wine().plot(kind="image")
