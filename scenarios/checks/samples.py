"""Whether the samples of every task have shapes and values that can be trained on, and what to write where they have not."""

from collections.abc import Iterator

from torch import Tensor

from scenarios.task import Scenario, Task, listed


def shape_faults(scenario: Scenario) -> Iterator[str]:
    """Yield every part of a task whose inputs or targets have another form than the scenario's loss asks for."""
    classes = scenario.loss == "cross-entropy"
    inputs = next((task.train[0].shape[1] for task in scenario.tasks if task.train[0].ndim == 2), 0)
    for task in scenario.all_tasks:
        for part in ("train", "test"):
            x, y = getattr(task, part)
            where = f"task {task.name!r}, {part}"
            if x.ndim == 0 or y.ndim == 0:
                yield f"{where}: expected arrays of samples, got single numbers"
                continue
            if x.ndim != 2 or not x.is_floating_point():
                yield f"{where}: inputs must be real numbers of shape (N, I), got {_describe(x)}{_input_remedy(x)}"
            elif len(x) == 0:
                yield f"{where}: there are no samples"
            elif x.shape[1] == 0:
                yield f"{where}: inputs have no column; give every sample one number or more"
            elif x.shape[1] != inputs:
                yield f"{where}: inputs have {x.shape[1]} columns, those of the first task {inputs}"
            if classes and (y.ndim != 1 or y.is_floating_point()):
                yield f"{where}: targets must be class numbers of shape (N,), got {_describe(y)}{_class_remedy(y)}"
            elif not classes:
                columns = "R" if part == "train" and scenario.operator is not None else scenario.outputs  # R: see operators.py
                if y.ndim != 2 or not y.is_floating_point() or columns not in ("R", y.shape[1]):
                    wanted = f"real numbers of shape (N, {columns})"
                    yield f"{where}: targets must be {wanted}, got {_describe(y)}{_target_remedy(y)}"
            if len(x) != len(y):
                yield f"{where}: {len(x)} inputs but {len(y)} targets; give every input one target"


def _input_remedy(x: Tensor) -> str:
    """Return what to write instead of inputs that were given in another form."""
    if x.ndim > 2:
        return "; give each sample as one row: x.reshape(len(x), -1)"
    if x.ndim == 1:
        return "; give a single input as a column: x.reshape(-1, 1)"
    return "; give whole numbers as real ones, e.g. pixels as x / 255 and counts as x * 1.0"


def _class_remedy(y: Tensor) -> str:
    if y.ndim == 2 and y.shape[1] == 1:
        return "; give y.reshape(-1)"
    if y.ndim == 2 and len(y) and bool(((y != 0).sum(1) == 1).all()):
        return "; they look one-hot: give y.argmax(1)"
    if y.ndim == 1 and bool((y == y.floor()).all()):
        return "; give y.astype(int), of a tensor y.long()"
    return "; one class a sample is what cross-entropy is for: targets of another kind are learned with loss='mse'"


def _target_remedy(y: Tensor) -> str:
    if y.ndim == 1:
        return "; give a single output as a column: y.reshape(-1, 1)" + ("" if y.is_floating_point() else " * 1.0")
    return "" if y.is_floating_point() else "; give whole numbers as real ones: y * 1.0"


def value_faults(scenario: Scenario, task: Task) -> Iterator[str]:
    """Yield what is wrong with the numbers of a task whose shapes are right: its head, NaN, infinity, labels out of range."""
    outputs = scenario.outputs or 0
    active = task.active
    if active is not None and (not active or len(set(active)) < len(active) or not 0 <= min(active) <= max(active) < outputs):
        yield f"task {task.name!r}: active must name different output units below {outputs}, got {task.active}"
        return
    for part in ("train", "test"):
        x, y = getattr(task, part)
        where = f"task {task.name!r}, {part}"
        if not all(bool(end.isfinite()) for end in x.aminmax()):  # NaN is its own extreme
            yield f"{where}: inputs hold NaN or infinity in {_broken(x)} samples; leave these out, or fill them in"
        if scenario.loss == "mse":
            if not bool(y.isfinite().all()):
                yield f"{where}: targets hold NaN or infinity in {_broken(y)} samples; leave these out"
        else:
            labels = y.unique().tolist()
            wrong = [label for label in labels if (label not in active if active is not None else not 0 <= label < outputs)]
            if wrong:
                units = f"active output units {listed(active)}" if active is not None else f"{outputs} output units from 0"
                ids = min(wrong) < 0 or max(wrong) >= outputs
                remedy = "; leave samples without a label out, or number the labels by scenarios.remap" if ids else ""
                yield f"{where}: labels {listed(wrong)} are not among the {units}{remedy}"


def _broken(values: Tensor) -> str:
    return f"{int((~values.isfinite()).any(1).sum())} of {len(values)}"


def _describe(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} of shape {tuple(tensor.shape)}"
