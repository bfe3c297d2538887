"""What is wrong with a file is said in words: got, expected, fix."""
# pyright: reportOptionalMemberAccess=false

import gzip
import io
import os
import pickle
import stat
import struct
import sys
import tarfile
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from data_support import idx_bytes, image_members, png, private_cache, tar_bytes, write, zip_bytes  # noqa: F401

import dlcore as dl
from dlcore.data.read import archives, decoding

IMAGES = np.zeros((3, 2, 2), np.uint8)


def raises(text: str):
    return pytest.raises(dl.DataError, match=text)


def test_missing_file_lists_near_names(tmp_path):
    write(tmp_path / "train-images.gz", b"x")
    with raises(r"there is no .*train-image.gz; did you mean 'train-images.gz'\?"):
        dl.data.read_idx(tmp_path / "train-image.gz")
    with raises("the folder .*nowhere is missing or empty"):
        dl.data.read_text(tmp_path / "nowhere" / "a.txt")


def test_folder_in_place_of_a_file(tmp_path):
    for load in (dl.data.read_idx, dl.data.read_text, dl.data.from_npz, lambda path: dl.data.from_parquet(path, "y")):
        with raises("is a folder; expects a file"):
            load(tmp_path)


def test_truncated_gzip(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (50, 40, 40), np.uint8)
    path = write(tmp_path / "a.gz", gzip.compress(idx_bytes(noise))[:-3000])
    with raises("a.gz is a truncated gzip file: .* Copy or download it again"):
        dl.data.read_idx(path)


def test_damaged_gzip(tmp_path):
    content = bytearray(gzip.compress(b"some text that is long enough" * 9))
    content[-6] ^= 1
    with raises("a.gz is damaged: CRC check failed"):
        dl.data.read_text(write(tmp_path / "a.gz", bytes(content)))


def test_wrong_magic_number(tmp_path):
    with raises("starts with the bytes 89 50 4e 47; an IDX file starts with 00 00, a type"):
        dl.data.read_idx(write(tmp_path / "a", png(IMAGES[0])))
    with raises(r"starts with the bytes \(none\)"):
        dl.data.read_idx(write(tmp_path / "b", b""))


def test_idx_of_another_length_than_its_header_says(tmp_path):
    content = idx_bytes(IMAGES)
    with raises(r"says it holds \[3, 2, 2\], 12 bytes of values, and has only 11"):
        dl.data.read_idx(write(tmp_path / "a", content[:-1]))
    with raises(r"says it holds \[3, 2, 2\], 12 bytes of values, and has more"):
        dl.data.read_idx(write(tmp_path / "b", content + b"x"))
    with raises("ends inside its header"):
        dl.data.read_idx(write(tmp_path / "c", content[:10]))
    huge = struct.pack(">BBBBIII", 0, 0, 8, 3, 1 << 31, 1 << 10, 1 << 10)
    with raises("says it holds .* expects at most max_bytes="):
        dl.data.read_idx(write(tmp_path / "d", huge))


def test_different_numbers_of_images_and_labels(tmp_path):
    pictures, labels = write(tmp_path / "i", idx_bytes(IMAGES)), write(tmp_path / "l", idx_bytes(np.zeros(2, np.uint8)))
    with raises("i holds 3 images, .*l 2 labels; expects one label an image"):
        dl.data.from_idx(pictures, labels)
    with raises(r"holds uint8\[3, 2, 2\]; expects class labels.*right order"):
        dl.data.from_idx(labels, pictures)
    with raises("holds label 2000000000; expects class numbers up to"):
        dl.data.from_idx(pictures, write(tmp_path / "w", idx_bytes(np.asarray([0, 1, 2_000_000_000], np.int32))))
    with raises("test_images and test_labels go together"):
        dl.data.from_idx(pictures, labels, test_images=pictures)


def test_image_of_another_size_or_color_is_named(tmp_path):
    members, _ = image_members()
    wrong = members | {"dog/2.png": png(np.zeros((5, 7), np.uint8))}
    with raises("dog/2.png is 5 x 7 gray, cat/1.png is 5 x 4 gray; expects one size and color. Pass size="):
        dl.data.from_image_folder(write(tmp_path / "a.zip", zip_bytes(wrong)))
    wrong = members | {"dog/2.png": png(np.zeros((5, 4, 3), np.uint8))}
    with raises("dog/2.png is 5 x 4 color, cat/1.png is 5 x 4 gray; .* color='rgb'"):
        dl.data.from_image_folder(write(tmp_path / "b.zip", zip_bytes(wrong)))


def test_unreadable_image_is_named(tmp_path):
    members, _ = image_members()
    with raises("dog/2.png cannot be decoded: no image of a known format. Remove or replace it"):
        dl.data.from_image_folder(write(tmp_path / "a.zip", zip_bytes(members | {"dog/2.png": b"no image"})))
    with raises("dog/2.png cannot be decoded"):
        dl.data.from_image_folder(
            write(tmp_path / "b.zip", zip_bytes(members | {"dog/2.png": members["dog/2.png"][:-30]}))
        )


def test_image_of_16_bits_or_of_too_many_pixels(tmp_path, monkeypatch):
    deep = write(tmp_path / "deep.zip", zip_bytes({"a/1.png": png(np.zeros((4, 4), np.uint16))}))
    with raises("a/1.png has values up to 65535; expects 8 bits a channel"):
        dl.data.from_image_folder(deep)
    monkeypatch.setattr(decoding, "MAX_PIXELS", 15)
    with raises("cat/1.png is 4 x 5; expects at most 15 pixels"):
        dl.data.from_image_folder(write(tmp_path / "a.zip", zip_bytes(image_members()[0])))


def test_vector_graphics_are_not_opened(tmp_path):
    # Pillow would hand PostScript to another program.
    with raises("a/1.eps cannot be decoded: no image of a known format"):
        dl.data.from_image_folder(
            write(tmp_path / "a.zip", zip_bytes({"a/1.eps": png(np.zeros((4, 4, 3), np.uint8), "EPS")}))
        )


def test_image_folder_without_classes(tmp_path):
    with raises("has no images in folders; expects one folder a class"):
        dl.data.from_image_folder(write(tmp_path / "a.zip", zip_bytes({"1.png": png(IMAGES[0])})))
    with raises("the image stray.png lies in no class folder; expects e.g. cat/1.png"):
        dl.data.from_image_folder(write(tmp_path / "b.zip", zip_bytes(image_members()[0] | {"stray.png": b""})))
    write(tmp_path / "c" / "cat" / "1.png", png(IMAGES[0]))
    (tmp_path / "c" / "dog").mkdir()
    with raises("the folder dog is empty; expects images of that class"):
        dl.data.from_image_folder(tmp_path / "c")
    with raises("has no train split, only test"):
        dl.data.from_image_folder(write(tmp_path / "d.zip", zip_bytes({"test/cat/1.png": png(IMAGES[0])})))


def test_image_folder_that_does_not_fit_in_memory(tmp_path):
    path = write(tmp_path / "a.zip", zip_bytes({f"a/{i}.png": png(np.zeros((90, 90), np.uint8)) for i in range(9)}))
    with raises("9 images of 8100 bytes need more memory than max_bytes=50000. Pass a smaller size"):
        dl.data.from_image_folder(path, max_bytes=50_000)


@pytest.mark.parametrize("name", ["../cat/1.png", "cat/../../1.png", "/cat/1.png", "C:/cat/1.png", "cat\\..\\1.png"])
def test_archive_members_outside_are_refused(tmp_path, name):
    with raises("points outside the archive; refused"):
        dl.data.from_image_folder(write(tmp_path / "a.zip", zip_bytes({name: png(IMAGES[0])})))
    with raises("points outside the archive; refused"):
        dl.data.from_cifar(write(tmp_path / "a.tar", tar_bytes({name: b""}, "w")))


def test_links_in_archives_are_refused(tmp_path):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        link = zipfile.ZipInfo("cat/1.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    with raises("member 'cat/1.png' is a link; expects files"):
        dl.data.from_image_folder(write(tmp_path / "a.zip", stream.getvalue()))
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE):
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as archive:
            link = tarfile.TarInfo("data_batch_1.bin")
            link.type, link.linkname = kind, "/etc/passwd"
            archive.addfile(link)
        with raises("member 'data_batch_1.bin' is a link or device"):
            dl.data.from_cifar(write(tmp_path / "a.tar", stream.getvalue()))


def test_encrypted_archive(tmp_path):
    content = bytearray(zip_bytes({"cat/1.png": png(IMAGES[0])}))
    content[content.index(b"PK\1\2") + 8] |= 1
    with raises("member 'cat/1.png' is encrypted; pack it without a password"):
        dl.data.from_image_folder(write(tmp_path / "a.zip", bytes(content)))


def test_zip_bomb_by_declared_size(tmp_path):
    bomb = write(tmp_path / "a.zip", zip_bytes({"a/1.png": bytes(2_000_000)}))
    with raises("its members declare 2000000 bytes; expects at most max_bytes=1000000"):
        dl.data.from_image_folder(bomb, max_bytes=1_000_000)
    content = bytearray(zip_bytes({"a/1.png": png(IMAGES[0])}))
    struct.pack_into("<I", content, content.index(b"PK\1\2") + 24, 3_000_000_000)
    with raises("cannot unpack to the 3000000000 that its members declare .* a zip bomb"):
        dl.data.from_image_folder(write(tmp_path / "b.zip", bytes(content)))


def test_zip_bomb_by_actual_size(tmp_path):
    content = bytearray(zip_bytes({"a/1.png": bytes(5_000_000)}))
    for position in (content.index(b"PK\3\4") + 22, content.index(b"PK\1\2") + 24):
        struct.pack_into("<I", content, position, 100)
    with raises("member 'a/1.png' is damaged or not of the 100 bytes it declares"):
        dl.data.from_image_folder(write(tmp_path / "a.zip", bytes(content)))


def test_gzip_and_tar_bombs_by_actual_size(tmp_path):
    with raises("holds more than max_bytes=1000 bytes when unpacked; raise it"):
        dl.data.read_text(write(tmp_path / "a.gz", "a" * 2000, packed=True), max_bytes=1000)
    path = write(tmp_path / "b.tar.gz", tar_bytes({f"{i}": bytes(20_000) for i in range(9)}))
    with raises("the archive unpacks to more; expects at most max_bytes=50000"):
        list(archives.tar_members(path, max_bytes=50_000))
    with raises("member '0' declares 20000 bytes; expects at most max_bytes=15000"):
        list(archives.tar_members(path, max_bytes=15_000))


def test_no_archive(tmp_path):
    with raises("no readable zip file: File is not a zip file"):
        dl.data.from_image_folder(write(tmp_path / "a.zip", b"nothing"))
    with raises("no readable tar file"):
        dl.data.from_cifar(write(tmp_path / "a.tar.gz", b"nothing"))
    with raises("truncated|no readable tar file"):
        dl.data.from_cifar(write(tmp_path / "b.tar.gz", tar_bytes({"a.bin": bytes(range(256)) * 9})[:-40]))


def test_damage_that_hides_members(tmp_path):
    content = bytearray(zip_bytes(image_members()[0]))
    second = content.index(b"PK\1\2", content.index(b"PK\1\2") + 1)
    struct.pack_into("<H", content, second + 32, 56)  # the length of its comment, which swallows the third
    with raises("lists 5 members and says it has 6"):
        dl.data.from_image_folder(write(tmp_path / "a.zip", bytes(content)))
    record = bytes([1]) + bytes(3072)
    batches = {"data_batch_1.bin": record, "data_batch_2.bin": record}
    content = bytearray(tar_bytes(batches, "w"))
    content[content.index(b"data_batch_2")] ^= 1  # its header's checksum is wrong, which tarfile takes for the end
    with raises("is damaged: there is data after its end"):
        dl.data.from_cifar(write(tmp_path / "b.tar", bytes(content)))
    content = bytearray(tar_bytes(batches))
    content[-6] ^= 1
    with raises("no readable tar file: CRC check failed"):
        dl.data.from_cifar(write(tmp_path / "c.tar.gz", bytes(content)))


def test_cifar_that_is_not_whole_records(tmp_path):
    with raises("data_batch_1.bin has 3075 bytes; expects whole records of 3073 .* Copy it again"):
        dl.data.from_cifar(write(tmp_path / "a.tar.gz", tar_bytes({"c/data_batch_1.bin": bytes(3075)})))
    with raises("a.tar.gz is no readable tar file: .* looks like a zip archive"):
        dl.data.from_cifar(write(tmp_path / "a.tar.gz", zip_bytes({"a": b"b" * 2000})))
    with raises("data_batch_1.bin has 6148 bytes; .* Pass label_bytes=2"):
        dl.data.from_cifar(write(tmp_path / "a.tar.gz", tar_bytes({"c/data_batch_1.bin": bytes(2 * 3074)})))
    with raises("has no training batches; expects data_batch_1.bin"):
        dl.data.from_cifar(write(tmp_path / "b.tar.gz", tar_bytes({"c/data_batch_1": pickle.dumps({})})))
    record = bytes([7]) + bytes(3072)
    with raises("holds label 7; expects labels below 2"):
        dl.data.from_cifar(
            write(tmp_path / "c.tar.gz", tar_bytes({"data_batch_1.bin": record, "batches.meta.txt": b"a\nb"}))
        )


def test_csv_cells_are_named_by_row_and_column(tmp_path):
    with raises("row 1, column 'age' is missing; rows"):
        dl.data.from_csv(write(tmp_path / "a.csv", "age,kind\n3,a\n,b\n"), "kind")
    with raises(r"row 2, column 'age' holds 'old'; expects a finite number.*drop=\('age',\)"):
        dl.data.from_csv(write(tmp_path / "b.csv", "age,kind\n3,a\n4,b\nold,b\n"), "kind")
    with raises("row 0, column 'age' holds inf; expects a finite number"):
        dl.data.from_csv(write(tmp_path / "c.csv", "age,kind\ninf,a\n4,b\n"), "kind")
    with raises("row 1, column 'kind' is missing"):
        dl.data.from_csv(write(tmp_path / "d.csv", "age,kind\n3,a\n4\n"), "kind")


def test_csv_columns_that_are_not_there(tmp_path):
    path = write(tmp_path / "a.csv", "age,weight,kind\n3,1,a\n4,2,b\n")
    with raises(r"there is no column 'kinds'; did you mean 'kind'\?"):
        dl.data.from_csv(path, "kinds")
    with raises("there is no column 'xyz'; known: age, kind, weight"):
        dl.data.from_csv(path, "kind", drop=["xyz"])
    with raises("there is no column at position 3; the table has 3 columns"):
        dl.data.from_csv(path, 3)
    with raises("no column is left for the inputs"):
        dl.data.from_csv(path, "kind", drop=["age", "weight"])
    with pytest.raises(dl.ArgumentError, match=r"target_kind is 'classes'; expects .*Did you mean 'class'\?"):
        dl.data.from_csv(path, "kind", target_kind="classes")
    with raises("row 0, column 'kind' holds 'a'; expects a finite number"):
        dl.data.from_csv(path, "kind", target_kind="number")


def test_csv_that_is_no_table(tmp_path):
    with raises("a.csv is no table: .*Check the separator"):
        dl.data.from_csv(write(tmp_path / "a.csv", "a,b\n1,2,3,4\n5,6\n"), "a")
    with raises("the table has 0 rows"):
        dl.data.from_csv(write(tmp_path / "b.csv", "a,b\n"), "a")
    with raises("b is empty; expects text"):
        dl.data.from_csv(write(tmp_path / "b", " \n"), "a")
    with raises("column 'b' mixes kinds of values .*; expects all text or all numbers"):
        dl.data.from_frame(pd.DataFrame({"a": [1.0, 2.0], "b": ["x", 1]}), "b")
    with raises("row 0, column 'b' is missing"):
        dl.data.from_frame(pd.DataFrame({"a": [1.0], "b": [None]}), "a")


def test_parquet_that_is_none(tmp_path):
    with raises("a.parquet is no readable Parquet file"):
        dl.data.from_parquet(write(tmp_path / "a.parquet", b"PAR1 nothing"), "a")
    pd.DataFrame({"x": [1.0, 2.0], "kind": ["aaaa", "bbbb"]}).to_parquet(tmp_path / "b.parquet", compression=None)
    content = (tmp_path / "b.parquet").read_bytes()
    with raises("b.parquet is no readable Parquet file: .*UTF8"):
        dl.data.from_parquet(write(tmp_path / "b.parquet", content.replace(b"aaaa", b"aa\xffa")), "kind")


def test_missing_library_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(dl.DlcoreError, match=r"reading CSV needs pandas. Run pip install -e '.\[data\]'"):
        dl.data.from_csv(write(tmp_path / "a.csv", "a,b\n1,2\n"), "a")


def test_pickles_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", inputs=np.asarray([{}, {}], object), targets=np.zeros(2), allow_pickle=True)
    with raises("holds Python objects, which are pickled and can run code when read; refused"):
        dl.data.from_npz(tmp_path / "a.npz")
    with raises("no readable zip file"):
        dl.data.from_npz(write(tmp_path / "b.npz", pickle.dumps([1, 2])))


def test_npz_with_other_names(tmp_path):
    np.savez(tmp_path / "a.npz", pixels=np.ones((4, 2)), kind=np.zeros(4, int))
    with raises("holds pixels, kind; expects inputs and targets, .*Name yours"):
        dl.data.from_npz(tmp_path / "a.npz")
    with raises(r"has no array 'pixel' for train; did you mean 'pixels'\?"):
        dl.data.from_npz(tmp_path / "a.npz", {"train": ("pixel", "kind")})
    with pytest.raises(dl.ArgumentError, match=r"There is no 'tran'; did you mean 'train'\?"):
        dl.data.from_npz(tmp_path / "a.npz", {"tran": ("pixels", "kind")})
    with raises("its members declare .* expects at most max_bytes=10"):
        dl.data.from_npz(tmp_path / "a.npz", max_bytes=10)


def test_text_that_is_not_utf8_names_the_byte(tmp_path):
    with raises("a.txt is not UTF-8: byte 0xe9 at offset 3 .*Convert it, e.g. iconv"):
        dl.data.read_text(write(tmp_path / "a.txt", "caf\u00e9!".encode("latin1")))
    with raises("byte 0xff at offset 4 "):
        dl.data.read_text(write(tmp_path / "b.txt", b"\xef\xbb\xbfa\xff"))


def test_empty_text(tmp_path):
    for content in (b"", b" \n\n", b"\xef\xbb\xbf"):
        with raises("a.txt is empty; expects text"):
            dl.data.from_text(write(tmp_path / "a.txt", content), length=4)
    with raises("line 2 is empty; expects text on each line"):
        dl.data.from_text_classes({"a": write(tmp_path / "b", "x\n \ny\n"), "c": write(tmp_path / "c", "x\n")})
    with raises("1 classes; expects a file for each of two or more"):
        dl.data.from_text_classes({"a": tmp_path / "b"})


def test_text_too_short_for_its_windows(tmp_path):
    with raises(r"the test part has 3 tokens; expects at least length \+ 1 = 9"):
        dl.data.from_text(write(tmp_path / "a.txt", "abc" * 10), length=8, test=0.1)
    with pytest.raises(dl.ArgumentError, match=r"validation \+ test is 1; expects fractions that sum to less than 1"):
        dl.data.from_text(tmp_path / "a.txt", length=8, validation=0.5, test=0.5)
    with pytest.raises(dl.ArgumentError, match="from_text: length is 0; expects"):
        dl.data.from_text(tmp_path / "a.txt", length=0)


def test_aligned_files_of_different_length(tmp_path):
    one, two = write(tmp_path / "one", "a\nb\n"), write(tmp_path / "two", "a\nb\nc\n")
    with raises("one has 2 lines, .*two has 3; expects line i of one to translate line i of the other"):
        dl.data.from_aligned_text((one, two))
    with raises("hole: line 2 is empty"):
        dl.data.from_aligned_text((two, write(tmp_path / "hole", "a\n\nc")))


def test_pen_strokes_with_an_odd_number_of_coordinates(tmp_path):
    with raises("has 3 numbers before the label; expects pairs x, y"):
        dl.data.from_pen_strokes(write(tmp_path / "a", "1,2,3,0\n4,5,6,0\n"))
    with raises("all coordinates are 1.0; expects points"):
        dl.data.from_pen_strokes(write(tmp_path / "b", "1,1,0\n1,1,0\n"))


def test_what_would_eat_the_machine_is_refused():
    """Catches a size that is checked by itself and not with the others."""
    key = jax.random.key(0)
    calls = {
        "blobs": lambda: dl.data.blobs(key, 10**6, num_features=10**6),
        "parity": lambda: dl.data.parity(key, 10**6, num_bits=10**6),
        "sparse_linear": lambda: dl.data.sparse_linear(key, 10**6, num_features=10**6, num_relevant=1),
        "adding_problem": lambda: dl.data.adding_problem(key, 10**6, length=10**6),
        "copy_memory": lambda: dl.data.copy_memory(key, 10**6, delay=10**6),
        "stories": lambda: dl.data.stories(key, 10**6, num_sentences=10**6),
        "dates": lambda: dl.data.dates(key, 10**7),
        "scattered_digits": lambda: dl.data.scattered_digits(key, 10**6, canvas_size=1000),
        "photo_patches": lambda: dl.data.photo_patches("denoising", num_patches=10**6, size=64),
        "next_token": lambda: dl.data.next_token("ab" * 50_000, length=50_000, stride=1),
        "pad": lambda: dl.data.pad([[1]] * 2000, length=10**6),
        "crop": lambda: dl.data.crop(key, jnp.zeros((2, 3, 3)), padding=10_000),
    }
    for name, call in calls.items():
        with pytest.raises(
            dl.ArgumentError, match=rf"{name}: this makes [\d x]+ values; expects at most \d+ in one array"
        ):
            call()


def test_what_is_not_in_memory_is_named():
    streamed = dl.data.Dataset(dl.data.Split(dl.data.Streamed(np.ones((4, 2))), [0, 1, 0, 1]))
    for call in (dl.data.standardizer, dl.data.folds, lambda data: dl.data.grouped(data, 2)):
        with raises("inputs of the train split are Streamed; expects arrays in memory"):
            call(streamed)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nmae": "x"}, r"from_frame: described is .* There is no 'nmae'; did you mean 'name'\?"),
        ({"name": 3}, "name is 3; expects a string"),
        ({"drop": "age"}, "from_frame: drop is 'age'; expects a sequence of columns"),
    ],
)
def test_further_keywords_are_checked(options, message):
    frame = pd.DataFrame({"age": [3.0, 4.0], "kind": ["a", "b"]})
    with pytest.raises(dl.ArgumentError, match=message):
        dl.data.from_frame(frame, "kind", **options)


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ({"age": pd.to_datetime(["2020", "2021"])}, {}, "column 'age' holds datetime64.*; expects real numbers"),
        ({"age": [1j, 2.0]}, {}, "column 'age' holds complex128; expects real numbers"),
        ({"age": [10**400, 2]}, {}, "column 'age' holds integers that fit no float"),
        ({"age": [1.0, 2.0], "g": [[1], [2]]}, {"one_hot": ["g"]}, "column 'g' holds cells of kind list"),
        ({"g_x": [1.0, 2.0], "g": ["x", "y"]}, {"one_hot": ["g"]}, "makes a second column 'g_x'"),
    ],
)
def test_columns_that_are_no_inputs(columns, options, message):
    with raises(message):
        dl.data.from_frame(pd.DataFrame({**columns, "kind": ["a", "b"]}), "kind", **options)


@pytest.mark.parametrize("path", ["x" * 5000, "~nobody-of-this-name/x", "a\ud800", "/dev/null"])
def test_paths_that_name_no_file(path):
    for load in (dl.data.read_text, dl.data.read_idx, dl.data.from_npz, dl.data.from_image_folder):
        with raises("names no file|there is no|is a pipe, a socket or a device"):
            load(path)


def test_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.csv")
    for load in (lambda path: dl.data.from_csv(path, "a"), dl.data.read_idx, dl.data.from_npz, dl.data.from_cifar):
        with raises("a.csv is a pipe, a socket or a device; expects a file"):
            load(tmp_path / "a.csv")


def test_file_of_another_format_is_told(tmp_path):
    """Catches advice to copy a file again that is whole and of another format."""
    np.save(tmp_path / "a.npy", np.ones(3))
    for load, text in (
        (dl.data.from_npz, "looks like a NumPy array: np.load, then dl.data.from_arrays"),
        (dl.data.read_text, "looks like a NumPy array"),
        (lambda path: dl.data.from_parquet(path, "a"), "looks like a NumPy array"),
        (dl.data.read_idx, "looks like a NumPy array|Is it another format"),
    ):
        with raises(text):
            load(tmp_path / "a.npy")


def test_arrays_of_a_file_that_are_left_out_are_named(tmp_path):
    rows = np.ones((4, 1), np.int32)
    np.savez(tmp_path / "a.npz", inputs=rows, targets=rows, weights=np.ones(4), x_test=rows)
    data = dl.data.from_npz(tmp_path / "a.npz")
    assert data.source.endswith("without its arrays weights, x_test")
    assert (data.train.inputs.shape, data.train.targets.shape) == ((4, 1), (4,))
    chosen = dl.data.from_npz(tmp_path / "a.npz", {"train": ("inputs", "targets")})
    assert "without" not in chosen.source
