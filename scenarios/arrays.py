"""Samples as people have them, read bit by bit: whatever numpy reads as real numbers becomes a tensor with the same values.

Arrays of any byte order, strides and kind of memory, arrays of objects, nested lists of numbers, arrays and tensors, tables and
columns of pandas. What is no number, or would be another number afterwards, is refused with what to write instead.
"""

import sys
import warnings
from collections.abc import Sequence
from numbers import Number
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kancl.errors import InputError

EXACT = 2**53
"""Whole numbers up to this are the same as float64; of larger ones some are not."""
LONGEST = 2**63 - 1
KINDS = {
    "texts": (
        "give each class a number, the same one in all tasks: np.unique(texts, return_inverse=True)[1] of all of them "
        "together; texts that hold numbers are read by .astype(float)"
    ),
    "dates": "give numbers: (times - times[0]) / np.timedelta64(1, 's') are seconds since the first one",
    "categories": "give their numbers, .cat.codes, where all tasks have the same categories, or pandas.get_dummies",
    "a sparse matrix": "give it whole: .toarray()",
    "masked entries": "leave these samples out, or fill them in: .filled(value)",
    "missing entries": "leave these samples out (.dropna()), or fill them in (.fillna(value))",
    "whole numbers beyond 64 bits": "give smaller ones, or .astype(float) where rounding does no harm",
    "whole numbers beyond 2**53 among real ones": "give them apart, or .astype(float) where rounding does no harm",
    "real numbers of more than 64 bits": "give .astype(float), where rounding does no harm",
    "named fields": "give columns: numpy.lib.recfunctions.structured_to_unstructured(table)",
    "numbers of another kind": "give .astype(float)",
    "rows of different lengths": "give every sample the same number of columns",
}
"""What is refused, with what to do instead."""


def as_tensor(value: Any, what: str) -> Tensor:
    """Return numbers as a tensor in main memory: real ones as float32 or float64, whole ones as int64.

    Numbers of 16 bits become float32, and tensors are taken out of their graph. Memory is shared where it can be.

    Args:
        value: an array, a tensor, a table, a column, or nested lists of these and of numbers.
        what: they are, for messages.

    Raises:
        InputError: what cannot be read as real numbers, and what to write instead.
    """
    tensor = value if isinstance(value, Tensor) else _from_numpy(_array(value, what), what)
    if tensor.is_complex():
        raise InputError(f"{what} are complex numbers; give real and imaginary parts as columns")
    if tensor.requires_grad:  # samples are data, whatever they were computed from
        tensor = tensor.detach()
    tensor = (tensor if tensor.layout is torch.strided else tensor.to_dense()).cpu()
    if tensor.is_floating_point():
        return tensor.float() if tensor.dtype != torch.float64 else tensor
    if tensor.dtype == torch.uint64 and int(tensor.numpy().max(initial=0)) > LONGEST:
        raise _refused(what, "whole numbers beyond 64 bits")
    return tensor.long()


def _from_numpy(array: np.ndarray, what: str) -> Tensor:
    if array.dtype.kind not in "biufc" or (array.dtype.kind == "f" and array.dtype.itemsize > 8):
        array = _narrowed(array, what)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if any(stride < 0 or stride % array.itemsize for stride in array.strides) or not array.flags.aligned:
        array = array.copy()  # torch has no such views
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")  # and nothing writes to samples
        return torch.from_numpy(array)


def _narrowed(array: np.ndarray, what: str) -> np.ndarray:
    """Return what torch cannot hold as float64 if these are the same numbers; else refuse it by its kind."""
    if array.dtype.kind == "f":
        narrow = array.astype(np.float64)
        if not np.array_equal(narrow.astype(array.dtype), array, equal_nan=True):
            raise _refused(what, "real numbers of more than 64 bits")
        return narrow
    kinds = {"S": "texts", "U": "texts", "T": "texts", "M": "dates", "m": "dates"}
    named = "named fields" if array.dtype.names else "numbers of another kind"
    raise _refused(what, kinds.get(array.dtype.kind, named), str(array.dtype))


def _array(value: Any, what: str) -> np.ndarray:
    """Return an array of numbers, or of a kind that :func:`_narrowed` names."""
    if isinstance(value, Tensor):
        value = value.detach().to_dense().cpu()
        return (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    if isinstance(value, np.ma.MaskedArray):
        if np.ma.is_masked(value):
            raise _refused(what, "masked entries")
        value = value.data
    if hasattr(value, "toarray") and hasattr(value, "nnz"):
        raise _refused(what, "a sparse matrix")
    pandas = sys.modules.get("pandas")  # who gives a table has imported it
    if pandas is not None and isinstance(value, pandas.DataFrame):
        columns = [_column(value.iloc[:, place], f"column {name!r} of {what}") for place, name in enumerate(value.columns)]
        return _side_by_side(columns, what, axis=1) if columns else np.empty((len(value), 0))
    if pandas is not None and isinstance(getattr(value, "dtype", None), pandas.api.extensions.ExtensionDtype):
        if isinstance(value.dtype, pandas.CategoricalDtype):
            raise _refused(what, "categories")
        if isinstance(value.dtype, pandas.StringDtype):
            raise _refused(what, "texts")
        if value.isna().any():
            raise _refused(what, "missing entries")
    if isinstance(value, list | tuple):
        return _of_list(value, what)
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{what} are of type {type(value).__name__}, and numpy cannot read them: {error}") from error
    return array if array.dtype.kind != "O" else _of_objects(array, value, what)


def _column(column: Any, what: str) -> np.ndarray:
    array = _array(column, what)
    return array if array.dtype.kind in "biufc" else _narrowed(array, what)


def _of_objects(array: np.ndarray, value: Any, what: str) -> np.ndarray:
    if array.ndim == 0:
        raise InputError(
            f"{what} are of type {type(value).__name__}; give an array, a tensor, a table or nested lists of numbers"
        )
    return _of_list(array.tolist(), what) if array.size else np.empty(array.shape)


def _of_list(values: Sequence[Any], what: str) -> np.ndarray:
    opened = [_opened(value, what) for value in values]
    if opened and all(isinstance(value, np.ndarray) for value in opened):
        return _side_by_side(opened, what, axis=0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            array = np.array(opened)
    except (TypeError, ValueError, OverflowError) as error:
        raise _refused(what, "rows of different lengths") from error
    if array.dtype.kind == "O":
        raise _stranger(array.ravel().tolist(), what)
    if array.dtype.kind == "f" and array.size and np.nanmax(np.abs(array), initial=0) >= EXACT:
        exact = np.array(opened, dtype=object).ravel().tolist()
        if any(isinstance(number, int | np.integer) and int(number) != int(float(number)) for number in exact):
            raise _refused(what, "whole numbers beyond 2**53 among real ones")
    return array


def _opened(value: Any, what: str) -> Any:
    """Return arrays, tensors, tables and columns in nested lists as arrays, all else as it is."""
    if isinstance(value, list | tuple):
        if all(type(entry) in (int, float, bool) for entry in value):
            return value
        return _of_list(value, what) if value else value
    if isinstance(value, Tensor) or (hasattr(value, "__array__") and not isinstance(value, np.generic)):
        return _array(value, what)
    if value is np.ma.masked:
        raise _refused(what, "masked entries")
    return value


def _side_by_side(parts: Sequence[np.ndarray], what: str, axis: int) -> np.ndarray:
    """Return arrays of one shape as one, in a type that holds all their numbers."""
    shapes = {part.shape for part in parts}
    if len(shapes) > 1:
        raise _refused(what, "rows of different lengths", " and ".join(map(str, sorted(shapes)[:2])))
    for part in parts:
        if part.dtype.kind not in "biufc":
            _narrowed(part, what)
    together = np.result_type(*{part.dtype for part in parts})
    wholes = [part for part in parts if part.dtype.kind in "iu" and part.size]
    if together.kind == "f" and any(max(int(part.max()), -int(part.min())) > EXACT for part in wholes):
        raise _refused(what, "whole numbers beyond 2**53 among real ones")
    return np.stack([part.astype(together, copy=False) for part in parts], axis)


def _stranger(entries: Sequence[Any], what: str) -> InputError:
    """Return why an array of objects cannot be read: for the first that is no number of Python or numpy."""
    for entry in entries:
        kind = type(entry).__name__
        if entry is None or kind in ("NAType", "NaTType"):
            return _refused(what, "missing entries", kind)
        if isinstance(entry, str | bytes):
            return _refused(what, "texts")
        if hasattr(entry, "isoformat"):
            return _refused(what, "dates", kind)
        if isinstance(entry, list | tuple | np.ndarray):
            return _refused(what, "rows of different lengths")
        if isinstance(entry, Number) and not isinstance(entry, int | float | complex | np.number | np.bool_):
            return _refused(what, "numbers of another kind", kind)
        if not isinstance(entry, Number | np.bool_):
            return InputError(f"{what} hold a {kind}, which is no number")
    return _refused(what, "whole numbers beyond 64 bits")


def _refused(what: str, kind: str, detail: str = "") -> InputError:
    verb = "have" if kind.startswith(("rows", "named", "masked", "missing")) else "are"
    return InputError(f"{what} {verb} {kind}{f' ({detail})' if detail else ''}; {KINDS[kind]}")
