"""Which files are images of which class and split: nothing is left out without a word."""

import os
import pickle
import zipfile

import jax
import numpy as np
import optax
import pytest
from data_support import png, private_cache, write, zip_bytes  # noqa: F401

import dlcore as dl

PICTURE = png(np.arange(12, dtype=np.uint8).reshape(3, 4))


def made(tmp_path, names, where: str):
    """A folder or zip file with a picture of each name; folders end in a slash, other files in .txt."""
    files = {name: b"text" if name.endswith(".txt") else b"" if name.endswith("/") else PICTURE for name in names}
    if where == "zip":
        return write(tmp_path / "set.zip", zip_bytes(files))
    for name, content in files.items():
        if name.endswith("/"):
            (tmp_path / "set" / name).mkdir(parents=True)
        else:
            write(tmp_path / "set" / name, content)
    return tmp_path / "set"


def loaded(path, **options):
    """Classes, rows of each split and train labels, as both functions have them."""
    found = []
    for load in (dl.data.from_image_folder, dl.data.stream_image_folder):
        data = load(path, **options)
        rows = {split: getattr(data, split).num_rows for split in data.splits}
        found.append((data.target_names, rows, data.train.targets.tolist()))
    assert found[0] == found[1]
    return found[0]


REFUSED = {
    "empty class": (["cat/1.png", "dog/"], {}, r"the folder dog is empty; .* ignore=\('dog',\)"),
    "class of litter": (["cat/1.png", "dog/.hidden.png"], {}, "the folder dog is empty"),
    "class without images": (["cat/1.png", "dog/notes.txt"], {}, "dog/notes.txt cannot be decoded: no image"),
    "text in a class": (["cat/1.png", "cat/notes.txt"], {}, "cat/notes.txt cannot be decoded: no image"),
    "empty split": (["train/cat/1.png", "test/"], {}, "the folder test is empty"),
    "empty folder in a class": (["cat/1.png", "cat/old/"], {}, "the folder cat/old is empty"),
    "folder beside splits": (
        ["train/cat/1.png", "test/cat/1.png", "unlabelled/1.png"], {},
        r"has the splits test, train, and beside them unlabelled; .* ignore=\('unlabelled',\)",
    ),
    "folder beside one split": (["train/cat/1.png", "extra/a/1.png"], {}, "the splits train, and beside them extra"),
    "two names of a split": (["train/a/1.png", "val/a/1.png", "dev/a/1.png"], {}, "dev, val are all the validation"),
    "splits below classes": (["cat/train/1.png", "cat/test/1.png", "dog/train/1.png", "dog/test/1.png"], {},
                             "the splits lie below the classes"),
    "class of one split": (["train/a/1.png", "test/a/1.png", "test/b/1.png"], {}, "train has no images of .*'b', test"),
    "class that is not tested": (["train/a/1.png", "train/b/1.png", "test/a/1.png"], {}, "test has no images of .*'b'"),
    "case of one split": (["train/Cat/1.png", "test/cat/1.png"], {}, "test has no images of the class 'Cat'"),
    "two forms of a name": (["caf\u00e9/1.png", "cafe\u0301/1.png"], {}, r"'cafe\\u0301' and 'caf\\xe9' have the same"),
    "stray image": (["cat/1.png", "x.PNG"], {}, r"the image x.PNG lies in no class folder.* ignore=\('x.PNG',\)"),
    "stray image that is not read": (["cat/1.png", "x.tiff"], {}, "the image x.tiff lies in no class folder"),
    "stray image in a wrapper": (["pets/cat/1.png", "pets/dog/1.png", "x.png"], {}, "x.png lies in no class folder"),
    "flat test": (["train/cat/1.png", "test/1.png"], {}, r"image test/1.png lies .* ignore=\('test',\)"),
    "many loose images": (["p/train/cat/1.png", "p/test/1.png", "p/test/2.png"], {}, r"\(and 1 more\).*\('p/test',\)"),
    "test without labels": (["train/a/1.png", "train/b/1.png", "test/unknown/1.png"], {},
                            r"only 'unknown', train 'a', 'b': .* ignore=\('test',\)"),
    "class of test": (["p/train/a/1.png", "p/test/a/1.png", "p/test/[b]/1.png"], {},
                      r"ignore=\('p/test/\[\[\]b\]',\)"),
    "nothing": (["README.txt"], {}, "has no images in folders"),
    "ignored by mistake": (["cat/1.png", "unlabelled/1.png"], {"ignore": ("unlabeled",)}, "did you mean 'unlabelled'"),
}  # fmt: skip


@pytest.mark.parametrize("where", ["folder", "zip"])
@pytest.mark.parametrize("kind", REFUSED)
def test_unclear_layouts_are_refused(tmp_path, kind, where):
    names, options, message = REFUSED[kind]
    path = made(tmp_path, names, where)
    for load in (dl.data.from_image_folder, dl.data.stream_image_folder):
        with pytest.raises(dl.DlcoreError, match=message):
            load(path, **options)


READ = {
    "ignored folder": (
        ["train/cat/1.png", "test/cat/1.png", "unlabelled/1.png"], {"ignore": ("unlabelled",)},
        (("cat",), {"train": 1, "test": 1}, [0]),
    ),
    "ignored class": (["train/a/1.png", "train/b/1.png", "test/a/1.png"], {"ignore": ("b",)},
                      (("a",), {"train": 1, "test": 1}, [0])),
    "ignored path": (["train/cat/1.png", "test/1.png"], {"ignore": ("test/",)}, (("cat",), {"train": 1}, [0])),
    "ignored files": (["cat/1.png", "cat/notes.txt"], {"ignore": ["*.txt"]}, (("cat",), {"train": 1}, [0])),
    "a class called train": (["bus/1.png", "train/1.png"], {}, (("bus", "train"), {"train": 2}, [0, 1])),
    "folders below classes": (["a/x/1.png", "b/1.png", "b/y/z/2.png"], {}, (("a", "b"), {"train": 3}, [0, 1, 1])),
    "files beside a wrapper": (["pets/a/1.png", "pets/b/1.png", "README.txt"], {}, (("a", "b"), {"train": 2}, [0, 1])),
    "numbers": (["10/1.png", "2/1.png", "1/1.png", "01/1.png"], {},
                (("01", "1", "2", "10"), {"train": 4}, [0, 1, 2, 3])),
    "names that begin alike": (["cat2/1.png", "cat/1.png"], {}, (("cat", "cat2"), {"train": 2}, [0, 1])),
    "cases": (["a/1.png", "A/1.png"], {}, (("A", "a"), {"train": 2}, [0, 1])),
    "forms of Unicode": (["train/caf\u00e9/1.png", "test/cafe\u0301/1.png"], {},
                         (("caf\u00e9",), {"train": 1, "test": 1}, [0])),
    "endings": (["a/1.PNG", "a/2", "a/img.003", "b/4.JpEg"], {}, (("a", "b"), {"train": 4}, [0, 0, 0, 1])),
    "litter": (["a/1.png", "a/Thumbs.db", "a/@eaDir/1.png", ".git/x.png", "a/._1.png"], {},
               (("a",), {"train": 1}, [0])),
}  # fmt: skip


@pytest.mark.parametrize("where", ["folder", "zip"])
@pytest.mark.parametrize("kind", READ)
def test_layouts(tmp_path, kind, where):
    names, options, expected = READ[kind]
    assert loaded(made(tmp_path, names, where), **options) == expected


@pytest.fixture
def linked(tmp_path):
    """A set with the class cat, and a folder of dogs elsewhere."""
    write(tmp_path / "set/cat/1.png", PICTURE)
    write(tmp_path / "dogs/1.png", PICTURE)
    return tmp_path


def test_links_are_followed(linked):
    (linked / "set/dog").symlink_to("../dogs")
    (linked / "set/cat/2.png").symlink_to(linked / "dogs/1.png")
    (linked / "root").symlink_to(linked / "set")
    assert loaded(linked / "root") == (("cat", "dog"), {"train": 3}, [0, 0, 1])


def test_links_that_lead_nowhere_or_back_are_named(linked):
    link = linked / "set/dog"
    for target, message in ((linked / "gone", "dog is a link to .*gone, which is not there"), (link, "dog is a link"),
                            (linked / "set", "the link dog leads back to")):  # fmt: skip
        link.symlink_to(target)
        with pytest.raises(dl.DataError, match=message):
            dl.data.from_image_folder(linked / "set")
        assert loaded(linked / "set", ignore=("dog",))[0] == ("cat",)
        link.unlink()
    link.symlink_to(linked / "gone")
    with pytest.raises(dl.DataError, match=r"dog is a link to .*gone, which is not there"):
        dl.data.from_image_folder(link)


def test_what_came_into_a_folder_is_seen_although_its_images_are_kept(linked):
    assert loaded(linked / "set")[0] == ("cat",)
    (linked / "set/dog").mkdir()
    with pytest.raises(dl.DataError, match="the folder dog is empty"):
        dl.data.from_image_folder(linked / "set")
    os.mkfifo(linked / "set/cat/pipe")
    with pytest.raises(dl.DataError, match="cat/pipe is a device or pipe"):
        dl.data.from_image_folder(linked / "set")


def test_names_in_archives(tmp_path):
    windows = write(tmp_path / "a.zip", zip_bytes({"cat\\1.png": PICTURE, ".\\dog\\1.png": PICTURE, "dog\\": b""}))
    assert loaded(windows) == (("cat", "dog"), {"train": 2}, [0, 1])
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("cat/1.png", PICTURE)
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("cat/1.png", PICTURE)
    with pytest.raises(dl.DataError, match=r"holds two members called cat/1.png"):
        dl.data.from_image_folder(tmp_path / "b.zip")


def test_folder_names_that_are_no_text(tmp_path):
    os.makedirs(os.fsencode(tmp_path) + b"/set/\xff")
    with open(os.fsencode(tmp_path) + b"/set/\xff/1.png", "wb") as file:
        file.write(PICTURE)
    with pytest.raises(dl.DataError, match="is not UTF-8; rename it"):
        dl.data.from_image_folder(tmp_path / "set")


def test_streams_remember_what_they_ignore(tmp_path):
    data = dl.data.stream_image_folder(made(tmp_path, ["train/a/1.png", "extra/1.png"], "zip"), ignore=("extra",))
    assert pickle.loads(pickle.dumps(data)).train.inputs[:].shape == (1, 3, 4)


def test_image_that_does_not_fit_ends_a_streamed_run_in_our_words(tmp_path):
    """Catches errors of the program that reads rows, which JAX would tell as its own."""
    path = made(tmp_path, ["a/1.png", "b/1.png"], "folder")
    write(path / "b" / "2.png", png(np.zeros((3, 4, 3), np.uint8)))
    data = dl.data.stream_image_folder(path)
    model = dl.data.prepared(dl.models.linear(12, 2), dl.data.unit_range, dl.data.flatten)
    training = dl.training(
        jax.random.key(0), dl.tasks.classification(model, data), optax.sgd(0.1), batch_size=3, num_steps=1
    )
    with pytest.raises(dl.DataError, match=r"b/2.png is 3 x 4 color, a/1.png is 3 x 4 gray; .* color='rgb' or 'gray'"):
        dl.run(training)


def test_a_split_beside_no_train_split_is_named(tmp_path):
    with pytest.raises(dl.DataError, match=r"test has no images of the class 'b'.* ignore=\('val/b',\)"):
        dl.data.from_image_folder(made(tmp_path, ["test/a/1.png", "val/a/1.png", "val/b/1.png"], "folder"))


def test_tar_archives_are_to_be_unpacked(tmp_path):
    with pytest.raises(
        dl.DataError, match=r"is a tar archive; expects a folder or a zip file. Unpack it, tar -xf a.tgz"
    ):
        dl.data.from_image_folder(write(tmp_path / "a.tgz", b"\x1f\x8b"))
