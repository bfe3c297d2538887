"""MNIST, Fashion-MNIST and CIFAR-10 by name: found in `DLCORE_DATA` or the cache, else downloaded."""

import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from dlcore.core.arguments import NONE, Constraint, RefusedError, arguments
from dlcore.core.dataset import Dataset
from dlcore.core.errors import DataError
from dlcore.data.parameters import BYTES, FRACTION, SEED
from dlcore.data.read.cifar import CIFAR10_CLASSES, from_cifar
from dlcore.data.read.files import MAX_BYTES, cache_folder, data_folders
from dlcore.data.read.idx import from_idx
from dlcore.data.sets.download import check_scheme, checksum, download


class Named(NamedTuple):
    """Files of a data set.

    base_url: folder they are downloaded from; files: name to SHA-256; source: who made them.
    """

    name: str
    base_url: str
    files: Mapping[str, str]
    source: str
    classes: tuple[str, ...]


# Checksums as TensorFlow Datasets records them (tensorflow_datasets/url_checksums/).
MNIST = Named(
    "mnist",
    "https://storage.googleapis.com/cvdf-datasets/mnist",
    {
        "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    },
    "LeCun, Cortes, Burges, The MNIST database",
    tuple("0123456789"),
)
FASHION_MNIST = Named(
    "fashion-mnist",
    "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion",
    {
        "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    },
    "Xiao, Rasul, Vollgraf, Fashion-MNIST, arXiv:1708.07747",
    ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
CIFAR10 = Named(
    "cifar10",
    "https://www.cs.toronto.edu/~kriz",
    {"cifar-10-binary.tar.gz": "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"},
    "Krizhevsky, Learning multiple layers of features from tiny images, 2009",
    CIFAR10_CLASSES,
)


def _accept_address(value: Any) -> str:
    try:
        check_scheme(value)
    except (DataError, ValueError, TypeError, AttributeError):
        raise RefusedError from None
    if not value.isascii() or not value.isprintable() or " " in value:
        raise RefusedError("Write other characters than letters, digits and signs as %20.")
    return value


ADDRESS = Constraint("the address of a folder: https://..., or http:// on this machine", _accept_address)
PARAMETERS = {"validation": FRACTION, "seed": SEED, "base_url": ADDRESS | NONE, "max_bytes": BYTES}


@arguments(**PARAMETERS)
def mnist(
    *, validation: float = 0.0, seed: int = 0, base_url: str | None = None, max_bytes: int = MAX_BYTES
) -> Dataset:
    """70 000 hand-written digits, uint8 [N, 28, 28]; 60 000 to train, 10 000 to test; 10 classes.

    Args:
      validation, seed: as in `from_arrays`; stratified.
      base_url: of a mirror, where the files have the same names and contents.
      max_bytes: most that a file may hold, as it is downloaded and as it is unpacked.

    Raises:
      DataError: not found and not downloaded; a file with another checksum.

    Example:
      >>> dl.data.mnist().train.inputs.shape  # doctest: +SKIP
      (60000, 28, 28)
    """
    return _idx(MNIST, validation, seed, base_url, max_bytes)


@arguments(**PARAMETERS)
def fashion_mnist(
    *, validation: float = 0.0, seed: int = 0, base_url: str | None = None, max_bytes: int = MAX_BYTES
) -> Dataset:
    """70 000 pictures of clothes, uint8 [N, 28, 28]; 60 000 to train, 10 000 to test; 10 classes. As `mnist`.

    Raises:
      DataError: not found and not downloaded; a file with another checksum; a fraction that leaves a split without
        rows.

    Example:
      >>> dl.data.fashion_mnist().target_names[:3]  # doctest: +SKIP
      ('T-shirt/top', 'Trouser', 'Pullover')
    """
    return _idx(FASHION_MNIST, validation, seed, base_url, max_bytes)


@arguments(**PARAMETERS)
def cifar10(
    *, validation: float = 0.0, seed: int = 0, base_url: str | None = None, max_bytes: int = MAX_BYTES
) -> Dataset:
    """60 000 photographs, uint8 [N, 32, 32, 3]; 50 000 to train, 10 000 to test; 10 classes. As `mnist`.

    Raises:
      DataError: not found and not downloaded; a file with another checksum; a fraction that leaves a split without
        rows.

    Example:
      >>> dl.data.cifar10().train.inputs.shape  # doctest: +SKIP
      (50000, 32, 32, 3)
    """
    (path,) = locate(CIFAR10, base_url, max_bytes).values()
    return from_cifar(
        path,
        validation=validation,
        seed=seed,
        target_names=CIFAR10.classes,
        max_bytes=max_bytes,
        **_described(CIFAR10),
    )


def locate(named: Named, base_url: str | None = None, max_bytes: int = MAX_BYTES) -> dict[str, pathlib.Path]:
    """Each file of a named data set: where it is, after a download if need be.

    It is looked for in the folders of `data_folders()` and the folders in them. Several data sets share file names, so
    a file counts only if its checksum is right.
    """
    return {
        name: _found(name, sha256) or _fetched(named, name, base_url, max_bytes) for name, sha256 in named.files.items()
    }


def _found(name: str, sha256: str) -> pathlib.Path | None:
    for folder in data_folders():
        for path in [folder / name, *sorted(folder.glob(f"*/{name}"))]:
            if path.is_file() and checksum(path) == sha256:
                return path
    return None


def _fetched(named: Named, name: str, base_url: str | None, max_bytes: int) -> pathlib.Path:
    target = cache_folder() / "data" / named.name / name
    if target.exists():  # it was not found, so it has another checksum: a damaged disk, or somebody changed it
        target.unlink()
    try:
        url = f"{(base_url or named.base_url).rstrip('/')}/{name}"
        return download(url, target, named.files[name], max_bytes=max_bytes)
    except OSError as error:
        raise DataError(f"{name} of {named.name} cannot be stored at {target}: {error}. Set DLCORE_CACHE.") from error


def _idx(named: Named, validation: float, seed: int, base_url: str | None, max_bytes: int) -> Dataset:
    paths = locate(named, base_url, max_bytes)
    images, labels, test_images, test_labels = (paths[name] for name in named.files)
    return from_idx(
        images,
        labels,
        test_images=test_images,
        test_labels=test_labels,
        validation=validation,
        seed=seed,
        target_names=named.classes,
        max_bytes=max_bytes,
        **_described(named),
    )


def _described(named: Named) -> dict[str, Any]:
    return {"name": named.name, "source": named.source}
