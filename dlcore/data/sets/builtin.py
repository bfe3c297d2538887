"""Real data sets that ship with scikit-learn: no file, no network."""

from typing import Any

import numpy as np

from dlcore.core.arguments import arguments
from dlcore.core.dataset import Dataset
from dlcore.data.arrange.splits import from_arrays
from dlcore.data.parameters import FRACTION, SEED
from dlcore.data.prepare.normalization import standardize
from dlcore.data.sets.digits_file import digits_table

SHARES = {"validation": FRACTION, "test": FRACTION, "seed": SEED}


@arguments(**SHARES)
def digits(*, validation: float = 0.1, test: float = 0.2, seed: int = 0) -> Dataset:
    """1 797 hand-written digits, 8x8 pixels flattened to [N, 64] in [0, 1]; 10 classes; stratified split.

    Raises:
      ArgumentError: `validation` and `test` sum to 1 or more.
      DataError: a fraction that leaves a split without rows, or train without a row of a class.

    Example:
      >>> dl.data.digits(validation=0.0, test=0.5).train.inputs.shape
      (899, 64)
    """
    pixels, labels = digits_table()
    return from_arrays(
        pixels / 16.0,
        labels,
        validation=validation,
        test=test,
        seed=seed,
        stratify=True,
        name="digits",
        source="scikit-learn load_digits (UCI, Alpaydin and Kaynak 1998)",
        target_names=tuple(str(name) for name in range(10)),
        normalization="pixels 0 to 16 scaled to [0, 1]",
        image_shape=(8, 8),
    )


@arguments(**SHARES)
def iris(*, validation: float = 0.0, test: float = 0.2, seed: int = 0) -> Dataset:
    """150 iris flowers, 4 standardized measurements, 3 classes; stratified split.

    Raises:
      ArgumentError: `validation` and `test` sum to 1 or more.
      DataError: a fraction that leaves a split without rows, or train without a row of a class.

    Example:
      >>> dl.data.iris(test=0.2).train.inputs.shape
      (120, 4)
    """
    return _tabular("iris", "scikit-learn load_iris (Fisher 1936)", validation, test, seed)


@arguments(**SHARES)
def wine(*, validation: float = 0.0, test: float = 0.2, seed: int = 0) -> Dataset:
    """178 wines, 13 standardized chemical measurements, 3 classes; stratified split.

    Raises:
      ArgumentError: `validation` and `test` sum to 1 or more.
      DataError: a fraction that leaves a split without rows, or train without a row of a class.

    Example:
      >>> dl.data.wine().train.inputs.shape
      (142, 13)
    """
    return _tabular("wine", "scikit-learn load_wine (UCI, Aeberhard and Forina 1991)", validation, test, seed)


@arguments(**SHARES)
def breast_cancer(*, validation: float = 0.0, test: float = 0.2, seed: int = 0) -> Dataset:
    """569 tumors, 30 standardized measurements, 2 classes (0 malignant, 1 benign); stratified split.

    Raises:
      ArgumentError: `validation` and `test` sum to 1 or more.
      DataError: a fraction that leaves a split without rows, or train without a row of a class.

    Example:
      >>> dl.data.breast_cancer().target_names
      ('malignant', 'benign')
    """
    source = "scikit-learn load_breast_cancer (UCI, Wolberg et al. 1995)"
    return _tabular("breast_cancer", source, validation, test, seed)


@arguments(**SHARES)
def diabetes(*, validation: float = 0.0, test: float = 0.2, seed: int = 0) -> Dataset:
    """442 patients, 10 measurements, disease progression a year later as target [N]; all standardized.

    Raises:
      ArgumentError: `validation` and `test` sum to 1 or more.
      DataError: a fraction that leaves a split without rows.

    Example:
      >>> dl.data.diabetes().train.targets.shape
      (354,)
    """
    bunch = _load("diabetes")
    source = "scikit-learn load_diabetes (Efron et al. 2004)"
    splits = from_arrays(
        bunch.data,
        bunch.target,
        validation=validation,
        test=test,
        seed=seed,
        name="diabetes",
        source=source,
        input_names=tuple(bunch.feature_names),
    )
    return standardize(splits, targets=True)


def _tabular(name: str, source: str, validation: float, test: float, seed: int) -> Dataset:
    bunch = _load(name)
    return standardize(
        from_arrays(
            bunch.data,
            bunch.target.astype(np.int32),
            validation=validation,
            test=test,
            seed=seed,
            stratify=True,
            name=name,
            source=source,
            target_names=tuple(str(label) for label in bunch.target_names),
            input_names=tuple(map(str, bunch.feature_names)),
        )
    )


def _load(name: str) -> Any:
    import sklearn.datasets  # 0.5 s to import

    return getattr(sklearn.datasets, f"load_{name}")()
