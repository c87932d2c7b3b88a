"""A builder's signature as the schema of its options: read once for each builder, and kept with it."""

import inspect
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

from kancl.errors import InputError, one_line
from kancl.option_texts import show
from kancl.registry import Builder

if TYPE_CHECKING:
    from pydantic import TypeAdapter

LATER = "later"
"""``option: Annotated[int, LATER] = 3`` marks an option that is younger than the first stored results of its builder. At its
default it means what was done before it existed, and is not spelled out then, so what is stored keeps its name. Such a
default must never change."""

PLAIN = (str, int, float, bool, type(None))
KEPT = "__kancl_signature__"
"""The attribute under which a builder has its signature as it was read: an edited one is another builder, and has its own."""


class Option:
    """One option of a builder: its parameter, and what reads its values.

    To make what reads a type takes a hundred times as long as to read with it, and a sweep reads each option thousands of
    times; so it is made when it is first asked for, and kept.
    """

    def __init__(self, key: str, parameter: inspect.Parameter) -> None:
        annotation = parameter.annotation
        self.key, self.parameter = key, parameter
        self.later = get_origin(annotation) is Annotated and LATER in annotation.__metadata__
        """Whether the option is marked ``LATER``."""
        self.kind = get_args(annotation)[0] if self.later else annotation
        """The option's type without that mark."""
        self._adapter: TypeAdapter[Any] | None = None
        self._default: tuple[Any] | None = None

    @property
    def required(self) -> bool:
        """Whether there is no default."""
        return self.parameter.default is inspect.Parameter.empty

    def adapter(self, name: str) -> "TypeAdapter[Any]":
        """Return what reads the option.

        Args:
            name: whose option it is, for the message.

        Raises:
            InputError: its type is none that could be stored.
        """
        if self._adapter is None:
            from pydantic import TypeAdapter  # on use: slow to import, and the command line's help needs none of it
            from pydantic.errors import PydanticUserError

            try:
                adapter: TypeAdapter[Any] = TypeAdapter(self.parameter.annotation)
                adapter.json_schema()  # a type that JSON does not know could not be stored
            except PydanticUserError as error:
                shown = show_type(self.parameter)
                raise InputError(
                    f"option {self.key!r} of {name} has the type {shown}; options are numbers, texts, and tuples of them"
                ) from error
            self._adapter = adapter
        return self._adapter

    def plain(self, name: str, value: Any) -> Any:
        """Return a value that was given as the plain JSON value that is stored.

        Raises:
            InputError: the option's type does not allow it.
        """
        adapter = self.adapter(name)
        return adapter.dump_python(self._coerced(adapter, name, value), mode="json")

    def default(self, name: str) -> Any:
        """Return the default as the plain JSON value that is stored.

        Raises:
            InputError: there is none, or the option's own type does not allow it.
        """
        if self.required:
            raise InputError(f"{name} needs its option {self.key}: give {name}:{self.key}=...")
        if self._default is None:
            self._default = (self.plain(name, self.parameter.default),)
        return _anew(self._default[0])

    def left_out(self, name: str, plain: Any) -> bool:
        """Whether a plain value is not spelled out: that of a later option at its default."""
        return self.later and bool(plain == self.adapter(name).dump_python(self.parameter.default, mode="json"))

    def _coerced(self, adapter: "TypeAdapter[Any]", name: str, value: Any) -> Any:
        from pydantic_core import ValidationError

        for candidate in self._candidates(value):
            try:
                coerced = adapter.validate_python(candidate)
            except ValidationError:
                continue
            if _is_finite(coerced) and not (
                isinstance(value, bool) and isinstance(coerced, int | float) and coerced is not value
            ):
                return coerced
        expected = re.sub(r"\b(typing|collections\.abc)\.", "", inspect.formatannotation(self.kind))
        raise InputError(f"{name}: option {self.key} expects {expected}, got {value!r}")

    def _candidates(self, value: Any) -> Iterator[Any]:
        """Yield a value, and what else it may have been meant as."""
        yield value
        if value is None:
            if "none" in get_args(self.kind):  # a choice that is called none
                yield "none"
        elif isinstance(value, PLAIN):
            yield [value]  # hidden=5 is a list of one
            yield show(value)  # a text option may look like a number


class Signature:
    """The parameters of a builder, and which of them are options.

    Raises:
        InputError: they cannot be read.
    """

    def __init__(self, builder: Builder) -> None:
        try:
            parameters = inspect.signature(builder, eval_str=True).parameters
        except Exception as error:  # evaluating a textual annotation runs the user's text
            raise InputError(f"the signature of {name_of(builder)} cannot be read: {one_line(error)}") from error
        self.builder = builder
        self.parameters: Mapping[str, inspect.Parameter] = parameters
        self._options: dict[tuple[str, ...], dict[str, Option]] = {}

    def options(self, reserved: tuple[str, ...]) -> Mapping[str, Option]:
        """Return the options by name: all parameters but those that the caller fills in.

        Raises:
            InputError: the signature is no schema.
        """
        if reserved not in self._options:
            for fault in self.faults(reserved):
                raise InputError(fault)
            own = {key: Option(key, parameter) for key, parameter in self.parameters.items() if key not in reserved}
            self._options[reserved] = own
        return self._options[reserved]

    def faults(self, reserved: tuple[str, ...]) -> Iterator[str]:
        """Yield what keeps the signature from being a schema."""
        name = name_of(self.builder)
        for required in reserved:
            if required not in self.parameters:
                shown = inspect.signature(self.builder)
                yield f"{name} must take the argument {required!r}; its signature is {shown}"
        for key, parameter in self.parameters.items():
            if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
                reason = "leave out the / in its signature, since arguments are given by name"
                yield f"{name} takes {key!r} by position only; {reason}"
            elif key in reserved:
                continue
            elif not is_option(parameter):
                yield f"{name} takes *{key}; options must be named one by one, since the signature is their schema"
            elif parameter.annotation is inspect.Parameter.empty:
                yield f"option {key!r} of {name} has no type annotation; write e.g. {key}: int = 3"


def signature_of(builder: Builder) -> Signature:
    """Return a builder's signature, read when it is first asked for.

    Raises:
        InputError: it cannot be read.
    """
    kept = getattr(builder, "__dict__", {}).get(KEPT)
    if isinstance(kept, Signature) and kept.builder is builder:  # a wrapper has a copy of what it wraps
        return kept
    signature = Signature(builder)
    with suppress(AttributeError, TypeError):  # of what has no place for it, as len and methods have none
        setattr(builder, KEPT, signature)
    return signature


def is_option(parameter: inspect.Parameter) -> bool:
    """Whether a parameter has a name by which it can be given."""
    return parameter.kind not in (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)


def name_of(builder: Builder) -> str:
    """Return what a builder is called."""
    return getattr(builder, "__name__", repr(builder))


def show_type(parameter: inspect.Parameter) -> str:
    """Return an option's type as text."""
    return inspect.formatannotation(Option("", parameter).kind).replace("typing.", "")


def _is_finite(value: Any) -> bool:
    """Tell whether every number in a value is finite; JSON knows no others."""
    if isinstance(value, list | tuple):
        return all(map(_is_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def _anew(value: Any) -> Any:
    """Return a plain JSON value whose lists and tables nobody else has."""
    if isinstance(value, list):
        return list(map(_anew, value))
    return {key: _anew(own) for key, own in value.items()} if isinstance(value, dict) else value
