"""Samples are read bit by bit, whatever holds them; what is no number is refused with what to write instead."""

import re
import warnings
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from kancl.errors import InputError
from scenarios import Scenario, Task, check_scenario
from scenarios.arrays import as_tensor
from scenarios.checks.scenario import FaultyScenario
from scenarios.task import Loss

RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 4))
SINGLE = X.astype(np.float32)
LABELS = np.array([3, 0, 2, 2, 1, 3])
TABLE = pd.DataFrame(X, columns=list("abcd")).assign(label=LABELS, name=list("uvwxyz"))


def read_only(array: np.ndarray) -> np.ndarray:
    return np.frombuffer(array.tobytes(), array.dtype).reshape(array.shape)


def unaligned(array: np.ndarray) -> np.ndarray:
    """Return a view whose strides are no multiples of a number's size, as a column of a packed table has."""
    packed = np.zeros(len(array), dtype=[("flag", "i1"), ("row", array.dtype, array.shape[1:])])
    packed["row"] = array
    return packed["row"]


def in_objects(array: np.ndarray) -> np.ndarray:
    held = np.empty(len(array), dtype=object)
    held[:] = list(array)
    return held


FORMS: dict[str, tuple[Callable[[], Any], np.ndarray]] = {
    "columns flipped": (lambda: X[:, ::-1], X[:, ::-1]),
    "rows flipped": (lambda: X[::-1], X[::-1]),
    "every other row": (lambda: X[::2], X[::2]),
    "transposed": (lambda: X.T, X.T),
    "big-endian double": (lambda: X.astype(">f8"), X),
    "big-endian single": (lambda: SINGLE.astype(">f4"), SINGLE),
    "big-endian, flipped": (lambda: X.astype(">f8")[::-1], X[::-1]),
    "big-endian whole numbers": (lambda: LABELS.astype(">i2"), LABELS),
    "half precision": (lambda: X.astype(np.float16), X.astype(np.float16).astype(np.float32)),
    "extended precision that is double": (lambda: X.astype(np.longdouble), X),
    "small unsigned": (lambda: LABELS.astype(np.uint16), LABELS),
    "large unsigned": (lambda: np.array([2**63 - 1, 0], np.uint64), np.array([2**63 - 1, 0])),
    "truth values": (lambda: LABELS > 1, (LABELS > 1).astype(np.int64)),
    "read-only": (lambda: read_only(X), X),
    "packed": (lambda: unaligned(X), X),
    "one number repeated": (lambda: np.broadcast_to(np.float64(0.1), (3, 2)), np.full((3, 2), 0.1)),
    "objects": (lambda: X.astype(object), X),
    "objects, whole numbers": (lambda: LABELS.astype(object), LABELS),
    "objects, mixed": (lambda: np.array([[1, 0.5], [True, np.float32(0.25)]], dtype=object), np.array([[1, 0.5], [1, 0.25]])),
    "rows in objects": (lambda: in_objects(X), X),
    "table": (lambda: TABLE[["a", "c"]], X[:, [0, 2]]),
    "table of several kinds": (lambda: TABLE[["a", "label"]], np.column_stack([X[:, 0], LABELS])),
    "table with another index": (lambda: TABLE[["a", "c"]].iloc[3:], X[3:][:, [0, 2]]),
    "table with a column name twice": (lambda: TABLE[["a", "a"]], X[:, [0, 0]]),
    "column": (lambda: TABLE.label, LABELS),
    "column with another index": (lambda: TABLE.label.iloc[3:], LABELS[3:]),
    "nullable column": (lambda: TABLE.label.astype("Int64"), LABELS),
    "nullable table": (lambda: TABLE[["a", "label"]].convert_dtypes(), np.column_stack([X[:, 0], LABELS])),
    "sparse column of pandas": (lambda: TABLE.a.astype(pd.SparseDtype("float64", 0.0)), X[:, 0]),
    "an index": (lambda: pd.Index(LABELS), LABELS),
    "nothing masked": (lambda: np.ma.masked_invalid(X), X),
    "a matrix": (lambda: X.view(np.matrix), X),
    "tensors in a list": (lambda: [torch.tensor(row) for row in X], X),
    "trained tensors in a list": (lambda: [torch.tensor(row, requires_grad=True) for row in X], X),
    "numbers as tensors": (lambda: [torch.tensor(int(label)) for label in LABELS], LABELS),
    "tensors of bfloat16 in a list": (lambda: [torch.ones(2, dtype=torch.bfloat16)], np.ones((1, 2), np.float32)),
    "tensors and arrays": (lambda: [torch.tensor(X[0]), X[1], X[2].tolist()], X[:3]),
    "columns in a list": (lambda: [TABLE.a, TABLE.b], X[:, :2].T),
    "lists": (X.tolist, X),
    "tuples of arrays": (lambda: tuple(X), X),
    "a range": (lambda: range(5), np.arange(5)),
}


@pytest.mark.parametrize("form", FORMS)
def test_what_numpy_reads_is_read_bit_by_bit_and_in_silence(form: str) -> None:
    make, wanted = FORMS[form]
    given = make()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read = as_tensor(given, "inputs").numpy()
    assert read.dtype == wanted.dtype
    assert read.shape == wanted.shape
    assert read.tobytes() == np.ascontiguousarray(wanted).tobytes()


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "texts": (lambda: TABLE.name.to_numpy(dtype=object), r"are texts .*np.unique\(texts, return_inverse=True\)"),
    "texts of pandas": (lambda: TABLE.name, r"are texts"),
    "numbers as texts": (lambda: np.array(["1", "2"]), r"are texts .*\.astype\(float\)"),
    "a column of texts": (lambda: TABLE[["a", "name"]], r"column 'name' of inputs are texts"),
    "dates": (lambda: LABELS.astype("datetime64[s]"), r"are dates .* np.timedelta64"),
    "dates with a zone": (lambda: pd.Series(pd.to_datetime(LABELS, utc=True)), r"are dates"),
    "spans of time": (lambda: LABELS.astype("timedelta64[s]"), r"are dates"),
    "categories": (lambda: TABLE.name.astype("category"), r"are categories; give their numbers, \.cat\.codes"),
    "categories on their own": (lambda: pd.Categorical(LABELS), r"are categories"),
    "missing": (lambda: pd.Series([1, None], dtype="Int64"), r"have missing entries; leave .*\.dropna"),
    "None": (lambda: [[1.0, None]], r"have missing entries \(NoneType\)"),
    "masked": (lambda: np.ma.masked_greater(X, 0), r"have masked entries; leave .*\.filled"),
    "masked in a list": (lambda: list(np.ma.masked_greater(X, 0)), r"have masked entries"),
    "fields": (lambda: np.zeros(3, dtype=[("a", "f4"), ("b", "f4")]), r"have named fields .*structured_to_unstructured"),
    "ragged": (lambda: [[1.0, 2.0], [3.0]], r"have rows of different lengths"),
    "ragged arrays": (lambda: [np.ones(2), np.ones(3)], r"have rows of different lengths \(\(2,\) and \(3,\)\)"),
    "decimals": (lambda: [Decimal("0.1")], r"are numbers of another kind \(Decimal\); give \.astype\(float\)"),
    "strangers": (lambda: [object()], r"hold a object, which is no number"),
    "a generator": (lambda: (row for row in X), r"are of type generator; give an array"),
    "65 bits": (lambda: np.array([2**63], np.uint64), r"are whole numbers beyond 64 bits"),
    "65 bits in a tensor": (lambda: torch.tensor(np.array([2**63], np.uint64)), r"are whole numbers beyond 64 bits"),
    "70 bits": (lambda: [2**70], r"are whole numbers beyond 64 bits"),
    "whole among real, objects": (lambda: np.array([2**53 + 1, 0.5], dtype=object), r"are whole numbers beyond 2\*\*53"),
    "whole among real, columns": (
        lambda: pd.DataFrame({"a": [0.5], "id": [2**53 + 1]}),
        r"are whole numbers beyond 2\*\*53",
    ),
    "extended precision": (lambda: np.array([1, 3], np.longdouble) / 3, r"are real numbers of more than 64 bits"),
    "complex": (lambda: X * 1j, r"are complex numbers; give real and imaginary parts"),
}


@pytest.mark.parametrize("form", REFUSED)
def test_what_is_no_number_or_would_be_another_is_refused_with_the_remedy(form: str) -> None:
    make, message = REFUSED[form]
    with pytest.raises(InputError, match=message):
        as_tensor(make(), "inputs")


def test_a_sparse_matrix_is_refused() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(InputError, match=r"are a sparse matrix; give it whole: \.toarray\(\)"):
        as_tensor(sparse.csr_matrix(X), "inputs")


def test_the_refusal_names_task_part_and_side() -> None:
    good = (SINGLE, LABELS)
    with pytest.raises(InputError, match=r"task 'a': test targets are texts"):
        Task("a", good, (SINGLE, list("abcdef")))


@pytest.mark.parametrize(
    ("loss", "x", "y", "remedy"),
    [
        ("mse", np.ones((6, 2, 2, 2)), X[:, :1], r"x\.reshape\(len\(x\), -1\)"),
        ("mse", X[:, 0], X[:, :1], r"x\.reshape\(-1, 1\)"),
        ("mse", LABELS[:, None], X[:, :1], r"pixels as x / 255"),
        ("mse", X, X[:, 0], r"y\.reshape\(-1, 1\)$"),
        ("mse", X, LABELS, r"y\.reshape\(-1, 1\) \* 1\.0"),
        ("cross-entropy", X, LABELS * 1.0, r"y\.astype\(int\)"),
        ("cross-entropy", X, LABELS[:, None], r"give y\.reshape\(-1\)"),
        ("cross-entropy", X, np.eye(4)[LABELS], r"y\.argmax\(1\)"),
        ("cross-entropy", X, X, r"loss='mse'"),
    ],
)
def test_samples_of_another_shape_are_told_what_to_write(loss: Loss, x: np.ndarray, y: np.ndarray, remedy: str) -> None:
    with pytest.raises(FaultyScenario) as caught:
        check_scenario(Scenario((Task("a", (x, y), (x, y)),), loss))
    assert any(re.search(remedy, fault) for fault in caught.value.faults), caught.value.faults
