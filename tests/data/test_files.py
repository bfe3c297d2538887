"""Files in the formats users have give the arrays that were written."""
# pyright: reportOptionalMemberAccess=false

import gzip
import zipfile

import jax
import numpy as np
import pandas as pd
import pytest
from data_support import idx_bytes, image_members, pictures, png, private_cache, tar_bytes, write, zip_bytes  # noqa: F401

import dlcore as dl
from dlcore.data.read import cache, image_files


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "float32", "float64"])
@pytest.mark.parametrize("packed", [False, True])
def test_idx_round_trip(tmp_path, dtype, packed):
    array = np.arange(-12, 12).reshape(4, 3, 2).astype(dtype)
    read = dl.data.read_idx(write(tmp_path / "a", idx_bytes(array), packed=packed))
    np.testing.assert_array_equal(read, array)
    assert read.dtype == array.dtype


def test_from_idx_keeps_integers_and_its_own_test_split(tmp_path):
    arrays = {"train": pictures(6), "test": pictures(2, seed=1)}
    files = {}
    for split, array in arrays.items():
        files[split] = (
            write(tmp_path / f"{split}-images", idx_bytes(np.stack(array))),
            write(tmp_path / f"{split}-labels.gz", idx_bytes(np.arange(len(array)).astype("uint8") % 2), packed=True),
        )
    data = dl.data.from_idx(*files["train"], test_images=files["test"][0], test_labels=files["test"][1])
    np.testing.assert_array_equal(data.train.inputs, arrays["train"])
    np.testing.assert_array_equal(data.test.inputs, arrays["test"])
    assert data.train.inputs.dtype == np.uint8
    assert data.target_names == ("0", "1")


@pytest.mark.parametrize("where", ["zip", "folder", "wrapped zip"])
@pytest.mark.parametrize("shape", [(5, 4), (5, 4, 3)])
def test_image_folder(tmp_path, where, shape):
    members, expected = image_members(shape)
    members["README.txt"] = b"not an image, not in a class"
    members["__MACOSX/cat/1.png"] = b"litter"
    members["cat/.DS_Store"] = b"litter"
    if where == "folder":
        for name, content in members.items():
            write(tmp_path / "pets" / name, content)
        path = tmp_path / "pets"
    else:
        prefix = "pets/" if where == "wrapped zip" else ""
        path = write(tmp_path / "pets.zip", zip_bytes({prefix + name: content for name, content in members.items()}))
    data = dl.data.from_image_folder(path)
    np.testing.assert_array_equal(data.train.inputs, expected)  # 2 before 10
    np.testing.assert_array_equal(data.train.targets, [0, 0, 0, 1, 1, 1])
    assert (data.name, data.target_names, data.splits) == ("pets", ("cat", "dog"), ("train",))


def test_image_folder_with_splits_of_its_own(tmp_path):
    members, expected = image_members()
    files = {f"{folder}/{name}": content for folder in ("training", "Val", "test") for name, content in members.items()}
    data = dl.data.from_image_folder(write(tmp_path / "a.zip", zip_bytes(files)))
    assert data.splits == ("train", "validation", "test")
    np.testing.assert_array_equal(data.validation.inputs, expected)
    with pytest.raises(dl.DataError, match="comes with a test split, and test is 0"):
        dl.data.from_image_folder(tmp_path / "a.zip", test=0.5)


def test_images_of_other_kinds_are_converted_and_resized(tmp_path):
    color = np.full((6, 8, 3), (200, 0, 0), np.uint8)
    files = {"a/1.jpg": png(color, "JPEG"), "a/2.pgm": png(color[:, :, 0], "PPM"), "b/3.png": png(color)}
    path = write(tmp_path / "a.zip", zip_bytes(files))
    data = dl.data.from_image_folder(path, size=(3, 4), color="rgb")
    assert data.train.inputs.shape == (3, 3, 4, 3)
    assert abs(data.train.inputs[0].astype(int) - (200, 0, 0)).max() < 4  # JPEG loses a little
    np.testing.assert_array_equal(data.train.inputs[2], color[:3, :4])
    assert dl.data.from_image_folder(path, size=(3, 4), color="gray").train.inputs.shape == (3, 3, 4)


def test_names_are_in_order_of_their_numbers():
    names = ["s10", "s2", "s\u00b2", "s", "s2b", "s02"]
    expected = ["s", "s02", "s2", "s2b", "s10", "s\u00b2"]
    for given in (names, names[::-1]):
        assert sorted(given, key=image_files.natural) == expected


def test_second_load_decodes_nothing_until_a_file_changes(tmp_path, monkeypatch):
    members, expected = image_members()
    path = write(tmp_path / "a.zip", zip_bytes(members))
    decoded = []
    real = image_files.decode_image

    def counted(data, where, *arguments):
        decoded.extend([where] * where.startswith(str(path)))  # iterators of other tests may still read ahead
        return real(data, where, *arguments)

    monkeypatch.setattr(image_files, "decode_image", counted)

    def load(**options):
        decoded.clear()
        return dl.data.from_image_folder(path, **options), len(decoded)

    first, count = load()
    assert count >= 6
    second, count = load()
    assert count == 0
    np.testing.assert_array_equal(second.train.inputs, expected)
    assert (second.target_names, repr(second)) == (first.target_names, repr(first))
    assert load(color="rgb")[1] >= 6  # other options are another entry
    assert load(cache=False)[1] >= 6
    with pytest.raises(dl.DataError, match="max_bytes=10"):
        load(max_bytes=10)
    members["cat/1.png"] = png(255 - expected[0])
    write(path, zip_bytes(members))
    third, count = load()
    assert count >= 6
    np.testing.assert_array_equal(third.train.inputs[0], 255 - expected[0])


def test_a_kept_cifar_archive_obeys_max_bytes(tmp_path):
    path = write(tmp_path / "cifar.tar", tar_bytes({"c/data_batch_1.bin": bytes(3073)}, "w"))
    assert dl.data.from_cifar(path).train.num_rows == 1
    with pytest.raises(dl.DataError, match="max_bytes=10"):
        dl.data.from_cifar(path, max_bytes=10)


def test_damaged_cache_entry_is_decoded_again(tmp_path):
    members, expected = image_members()
    path = write(tmp_path / "a.zip", zip_bytes(members))
    dl.data.from_image_folder(path)
    (entry,) = (cache.cache_folder() / "decoded").iterdir()  # and no .part file beside it
    content = bytearray(entry.read_bytes())
    content[len(content) // 2] ^= 255
    entry.write_bytes(content)
    np.testing.assert_array_equal(dl.data.from_image_folder(path).train.inputs, expected)


@pytest.mark.parametrize("where", ["tar.gz", "tar", "folder"])
def test_cifar_binary(tmp_path, where):
    rows = {name: np.random.default_rng(i).integers(0, 256, (4, 3073), np.uint8)
            for i, name in enumerate(("data_batch_1.bin", "data_batch_2.bin", "test_batch.bin"))}  # fmt: skip
    for array in rows.values():
        array[:, 0] = [0, 1, 2, 1]
    files = {name: array.tobytes() for name, array in rows.items()} | {"batches.meta.txt": b"cat\ndog\nfrog\n\n"}
    if where == "folder":
        for name, content in files.items():
            write(tmp_path / "c" / name, content)
        path = tmp_path / "c"
    else:
        mode = "w:gz" if where == "tar.gz" else "w"
        path = write(tmp_path / f"c.{where}", tar_bytes({f"c/{name}": data for name, data in files.items()}, mode))
    data = dl.data.from_cifar(path)
    assert data.train.inputs.shape == (8, 32, 32, 3)
    assert data.target_names == ("cat", "dog", "frog")
    np.testing.assert_array_equal(data.train.targets, [0, 1, 2, 1] * 2)
    # Pixel (row 2, column 5) of channel 1 is byte 1 + 1024 + 2 * 32 + 5 of the record.
    assert data.test.inputs[3, 2, 5, 1] == rows["test_batch.bin"][3, 1 + 1024 + 2 * 32 + 5]
    np.testing.assert_array_equal(dl.data.from_cifar(path).train.inputs, data.train.inputs)


def test_csv_with_classes_and_numbers(tmp_path):
    text = "age, city,height,kind\n30,Rome,1.5,b\n40,Oslo,1.25,a\n50,Rome,2,b\n"
    path = write(tmp_path / "people.csv.gz", text, packed=True)
    data = dl.data.from_csv(path, "kind", one_hot=["city"], stratify=False)
    np.testing.assert_array_equal(data.train.inputs, [[30, 1.5, 0, 1], [40, 1.25, 1, 0], [50, 2, 0, 1]])
    np.testing.assert_array_equal(data.train.targets, [1, 0, 1])
    assert data.target_names == ("a", "b")
    numbers = dl.data.from_csv(path, "height", drop=["city", "kind"])
    np.testing.assert_array_equal(numbers.train.targets, np.asarray([1.5, 1.25, 2], np.float32))
    both = dl.data.from_csv(path, ["age", "height"], drop=["city"], one_hot=["kind"])
    np.testing.assert_array_equal(both.train.targets, [[30, 1.5], [40, 1.25], [50, 2]])
    assert dl.data.from_csv(path, "age", drop=["city", "kind"], target_kind="number").train.targets.dtype == np.float32


def test_csv_without_header_split_by_group(tmp_path):
    path = write(tmp_path / "a.tsv", "".join(f"{i}\t{i % 7}\t{i % 2}\n" for i in range(70)))
    data = dl.data.from_csv(path, -1, header=False, separator="\t", groups="1", test=0.3, validation=0.15)
    assert data.train.inputs.shape[1] == 1
    groups = [set((getattr(data, split).inputs[:, 0] % 7).tolist()) for split in data.splits]
    assert [len(part) for part in groups] == [4, 1, 2]
    assert set.union(*groups) == set(range(7))


def test_parquet_gives_what_the_frame_gives(tmp_path):
    frame = pd.DataFrame({"x": [1.5, 2.5, 3.5], "y": [1, 2, 3], "kind": ["b", "a", "b"]})
    frame.to_parquet(tmp_path / "a.parquet")
    data = dl.data.from_parquet(tmp_path / "a.parquet", "kind", stratify=False)
    np.testing.assert_array_equal(data.train.inputs, [[1.5, 1], [2.5, 2], [3.5, 3]])
    np.testing.assert_array_equal(data.train.targets, [1, 0, 1])


def test_columns_that_pandas_wrote_as_index_are_columns(tmp_path):
    """Catches a column that is in the file and silently no input."""
    frame = pd.DataFrame({"age": [5, 6], "weight": [1, 2], "kind": ["a", "b"]})
    frame.set_index("age").to_parquet(tmp_path / "a.parquet")
    data = dl.data.from_parquet(tmp_path / "a.parquet", "kind", stratify=False)
    np.testing.assert_array_equal(data.train.inputs, [[5, 1], [6, 2]])


@pytest.mark.parametrize("names", [("inputs", "targets"), ("x_train", "y_train"), ("X", "y")])
def test_npz(tmp_path, names):
    arrays = {
        names[0]: np.arange(8.0).reshape(4, 2),
        names[1]: np.asarray([[0], [1], [0], [1]]),
        "x_test": np.ones((1, 2)),
    }
    np.savez_compressed(tmp_path / "a.npz", **arrays, y_test=np.asarray([[1]]))
    data = dl.data.from_npz(tmp_path / "a.npz")
    np.testing.assert_array_equal(data.train.inputs, arrays[names[0]])
    np.testing.assert_array_equal(data.train.targets, [0, 1, 0, 1])
    assert data.splits == ("train", "test")


def test_npz_by_name(tmp_path):
    np.savez(tmp_path / "a.npz", pixels=np.ones((4, 2)), kind=np.zeros(4, int))
    data = dl.data.from_npz(tmp_path / "a.npz", {"train": ("pixels", "kind")}, test=0.5)
    assert (data.train.inputs.shape, data.test.targets.shape) == ((2, 2), (2,))


def test_pen_strokes(tmp_path):
    path = write(tmp_path / "pen.txt", "0,100, 50,50, 3\n100,0, 25,75, 7\n")
    data = dl.data.from_pen_strokes(path)
    np.testing.assert_array_equal(data.train.inputs, [[[-1, 1], [0, 0]], [[1, -1], [-0.5, 0.5]]])
    assert data.target_names == ("3", "7")


def test_text_predicts_the_next_character_in_disjoint_parts(tmp_path):
    text = "".join(chr(97 + i % 26) for i in range(200))
    data = dl.data.from_text(write(tmp_path / "a.txt", text), length=10, stride=5, validation=0.2, test=0.1)
    vocabulary = data.input_vocabulary
    assert vocabulary.decode(data.train.inputs[1]) == text[5:15]
    assert vocabulary.decode(data.train.targets[1]) == text[6:16]
    assert vocabulary.decode(data.validation.inputs[0]) == text[140:150]
    assert vocabulary.decode(data.test.inputs[0]) == text[180:190]
    last = dl.data.from_text(tmp_path / "a.txt", length=10, predict="last")
    assert vocabulary.decode(last.train.targets[:1]) == text[10]


def test_few_rows_of_a_class_are_split_at_will(tmp_path):
    files = {"bad": write(tmp_path / "bad", "a bore\n"), "good": write(tmp_path / "good", "a joy\ngreat\nfine\n")}
    pen = write(tmp_path / "pen", "0,100,50,0,7\n100,0,0,50,1\n3,4,5,6,7\n")
    for read in (
        lambda **how: dl.data.from_text_classes(files, **how),
        lambda **how: dl.data.from_pen_strokes(pen, **how),
    ):
        assert set(read(test=0.3).train.targets) == {0, 1}
        with pytest.raises(dl.DataError, match=r"train has no row of class.*Pass stratify=True"):
            read(test=0.5, stratify=False, seed=4)


def test_text_classes(tmp_path):
    good, bad = write(tmp_path / "good", "Very good !\nso good\n"), write(tmp_path / "bad", "bad\nvery bad\n")
    data = dl.data.from_text_classes({"bad": bad, "good": good})
    assert [data.input_vocabulary.decode(row) for row in data.train.inputs] == [
        "bad",
        "very bad",
        "very good !",
        "so good",
    ]
    np.testing.assert_array_equal(data.train.targets, [0, 0, 1, 1])
    assert data.target_names == ("bad", "good")


def test_aligned_text(tmp_path):
    english = write(tmp_path / "en.gz", "a dog\r\ntwo black cats\n", packed=True)
    french = write(tmp_path / "fr", "un chien\ndeux chats noirs\u2028et blancs\n")  # U+2028 ends no line
    data = dl.data.from_aligned_text((english, french), test=(english, french), length=6)
    assert data.train.inputs.shape == data.test.targets.shape == (2, 6)
    assert data.input_vocabulary.decode(data.train.inputs[1]) == "two black cats"
    np.testing.assert_array_equal(dl.data.mask(data.train.targets).sum(1), [4, 6])
    assert data.target_vocabulary.decode(data.train.targets[0]) == "un chien"
    assert data.train.targets[1, 0] == 2  # <start>
    assert data.train.targets[1, -1] == 3  # cut, yet ended


def test_english_needs_no_file():
    data = dl.data.english(length=16)
    assert data.splits == ("train", "validation", "test")
    assert "statement" in data.input_vocabulary.decode(data.train.inputs[:20].reshape(-1))


def test_integer_images_stay_integers_on_the_device(tmp_path):
    path = write(tmp_path / "a.zip", zip_bytes(image_members()[0], zipfile.ZIP_STORED))
    assert jax.device_put(dl.data.from_image_folder(path).train.inputs).dtype == np.uint8


def test_gzip_is_told_by_its_content_not_its_name(tmp_path):
    write(tmp_path / "a.txt", gzip.compress(b"hello\n"))
    assert dl.data.read_text(tmp_path / "a.txt") == "hello\n"
