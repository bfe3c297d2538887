"""scikit-learn's digits, read from its file: importing scikit-learn takes 0.5 s."""

import gzip
import hashlib
import importlib.util
import pathlib

import numpy as np

FILE = "datasets/data/digits.csv.gz"
SHA256 = "6ebb3d2fee246a4e99363262ddf8a00a3c41bee6014c373ed9d9216ba7f651b8"  # of the unpacked file


def digits_table() -> tuple[np.ndarray, np.ndarray]:
    """Pixels 0 to 16, float64 [1797, 64], and labels, int64 [1797].

    Where another version of scikit-learn keeps them otherwise, it is asked for them.
    """
    found = importlib.util.find_spec("sklearn")
    for folder in (found and found.submodule_search_locations) or ():
        try:
            content = gzip.decompress(pathlib.Path(folder, FILE).read_bytes())
        except (OSError, EOFError):
            continue
        if hashlib.sha256(content).hexdigest() == SHA256:
            table = np.loadtxt(content.decode().splitlines(), delimiter=",")
            return table[:, :-1], table[:, -1].astype(np.int64)
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return bunch.data, bunch.target  # pyright: ignore[reportAttributeAccessIssue]
