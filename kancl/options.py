"""Options: a builder's signature is the schema of its options.

``gaussian-peaks:tasks=7,slope=0.2`` names a builder and sets options; each is coerced by its parameter's annotation, and
what is missing is filled in from the defaults, so that a stored configuration never depends on a default that may change.
"""

import inspect
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kancl.errors import InputError, is_interrupt, one_line
from kancl.option_texts import read, split, written
from kancl.registry import Builder, Registry, place_of
from kancl.signatures import Option, is_option, name_of, signature_of
from kancl.text import near_misses

LONGEST = 10_000
"""Characters of a name with its options at most."""


@dataclass(frozen=True)
class Spec:
    """A builder's name and the options given for it, as plain values."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The text that :func:`parse_spec` reads back, e.g. ``kan:base=silu,hidden=5``."""
        name = self.name.removeprefix("./")
        given = ",".join(f"{key}={written(value)}" for key, value in self.options.items())
        return f"{name}:{given}" if given else name


def parse_spec(text: str) -> Spec:
    """Read ``name``, ``name:key=value,...`` or ``path.py:name:key=value,...``.

    A list is written ``hidden=12x13`` or ``hidden=[12,13]``, of texts ``names=["a","b"]`` or ``names=[a,b]``; ``none``,
    ``true`` and ``false`` are what they say; a text that looks like one of these, or like a number, is put in quotes:
    ``title="1.10"``.

    Args:
        text: as it stands on the command line.

    Raises:
        InputError: what cannot be read, and how it is written.

    >>> parse_spec("mlp:hidden=12x13,activation=tanh").options
    {'hidden': [12, 13], 'activation': 'tanh'}
    """
    if len(text) > LONGEST:
        raise InputError(f"a name with its options has at most {LONGEST:,} characters, got {len(text):,}: {text[:60]!r}...")
    match = re.fullmatch(r"(?P<name>(?:.*\.py:)?[^:]+)(?::(?P<options>.*))?", text.strip(), re.DOTALL)
    if match is None:
        raise InputError(f"{text!r} is not of the form name:option=value,option=value")
    options: dict[str, Any] = {}
    for part in split(match["options"] or ""):
        key, equals, value = part.partition("=")
        name = key.strip().replace("-", "_")
        if not equals or not name.isidentifier():
            raise InputError(f"{text!r}: expected option=value, got {part!r}")
        if name in options:
            raise InputError(f"{text!r}: option {name} is given twice")
        options[name] = read(value.strip())
    return Spec(match["name"], options)


def resolve(builder: Builder, spec: Spec, reserved: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return all options of a builder as plain JSON values: those of ``spec`` coerced, the others at their defaults.

    Options marked ``LATER`` are left out where they have their defaults.

    Args:
        builder: a function with typed keyword options; its signature is the schema.
        spec: the options that were given.
        reserved: the names of the parameters that the caller fills in and that are no options.

    Raises:
        InputError: all unknown options (with near misses) and values that annotations do not allow, and those that are missing
            unless an unknown one may be what was meant.
    """
    known = signature_of(builder).options(reserved)
    resolved: dict[str, Any] = {}
    faults: list[InputError] = []
    try:
        check_names(spec, known)
    except InputError as error:
        faults.append(error)
    strangers = bool(faults)
    for key, option in known.items():
        if strangers and key not in spec.options:
            continue
        try:
            value = option.plain(spec.name, spec.options[key]) if key in spec.options else option.default(spec.name)
            if not option.left_out(spec.name, value):
                resolved[key] = value
        except InputError as error:
            faults.append(error)
    if len(faults) == 1:
        raise faults[0]
    if faults:
        raise InputError("; ".join(map(str, faults)))
    return resolved


def check_names(spec: Spec, known: Iterable[str]) -> None:
    """See that every option of ``spec`` is known.

    Args:
        spec: the options that were given.
        known: the names of those that there are.

    Raises:
        InputError: those that are not, each with the near miss.
    """
    names = list(known)
    faults = []
    for key in spec.options:
        if key not in names:
            near = near_misses(key, names, most=1)
            hint = f"did you mean {near[0]}?" if near else f"it has: {', '.join(names) or 'none'}"
            faults.append(f"{spec.name} has no option {key!r}; {hint}")
    if faults:
        raise InputError("; ".join(faults))


def build(builder: Builder, spec: Spec, **reserved: Any) -> Any:
    """Call a builder with resolved options and the reserved arguments.

    Args:
        builder: a function with typed keyword options.
        spec: the options that were given.
        reserved: arguments that are no options, by name.

    Raises:
        InputError: options that cannot be resolved (:func:`resolve`), what the builder refused, or how it failed.

    >>> def area(side: float, scale: float = 1.0) -> float:
    ...     return scale * side**2
    >>> build(area, Spec("area", {"scale": "2"}), side=3.0)
    18.0
    """
    plain = resolve(builder, spec, tuple(reserved))
    known = signature_of(builder).options(tuple(reserved))
    typed = {key: known[key].adapter(spec.name).validate_python(value) for key, value in plain.items()}
    try:
        return builder(**reserved, **typed)
    except InputError as error:
        raise InputError(f"{spec.name}: {error}") from error
    except BaseException as error:
        if is_interrupt(error):
            raise
        raise InputError(f"{spec.name} failed with {one_line(error)}{place_in(error, builder)}") from error


def complete(registry: Registry, spec: Spec, reserved: tuple[str, ...] = ()) -> Spec:
    """Return ``spec`` with every option of its builder spelled out.

    Args:
        registry: knows the builder.
        spec: the builder's name and the options that were given.
        reserved: the names of the parameters that are no options.

    Raises:
        InputError: as :func:`resolve`, or an unknown name.
    """
    return Spec(spec.name, resolve(registry.get(spec.name), spec, reserved))


def schema(builder: Builder, reserved: tuple[str, ...] = ()) -> dict[str, inspect.Parameter]:
    """Return the parameters of a builder that are options, by name.

    Args:
        builder: a function with typed keyword options.
        reserved: the names of the parameters that are no options.

    Raises:
        InputError: a signature that is no schema, such as one with a parameter without a type.
    """
    return {key: option.parameter for key, option in signature_of(builder).options(reserved).items()}


def signature_faults(builder: Builder, reserved: tuple[str, ...] = ()) -> list[str]:
    """Return everything that is wrong with a builder's signature, not just what :func:`schema` would refuse first.

    Args:
        builder: a function with typed keyword options.
        reserved: the names of the parameters that are no options.
    """
    try:
        signature = signature_of(builder)
    except InputError as error:
        return [str(error)]
    name, found, empty = name_of(builder), list(signature.faults(reserved)), inspect.Parameter.empty
    for key, parameter in signature.parameters.items():
        if key in reserved or not is_option(parameter) or empty in (parameter.annotation, parameter.default):
            continue
        option = Option(key, parameter)
        try:
            option.adapter(name)
            option.plain(f"the default of {name}", parameter.default)
        except InputError as error:
            found.append(str(error))
    return found


def place_in(error: BaseException, builder: Builder) -> str:
    """Return where in the builder's own file an error came from, or else where it was raised, as `` (file:line)``.

    Args:
        error: with its traceback.
        builder: what was called.
    """
    file = inspect.getsourcefile(inspect.unwrap(builder))
    return (place_of(error, Path(file)) if file else "") or place_of(error)
