"""Options: a builder's signature is the schema of its options.

``gaussian-peaks:tasks=7,slope=0.2`` names a builder and sets options; each is coerced by its parameter's annotation, and
what is missing is filled in from the defaults, so that a stored configuration never depends on a default that may change.
"""

import difflib
import inspect
import json
import math
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

from kancl.errors import InputError, is_interrupt, one_line
from kancl.registry import Builder, Registry, place_of

if TYPE_CHECKING:
    from pydantic import TypeAdapter

PLAIN = (str, int, float, bool, type(None))

LATER = "later"
"""``option: Annotated[int, LATER] = 3`` marks an option that is younger than the first stored results of its builder. At its
default it means what was done before it existed, and is not spelled out then, so what is stored keeps its name. Such a
default must never change."""


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
        given = ",".join(f"{key}={_written(value)}" for key, value in self.options.items())
        return f"{name}:{given}" if given else name


def parse_spec(text: str) -> Spec:
    """Read ``name``, ``name:key=value,...`` or ``path.py:name:key=value,...``.

    A list is written ``hidden=12x13`` or ``hidden=[12,13]``, of texts ``names=["a","b"]`` or ``names=[a,b]``; ``none``,
    ``true`` and ``false`` are what they say; a text that looks like one of these, or like a number, is put in quotes:
    ``title="1.10"``.

    >>> parse_spec("mlp:hidden=12x13,activation=tanh").options
    {'hidden': [12, 13], 'activation': 'tanh'}
    """
    if len(text) > LONGEST:
        raise InputError(f"a name with its options has at most {LONGEST:,} characters, got {len(text):,}: {text[:60]!r}...")
    match = re.fullmatch(r"(?P<name>(?:.*\.py:)?[^:]+)(?::(?P<options>.*))?", text.strip(), re.DOTALL)
    if match is None:
        raise InputError(f"{text!r} is not of the form name:option=value,option=value")
    options: dict[str, Any] = {}
    for part in _split(match["options"] or ""):
        key, equals, value = part.partition("=")
        name = key.strip().replace("-", "_")
        if not equals or not name.isidentifier():
            raise InputError(f"{text!r}: expected option=value, got {part!r}")
        if name in options:
            raise InputError(f"{text!r}: option {name} is given twice")
        options[name] = _read(value.strip())
    return Spec(match["name"], options)


def resolve(builder: Builder, spec: Spec, reserved: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return all options of a builder as plain JSON values: those of ``spec`` coerced, the others at their defaults.

    Options marked ``LATER`` are left out where they have their defaults.

    Args:
        builder: a function with typed keyword options; its signature is the schema.
        spec: the options that were given.
        reserved: the names of the parameters that the caller fills in and that are no options.

    Raises:
        InputError: an unknown option (with near misses), or a value that its annotation does not allow.
    """
    parameters = schema(builder, reserved)
    check_names(spec, parameters)
    resolved = {}
    for key, parameter in parameters.items():
        adapter = _adapter(spec.name, key, parameter)
        if key not in spec.options and parameter.default is inspect.Parameter.empty:
            raise InputError(f"{spec.name} needs its option {key}: give {spec.name}:{key}=...")
        value = spec.options.get(key, parameter.default)
        resolved[key] = adapter.dump_python(_coerce(adapter, spec.name, key, value, parameter.annotation), mode="json")
        if _is_later(parameter) and resolved[key] == adapter.dump_python(parameter.default, mode="json"):
            del resolved[key]
    return resolved


def check_names(spec: Spec, known: Iterable[str]) -> None:
    """See that every option of ``spec`` is known.

    Raises:
        InputError: one that is not, with the near miss.
    """
    names = list(known)
    for key in spec.options:
        if key not in names:
            near = difflib.get_close_matches(key, names, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"it has: {', '.join(names) or 'none'}"
            raise InputError(f"{spec.name} has no option {key!r}; {hint}")


def build(builder: Builder, spec: Spec, **reserved: Any) -> Any:
    """Call a builder with resolved options and the reserved arguments; what it refuses becomes an :class:`InputError`."""
    options = resolve(builder, spec, tuple(reserved))
    parameters = schema(builder, tuple(reserved))
    typed = {key: _adapter(spec.name, key, parameters[key]).validate_python(value) for key, value in options.items()}
    try:
        return builder(**reserved, **typed)
    except InputError as error:
        raise InputError(f"{spec.name}: {error}") from error
    except BaseException as error:
        if is_interrupt(error):
            raise
        raise InputError(f"{spec.name} failed with {one_line(error)}{place_in(error, builder)}") from error


def complete(registry: Registry, spec: Spec, reserved: tuple[str, ...] = ()) -> Spec:
    """Return ``spec`` with every option of its builder spelled out."""
    return Spec(spec.name, resolve(registry.get(spec.name), spec, reserved))


def schema(builder: Builder, reserved: tuple[str, ...] = ()) -> dict[str, inspect.Parameter]:
    """Return the parameters of a builder that are options, by name."""
    parameters = _parameters(builder)
    for fault in _argument_faults(builder, parameters, reserved):
        raise InputError(fault)
    return {key: parameter for key, parameter in parameters.items() if key not in reserved}


def signature_faults(builder: Builder, reserved: tuple[str, ...] = ()) -> list[str]:
    """Return everything that is wrong with a builder's signature, not just what :func:`schema` would refuse first."""
    try:
        parameters = _parameters(builder)
    except InputError as error:
        return [str(error)]
    found = list(_argument_faults(builder, parameters, reserved))
    for key, parameter in parameters.items():
        empty = inspect.Parameter.empty
        if key in reserved or not _is_option(parameter) or empty in (parameter.annotation, parameter.default):
            continue
        try:
            adapter = _adapter(_name(builder), key, parameter)
            _coerce(adapter, f"the default of {_name(builder)}", key, parameter.default, parameter.annotation)
        except InputError as error:
            found.append(str(error))
    return found


def _parameters(builder: Builder) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(builder, eval_str=True).parameters
    except Exception as error:  # evaluating a textual annotation runs the user's text
        raise InputError(f"the signature of {_name(builder)} cannot be read: {one_line(error)}") from error


def _argument_faults(builder: Builder, parameters: Mapping[str, inspect.Parameter], reserved: tuple[str, ...]) -> Iterator[str]:
    name = _name(builder)
    for required in reserved:
        if required not in parameters:
            yield f"{name} must take the argument {required!r}; its signature is {inspect.signature(builder)}"
    for key, parameter in parameters.items():
        if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
            yield f"{name} takes {key!r} by position only; leave out the / in its signature, since arguments are given by name"
        elif key in reserved:
            continue
        elif not _is_option(parameter):
            yield f"{name} takes *{key}; options must be named one by one, since the signature is their schema"
        elif parameter.annotation is inspect.Parameter.empty:
            yield f"option {key!r} of {name} has no type annotation; write e.g. {key}: int = 3"


def _is_option(parameter: inspect.Parameter) -> bool:
    return parameter.kind not in (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)


def _name(builder: Builder) -> str:
    return getattr(builder, "__name__", repr(builder))


def show_type(parameter: inspect.Parameter) -> str:
    """Return an option's type as text."""
    return inspect.formatannotation(_plain_annotation(parameter.annotation)).replace("typing.", "")


def _adapter(name: str, key: str, parameter: inspect.Parameter) -> "TypeAdapter[Any]":
    from pydantic.errors import PydanticUserError  # on use: slow to import, and the command line's help needs none of it

    annotation = parameter.annotation
    # Its text too, since int | str equals str | int and reads otherwise. What cannot be a key is made anew.
    make = _made if isinstance(annotation, Hashable) else _made.__wrapped__
    try:
        return make(annotation, repr(annotation))
    except PydanticUserError as error:
        shown = show_type(parameter)
        raise InputError(
            f"option {key!r} of {name} has the type {shown}; options are numbers, texts, and tuples of them"
        ) from error


@lru_cache(1024)
def _made(annotation: Any, text: str) -> "TypeAdapter[Any]":
    """Return the adapter of a type: it takes a hundred times as long to make as to use."""
    from pydantic import TypeAdapter

    adapter: TypeAdapter[Any] = TypeAdapter(annotation)
    adapter.json_schema()  # a type that JSON does not know could not be stored
    return adapter


def _coerce(adapter: "TypeAdapter[Any]", name: str, key: str, value: Any, annotation: Any) -> Any:
    from pydantic import ValidationError

    annotation = _plain_annotation(annotation)
    candidates = [value]
    if value is None:
        candidates += ["none"] if "none" in get_args(annotation) else []  # a choice that is called none
    elif isinstance(value, PLAIN):
        candidates += [[value], _show(value)]  # hidden=5 is a list of one; a text option may look like a number
    for candidate in candidates:
        try:
            coerced = adapter.validate_python(candidate)
        except ValidationError:
            continue
        if _is_plain(coerced) and not (isinstance(value, bool) and isinstance(coerced, int | float) and coerced is not value):
            return coerced
    expected = re.sub(r"\b(typing|collections\.abc)\.", "", inspect.formatannotation(annotation))
    raise InputError(f"{name}: option {key} expects {expected}, got {value!r}")


def _is_later(parameter: inspect.Parameter) -> bool:
    return get_origin(parameter.annotation) is Annotated and LATER in parameter.annotation.__metadata__


def _plain_annotation(annotation: Any) -> Any:
    """Return the type without the mark of a later option."""
    return get_args(annotation)[0] if get_origin(annotation) is Annotated and LATER in annotation.__metadata__ else annotation


def _is_plain(value: Any) -> bool:
    """Tell whether every number in a value is finite; JSON knows no others."""
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return not isinstance(value, float) or math.isfinite(value)


def place_in(error: BaseException, builder: Builder) -> str:
    """Return where in the builder's own file an error came from, or else where it was raised, as `` (file:line)``."""
    file = inspect.getsourcefile(inspect.unwrap(builder))
    return (place_of(error, Path(file)) if file else "") or place_of(error)


def _split(text: str, opening: str = "[", closing: str = "]") -> list[str]:
    """Split at the commas that are neither inside brackets nor inside a text in quotes."""
    parts, depth = [""], 0
    for piece in re.findall(r'"(?:[^"\\]|\\.)*"|.', text, re.DOTALL):
        depth += (piece in opening) - (piece in closing)
        if piece == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += piece
    return [part for part in parts if part.strip()]


def _read(text: str) -> Any:
    if text.lower() in ("none", "null"):
        return None
    if re.fullmatch(r"\d+(x\d+)+", text):
        return [int(part) for part in text.split("x")]
    try:
        return json.loads(
            text.lower() if text.lower() in ("true", "false") else text, parse_constant=_refuse_constant, parse_float=_finite
        )
    except InputError:  # a ValueError, as what follows
        raise
    except RecursionError as error:
        raise InputError(f"an option value is nested too deeply: {text[:20]}...") from error
    except ValueError:  # no JSON, or a whole number of thousands of digits
        # Shells take quotes away: [I.6.2,min(x,0)].
        if len(text) > 1 and text[0] == "[" and text[-1] == "]" and '"' not in text:
            return [_read(part.strip()) for part in _split(text[1:-1], "[(", "])")]
        return text


def _finite(number: str) -> float:
    if math.isinf(float(number)):  # of no use as a number, and as a text it is read back as what it was
        raise ValueError(f"{number} is more than a number of 64 bits can be")
    return float(number)


def _refuse_constant(name: str) -> Any:
    raise InputError(f"{name} is not a usable option value; give a finite number")


def _written(value: Any) -> str:
    """Return a value as :func:`parse_spec` reads it: in quotes where a text would be read as something else."""
    if not isinstance(value, str):
        return _show(value)
    try:
        plain = _read(value) == value == value.strip() and not set(value) & set('",[]')
    except InputError:
        plain = False
    return value if plain else json.dumps(value, ensure_ascii=False)


def _show(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, list | tuple):
        plain = len(value) > 1 and all(type(item) is int and item >= 0 for item in value)
        return "x".join(map(str, value)) if plain else json.dumps(list(value), separators=(",", ":"))
    return str(value).lower() if isinstance(value, bool) else str(value)
