"""Parts are there whole or not at all, and what is read is what was written: every cut, every byte, every kill."""

import builtins
import errno
import io
import json
import os
import resource
import signal
import time
import zipfile
import zlib

import hypothesis
import hypothesis.strategies as st
import ml_dtypes
import numpy as np
import pytest
from processes import ended, forked

from dlcore.core.errors import ArgumentError, DataError
from dlcore.engine.durable import npy, parts, zipped
from dlcore.engine.durable.parts import MissingError, commit, commit_text, listing, read, read_bytes, remove_leftovers
from dlcore.engine.leftovers import beside

SMALL = {"records/loss": np.arange(3, dtype=np.float32), "best": np.float64(0.5)}
NAN, OTHER_NAN = (np.array([bits], np.uint32).view(np.float32) for bits in (0x7FC00000, 0x7FC00001))
ARRAYS = {
    "float32": np.arange(6, dtype=np.float32).reshape(2, 3),
    "scalar": np.float64(3),
    "no_rows": np.empty((0, 3), np.float16),
    "truth": np.array([True, False]),
    "bfloat16": np.array([1, np.nan, 3], ml_dtypes.bfloat16),
    "float8_e5m2": np.array([1, 0.5], ml_dtypes.float8_e5m2),  # NumPy calls its kind "f", and forgets the rest
    "float8_e4m3fn": np.array([1, 0.5], ml_dtypes.float8_e4m3fn),
    "int4": np.array([[-8], [7]], ml_dtypes.int4),
    "scalar_bfloat16": np.array(2, ml_dtypes.bfloat16),
    "fortran": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "transposed_bfloat16": np.arange(6).astype(ml_dtypes.bfloat16).reshape(2, 3).T,
    "big_endian": np.arange(3, dtype=">i8"),
    "strided": np.arange(10)[::-3],
    "complex": np.array([1 + 2j], np.complex64),
    "nan_payload": OTHER_NAN,
    "text": np.array(["a", "größer", ""]),
    "bytes": np.array([b"a", b"bc"]),
    "empty_text": np.array([""], "U0"),
    "dates": np.array(["2020-01-01"], "M8[ns]"),
}


def same(there, here):
    """Whether two arrays are of one dtype and shape, and equal bit for bit."""
    here = np.asarray(here)
    return (there.dtype, there.shape, there.tobytes()) == (here.dtype, here.shape, here.tobytes())


def same_parts(file, arrays):
    """Whether a part holds these arrays and no others."""
    found = read(file).arrays
    return list(found) == list(arrays) and all(same(found[name], array) for name, array in arrays.items())


def names(folder):
    """Names of all that is in a folder."""
    return sorted(os.listdir(folder))


# What goes in comes out


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_come_back_as_they_were(tmp_path, name):
    """Catches a view that is not turned back, an order that is lost, a scalar that becomes a vector."""
    assert commit(tmp_path / "p.npz", {name: ARRAYS[name]}, {})
    assert same_parts(tmp_path / "p.npz", {name: ARRAYS[name]})


def test_many_in_one_part_and_its_header(tmp_path):
    """Catches offsets that are off by what lies between, and a header that is not the one given."""
    header = {"facts": ["id"], "id": "ä", "seconds": 0.1, "nested": {"lanes": [1, None, True]}}
    commit(tmp_path / "p.npz", ARRAYS, header)
    found = read(tmp_path / "p.npz")
    assert found.header == header
    assert same_parts(tmp_path / "p.npz", ARRAYS)
    assert len(found.arrays) == len(ARRAYS)
    assert "float32" in found.arrays
    assert "nothing" not in found.arrays


def test_what_is_read_can_be_computed_with(tmp_path):
    """Catches arrays at odd addresses, which are slow and which JAX copies, and those that cannot be written to."""
    commit(tmp_path / "p.npz", {"a" * at: np.ones(2, np.complex128) for at in range(1, 20)}, {})
    for array in read(tmp_path / "p.npz").arrays.values():
        assert array.flags.aligned
        assert array.flags.writeable


def test_other_programs_read_it(tmp_path):
    """Catches a zip that only dlcore understands."""
    commit(tmp_path / "p.npz", {"records/test_loss": np.arange(3), "größe/β": np.ones(2)}, {"id": 1})
    with np.load(tmp_path / "p.npz", allow_pickle=False) as found:
        np.testing.assert_array_equal(found["records/test_loss"], np.arange(3))
        np.testing.assert_array_equal(found["größe/β"], np.ones(2))
        assert json.loads(found["header.json"])["header"] == {"id": 1}
    with zipfile.ZipFile(tmp_path / "p.npz") as found:
        assert found.testzip() is None


def test_the_beginning_of_an_array_is_numpys(tmp_path):
    """Catches an .npy header of ours that drifts from the format's."""
    for array in (np.ones((2, 3), np.float32), np.ones(()), np.ones((1,), ">i2"), np.ones((0, 12345, 678))):
        commit(tmp_path / "p.npz", {"a": array}, {})
        expected = io.BytesIO()
        np.save(expected, array)
        with zipfile.ZipFile(tmp_path / "p.npz") as found:
            assert found.read("a.npy") == expected.getvalue()
        (tmp_path / "p.npz").unlink()


@hypothesis.given(st.lists(st.text(max_size=12), unique=True, max_size=4))
@hypothesis.example(
    ["", "/", "..", "../../etc/passwd", "a/./b", "a\\b", "%2E", "\0", "\ud800", "a\n", "header.json", "a.npy"]
)
@hypothesis.example(["a", "a.npy", "a.npy.npy", "\ud800", "\ud801"])
def test_any_name_comes_back(tmp_path_factory, given):
    """Catches two names that become one in the zip, and names that lead out of a folder where it is unpacked."""
    folder = tmp_path_factory.mktemp("names")
    arrays = {name: np.full(1, at) for at, name in enumerate(given)}
    commit(folder / "p.npz", arrays, {})
    assert same_parts(folder / "p.npz", arrays)
    with zipfile.ZipFile(folder / "p.npz") as found:
        for name in found.namelist():
            assert not name.startswith("/")
            assert not {".", ".."} & set(name.split("/"))


@pytest.mark.parametrize(
    ("arrays", "header", "words"),
    [
        ({"a": np.array([None, "x"])}, {}, "'a' is of object; a part keeps numbers"),
        ({"a": np.zeros(2, [("x", "f4")])}, {}, "a part keeps numbers"),
        ({"a": np.array(["x"], np.dtypes.StringDType())}, {}, "a part keeps numbers"),
        ({3: np.ones(2)}, {}, "is called 3; names are strings"),
        ({"a" * 70_000: np.ones(2)}, {}, "is too long.*Shorten it"),
        ({}, {"when": np.ones(2)}, "JSON cannot.*Pass numbers"),
    ],
)
def test_what_a_part_cannot_keep(tmp_path, arrays, header, words):
    """Catches pickles, and files begun before it is known whether they can be ended."""
    with pytest.raises(ArgumentError, match=words):
        commit(tmp_path / "p.npz", arrays, header)
    assert names(tmp_path) == []


# The same name twice


def test_the_same_again_is_no_news(tmp_path):
    """Catches a comparison in which NaN differs from itself, and one that minds the seconds."""
    facts = {"facts": ["id"], "id": float("nan")}
    arrays = ARRAYS | {"nan": NAN}
    assert commit(tmp_path / "p.npz", arrays, facts | {"seconds": 1})
    before = (tmp_path / "p.npz").read_bytes()
    assert not commit(tmp_path / "p.npz", dict(reversed(arrays.items())), facts | {"seconds": 2})
    assert names(tmp_path) == ["p.npz"]
    assert (tmp_path / "p.npz").read_bytes() == before


@pytest.mark.parametrize(
    ("there", "here", "words"),
    [
        (
            np.arange(4.0),
            np.array([0, 1, 2.5, 4]),
            "'b': 2 of 4 values, by up to 1. The same program gave different bits",
        ),
        (NAN, OTHER_NAN, "'b': 1 of 1 values, in bits such as those of NaN"),
        (np.zeros(2), np.array([0, -0.0]), "'b': 1 of 2 values, in bits such as those of NaN or -0"),
        (np.array([np.nan]), np.array([1.0]), "'b': 1 of 1 values"),
        (np.array([1], ml_dtypes.bfloat16), np.array([2], ml_dtypes.bfloat16), "by up to 1"),
        (np.array(["x"]), np.array(["y"]), "'b': 1 of 1 values. The"),
        (np.array([1j]), np.array([2j]), "'b': 1 of 1 values. The"),
        (np.array([True]), np.array([False]), "by up to 1"),
        (np.ones(2), np.ones(3), r"\(2,\) there, float64 \(3,\) here. Two different things"),
        (np.ones(2, np.float32), np.ones(2), "float32 .* there, float64"),
        (np.ones(2, ml_dtypes.int4), np.ones(2, np.uint8), "int4 .* there, uint8"),
    ],
)
def test_other_values_under_one_name(tmp_path, there, here, words):
    """Catches an audit that overlooks a bit, or that loses one of the two."""
    commit(tmp_path / "p.npz", {"a": np.ones(1), "b": there}, {})
    with pytest.raises(DataError, match=rf"p.npz is there already.* differs in .*{words}") as caught:
        commit(tmp_path / "p.npz", {"a": np.ones(1), "b": here}, {})
    (other,) = set(names(tmp_path)) - {"p.npz"}
    assert other in str(caught.value)
    assert same_parts(tmp_path / "p.npz", {"a": np.ones(1), "b": there})
    assert same_parts(tmp_path / other, {"a": np.ones(1), "b": here})
    assert listing(tmp_path) == [tmp_path / "p.npz"]


def test_other_facts_or_names_under_one_name(tmp_path):
    """Catches parts of two programs that pass for one."""
    commit(tmp_path / "p.npz", SMALL, {"facts": ["id"], "id": 1})
    with pytest.raises(DataError, match=r"'id' of its header: '1' there, '2' here. Two different things"):
        commit(tmp_path / "p.npz", SMALL, {"facts": ["id"], "id": 2})
    with pytest.raises(DataError, match=r"'more'.* not in both"):
        commit(tmp_path / "p.npz", SMALL | {"more": np.ones(1)}, {"facts": ["id"], "id": 1})


def test_the_advice_after_a_difference_works(tmp_path):
    """Catches advice that leads nowhere: the right one of the two goes under the first name."""
    commit(tmp_path / "p.npz", {"a": np.ones(1)}, {})
    with pytest.raises(DataError, match="remove the one that is wrong"):
        commit(tmp_path / "p.npz", SMALL, {})
    (other,) = set(names(tmp_path)) - {"p.npz"}
    (tmp_path / "p.npz").unlink()
    (tmp_path / other).rename(tmp_path / "p.npz")
    assert not commit(tmp_path / "p.npz", SMALL, {})


def test_a_damaged_part_is_not_taken_for_a_finished_one(tmp_path):
    """Catches a commit that believes in the name; once it is removed, as the message says, all is well."""
    commit(tmp_path / "p.npz", SMALL, {})
    os.truncate(tmp_path / "p.npz", 300)
    with pytest.raises(DataError, match=r"p.npz is damaged.*Remove it; the same call computes its cells again"):
        commit(tmp_path / "p.npz", SMALL, {})
    assert names(tmp_path) == ["p.npz"]
    (tmp_path / "p.npz").unlink()
    assert commit(tmp_path / "p.npz", SMALL, {})


def test_small_texts(tmp_path):
    """Catches a protocol that texts do not follow."""
    assert commit_text(tmp_path / "a.json", "{}")
    assert not commit_text(tmp_path / "a.json", b"{}")
    assert read_bytes(tmp_path / "a.json") == b"{}"
    with pytest.raises(DataError, match=r"a.json is there already.*from byte 1 on \(2 bytes there, 3 here\)"):
        commit_text(tmp_path / "a.json", "{ }")
    assert read_bytes(tmp_path / "a.json") == b"{}"
    assert listing(tmp_path) == [tmp_path / "a.json"]
    with pytest.raises(MissingError, match=r"b.json is missing"):
        read_bytes(tmp_path / "b.json")


# Damage


def noticed(file):
    """Whether reading all of a part finds that it is damaged, and says so in words."""
    try:
        dict(read(file).arrays)
    except DataError as error:
        return str(error).startswith(f"{file} is damaged: ") and "Remove it" in str(error)
    return False


def test_cut_anywhere(tmp_path):
    """Catches a part that is read although its end, or a piece of it, is missing."""
    file = tmp_path / "p.npz"
    commit(file, SMALL, {})
    for length in reversed(range(file.stat().st_size)):
        os.truncate(file, length)
        assert noticed(file), length


def test_any_flipped_byte(tmp_path):
    """Catches bytes that no checksum covers: a zip's own covers neither names nor sizes."""
    commit(tmp_path / "p.npz", SMALL, {})
    whole = (tmp_path / "p.npz").read_bytes()
    with open(tmp_path / "p.npz", "r+b", buffering=0) as stream:
        for at, byte in enumerate(whole):
            for other in (byte ^ 1 << at % 8, byte ^ 0xFF):
                os.pwrite(stream.fileno(), bytes([other]), at)
                assert noticed(tmp_path / "p.npz"), at
            os.pwrite(stream.fileno(), bytes([byte]), at)
    assert same_parts(tmp_path / "p.npz", SMALL)


def test_a_byte_more(tmp_path):
    """Catches a reader that looks for the end of a zip, and finds one."""
    commit(tmp_path / "p.npz", SMALL, {})
    whole = (tmp_path / "p.npz").read_bytes()
    for other in (whole + b"\0", b"\0" + whole, whole + whole):
        (tmp_path / "p.npz").write_bytes(other)
        with pytest.raises(DataError, match=r"p.npz is damaged"):
            read(tmp_path / "p.npz")


def crafted(text, content=b""):
    """A part with these bytes as its header and as array "a", all checksums right."""
    members = [zipped.Member(b"header.json", len(text), zlib.crc32(text))]
    members.append(zipped.Member(b"a.npy", len(content), zlib.crc32(content)))
    before, after = zipped.frame(members)
    return before[0] + text + before[1] + content + after


def crafted_array(kind, shape, content=b""):
    """A part whose header announces an array "a"."""
    return crafted(json.dumps({"format": 1, "header": {}, "arrays": {"a": [kind, shape]}}).encode(), content)


def named_twice():
    """A part that holds array "a" twice, with other values."""
    text = b'{"format": 1, "header": {}, "arrays": {"a": ["<f4", []]}}'
    contents = [(b"header.json", text), *((b"a.npy", npy._head("<f4", ()) + end) for end in (b"0000", b"1111"))]
    before, after = zipped.frame(zipped.Member(name, len(each), zlib.crc32(each)) for name, each in contents)
    return b"".join(head + each for head, (_, each) in zip(before, contents, strict=True)) + after


def deflated():
    """A zip of a few kilobytes that swells to 50 MB."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.json", b"{}")
        archive.writestr("a.npy", bytes(50_000_000))
    return stream.getvalue()


def plain_npz():
    """What numpy.savez writes."""
    stream = io.BytesIO()
    np.savez(stream, a=np.ones(2))
    return stream.getvalue()


FOREIGN = {
    "empty": b"",
    "text": b"years of work" * 50,
    "zeros": bytes(10_000),
    "npz": plain_npz(),
    "bomb": deflated(),
    "newer": crafted(b'{"format": 2}'),
    "no_json": crafted(b"{"),
    "deep_json": crafted(b"[" * 100_000),
    "no_header": crafted(b'{"format": 1, "arrays": {}}'),
    "header_is_a_list": crafted(b'{"format": 1, "header": [], "arrays": {}}'),
    "arrays_is_a_list": crafted(b'{"format": 1, "header": {}, "arrays": [1]}'),
    "other_arrays": crafted(b'{"format": 1, "header": {}, "arrays": {"b": ["<f4", []]}}'),
    "twice": crafted(b'{"format": 1, "header": {}, "arrays": {}}').replace(b"a.npy", b"b.npy", 1),
    "huge": crafted_array("<f8", [10**15]),
    "huge_of_nothing": crafted_array("<f8", [0, 10**30]),
    "huge_of_empty_text": crafted_array("<U0", [10**30]),
    "negative": crafted_array("<f8", [-1]),
    "no_number": crafted_array("<f8", ["a"]),
    "named_twice": named_twice(),
    "object": crafted_array("|O", [1], npy._head("|O", (1,)) + bytes(8)),
    "structured": crafted_array("<f4,<f4", [1], npy._head("|V8", (1,)) + bytes(8)),
    "unknown_type": crafted_array("float3", [1], bytes(200)),
    "no_type": crafted_array("finfo", [1], bytes(200)),
    "odd_width": crafted_array("<f3", [1], bytes(200)),
    "other_bytes": crafted_array("<f4", [1], bytes(132)),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_no_part(tmp_path, name):
    """Catches raw errors, and memory that a few bytes ask for."""
    (tmp_path / "p.npz").write_bytes(FOREIGN[name])
    with pytest.raises(DataError, match=r"p.npz is damaged: .*Remove it"):
        dict(read(tmp_path / "p.npz").arrays)


def test_a_newer_format_says_so(tmp_path):
    """Catches a reader that calls damaged what it is too old for."""
    (tmp_path / "p.npz").write_bytes(FOREIGN["newer"])
    with pytest.raises(DataError, match="format 2 where this dlcore reads 1"):
        read(tmp_path / "p.npz")


@pytest.mark.parametrize("kind", ["folder", "link", "fifo", "loop"])
def test_what_is_no_file(tmp_path, kind):
    """Catches a reader that waits for a pipe for ever, or that follows a link out of the store."""
    commit(tmp_path / "real.npz", SMALL, {})
    file = tmp_path / "p.npz"
    make = {"folder": file.mkdir, "link": lambda: file.symlink_to("real.npz"), "loop": lambda: file.symlink_to(file)}
    make.get(kind, lambda: os.mkfifo(file))()
    for touch in (lambda: read(file), lambda: commit(file, SMALL, {}), lambda: commit_text(file, "a")):
        with pytest.raises(DataError, match=r"p.npz cannot be read: .*Remove it"):
            touch()
    assert names(tmp_path) == ["p.npz", "real.npz"]


def test_a_part_that_vanishes(tmp_path):
    """Catches a raw FileNotFoundError where another process removes a part that was just listed."""
    commit(tmp_path / "p.npz", SMALL, {})
    found = read(tmp_path / "p.npz")
    (tmp_path / "p.npz").unlink()
    with pytest.raises(MissingError, match=r"p.npz is missing: it was removed since it was listed"):
        found.arrays["best"]
    with pytest.raises(KeyError):
        found.arrays["nothing"]
    with pytest.raises(MissingError):
        read(tmp_path / "p.npz")
    with pytest.raises(MissingError):
        read(tmp_path / "no" / "folder" / "p.npz")


def test_a_part_that_becomes_another(tmp_path):
    """Catches an array of one part read by the offsets of another."""
    commit(tmp_path / "p.npz", SMALL, {})
    found = read(tmp_path / "p.npz")
    (tmp_path / "p.npz").unlink()
    commit(tmp_path / "p.npz", {"other": np.ones(9)}, {"a": 1})
    with pytest.raises(DataError, match=r"p.npz is damaged"):
        found.arrays["best"]


# Writing fails


@pytest.mark.parametrize(
    ("function", "number", "words"),
    [
        ("fsync", errno.ENOSPC, "No space left on device. Nothing there has changed; make room"),
        ("fsync", errno.EDQUOT, "quota exceeded.*make room"),
        ("fsync", errno.EIO, "Input/output error. Nothing there has changed"),
        ("link", errno.EACCES, "Permission denied. .*choose another path"),
        ("link", errno.EROFS, "Read-only file system"),
        ("link", errno.ESTALE, "Stale file handle"),
    ],
)
def test_the_system_refuses(tmp_path, monkeypatch, function, number, words):
    """Catches an fsync whose failure is swallowed, and temporary files that fill the disk further."""

    def refuse(*_):
        raise OSError(number, os.strerror(number))

    commit(tmp_path / "old.npz", SMALL, {})
    with monkeypatch.context() as patched:
        patched.setattr(os, function, refuse)
        for touch in (lambda: commit(tmp_path / "p.npz", SMALL, {}), lambda: commit_text(tmp_path / "p.npz", "a")):
            with pytest.raises(ArgumentError, match=rf"cannot write '.*p.npz': .*{words}"):
                touch()
    assert names(tmp_path) == ["old.npz"]
    assert commit(tmp_path / "p.npz", SMALL, {})


def test_a_disk_that_is_full_in_the_middle(tmp_path):
    """Catches half a part, with a real limit on what a file may hold, in a process of its own."""

    def fill():
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
        with pytest.raises(ArgumentError, match=r"File too large. Nothing there has changed"):
            commit(tmp_path / "p.npz", {"a": np.ones(10_000)}, {})
        assert names(tmp_path) == []
        assert commit(tmp_path / "p.npz", SMALL, {})

    with forked(fill) as process:
        assert ended(process) == 0


def test_no_folder_no_name(tmp_path):
    """Catches raw errors of paths, and advice that does not work."""
    (tmp_path / "file").write_text("a")
    with pytest.raises(ArgumentError, match=r"make the folder '.*gone'"):
        commit(tmp_path / "gone" / "p.npz", SMALL, {})
    with pytest.raises(ArgumentError, match="Not a directory"):
        commit(tmp_path / "file" / "p.npz", SMALL, {})
    with pytest.raises(ArgumentError, match="File name too long"):
        commit(tmp_path / ("p" * 250), SMALL, {})
    with pytest.raises(ArgumentError, match="null byte"):
        commit(tmp_path / "p\0", SMALL, {})
    (tmp_path / "gone").mkdir()
    assert commit(tmp_path / "gone" / "p.npz", SMALL, {})


def test_ctrl_c_leaves_nothing(tmp_path, monkeypatch):
    """Catches cleaning up that only knows errors."""

    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        commit(tmp_path / "p.npz", SMALL, {})
    assert names(tmp_path) == []


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP])
def test_a_disk_without_links(tmp_path, monkeypatch, number):
    """Catches a commit that needs what FAT and some network disks do not have."""

    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)
    assert commit(tmp_path / "p.npz", SMALL, {})
    assert not commit(tmp_path / "p.npz", SMALL, {})
    with pytest.raises(DataError, match="is there already"):
        commit(tmp_path / "p.npz", {"best": np.float64(1)}, {})
    assert same_parts(tmp_path / "p.npz", SMALL)


# Processes


STEPS = ((builtins, "open"), (os, "fsync"), (os, "link"), (os, "unlink"), (os, "close"))


def killed_at(number):
    """Kill this process before (even numbers) or after (odd ones) half that number of calls to any of `STEPS`."""
    count = iter(range(1_000))

    def around(function):
        def step(*args, **kwargs):
            now = next(count)
            if 2 * now == number:
                os.kill(os.getpid(), signal.SIGKILL)
            found = function(*args, **kwargs)
            if 2 * now + 1 == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return found

        return step

    for module, name in STEPS:
        setattr(module, name, around(getattr(module, name)))


def test_killed_at_every_step(tmp_path):
    """Catches a part that is seen before it is whole; a step more or less in `commit` moves the numbers along."""
    survived, seen = False, set()
    for number in range(40):
        folder = tmp_path / str(number)
        folder.mkdir()

        def work(folder=folder, number=number):
            killed_at(number)
            commit(folder / "p.npz", SMALL, {})

        with forked(work) as process:
            survived = ended(process) == 0
        there = listing(folder)
        assert there in ([], [folder / "p.npz"])
        assert all(same_parts(file, SMALL) for file in there)
        seen.add((len(there), len(names(folder)) - len(there)))
        remove_leftovers(folder)
        assert names(folder) == [file.name for file in there]
        assert commit(folder / "p.npz", SMALL, {}) is not bool(there)
        if survived:
            break
    assert survived
    assert seen >= {(0, 0), (0, 1), (1, 1), (1, 0)}


def test_killed_while_writing(tmp_path, monkeypatch):
    """Catches a part that is written where it will stand."""
    whole = list(parts._buffers(SMALL, {}))

    def some(*_):
        yield from whole[:4]
        yield bytes(100_000)
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(parts, "_buffers", some)
    with forked(lambda: commit(tmp_path / "p.npz", SMALL, {})) as process:
        assert ended(process) == -signal.SIGKILL
    assert listing(tmp_path) == []
    assert len(names(tmp_path)) == 1
    remove_leftovers(tmp_path)
    assert names(tmp_path) == []


def test_many_write_one_part(tmp_path):
    """Catches a race in which two believe to be first, or in which a comparison is lost: exactly one is."""

    def work(who):
        for number in range(20):
            first = commit(tmp_path / f"{number}.npz", SMALL, {"who": who})
            (tmp_path / f"log-{who}-{number}-{first}").touch()

    with forked(lambda: work(0)) as one, forked(lambda: work(1)) as two, forked(lambda: work(2)) as three:
        assert [ended(process) for process in (one, two, three)] == [0, 0, 0]
    firsts = [name for name in names(tmp_path) if name.endswith("True")]
    assert sorted(int(name.split("-")[2]) for name in firsts) == list(range(20))
    for name in firsts:
        _, who, number, _ = name.split("-")
        assert read(tmp_path / f"{number}.npz").header["who"] == int(who)


def test_read_while_others_write(tmp_path):
    """Catches a listing with names of parts that are not whole yet."""

    def work():
        for number in range(60):
            commit(tmp_path / f"{number}.npz", {"a": np.full(2_000, number)}, {})

    with forked(work) as process:
        while os.waitpid(process, os.WNOHANG) == (0, 0):
            for file in listing(tmp_path)[-5:]:
                assert same_parts(file, {"a": np.full(2_000, int(file.stem))})
    assert len(listing(tmp_path)) == 60


# Listings and leftovers


def test_the_listing_has_what_is_committed(tmp_path):
    """Catches temporary files and conflicts that are counted as results."""
    for name in ("b.npz", "a.npz"):
        commit(tmp_path / name, SMALL, {})
    beside(tmp_path / "c.npz", "partial").touch()
    (tmp_path / "a.conflict-vm-12.npz").touch()
    (tmp_path / ".DS_Store").touch()
    assert listing(tmp_path) == [tmp_path / "a.npz", tmp_path / "b.npz"]
    assert listing(tmp_path / "nothing") == []
    with pytest.raises(DataError, match=r"a.npz.*Not a directory"):
        listing(tmp_path / "a.npz")


def test_leftovers_of_the_dead_go(tmp_path):
    """Catches a cleaner that takes from the living, from other machines, or what is not its own."""
    with forked(lambda: None) as process:
        ended(process)
    mine, ns = beside(tmp_path / "p.npz", "partial"), time.time_ns()
    old = ns - 2 * 86_400 * 10**9
    stays = {
        mine.name,
        f".p.npz.partial-elsewhere-1-{ns}-0",
        mine.name.replace(f"-{os.getpid()}-", f"-{process}-").replace("partial", "new"),
        ".hidden",
        "p.npz",
    }
    goes = {mine.name.replace(f"-{os.getpid()}-", f"-{process}-"), f".p.npz.partial-elsewhere-1-{old}-0"}
    for name in stays | goes:
        (tmp_path / name).touch()
    remove_leftovers(tmp_path)
    assert set(names(tmp_path)) == stays
    remove_leftovers(tmp_path / "nothing")
