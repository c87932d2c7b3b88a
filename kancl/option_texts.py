"""Values of options as text: how ``12x13``, ``[a,b]``, ``none`` and ``"1.10"`` are read and written."""

import json
import math
import re
from typing import Any

from kancl.errors import InputError


def split(text: str, opening: str = "[", closing: str = "]") -> list[str]:
    """Split at the commas that are neither inside brackets nor inside a text in quotes."""
    parts, depth = [""], 0
    for piece in re.findall(r'"(?:[^"\\]|\\.)*"|.', text, re.DOTALL):
        depth += (piece in opening) - (piece in closing)
        if piece == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += piece
    return [part for part in parts if part.strip()]


def read(text: str) -> Any:
    """Return the value that a text stands for; what reads as nothing else is a text.

    Raises:
        InputError: it stands for no value that could be stored: a number that is not finite, a list nested too deeply.
    """
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
            return [read(part.strip()) for part in split(text[1:-1], "[(", "])")]
        return text


def _finite(number: str) -> float:
    if math.isinf(float(number)):  # of no use as a number, and as a text it is read back as what it was
        raise ValueError(f"{number} is more than a number of 64 bits can be")
    return float(number)


def _refuse_constant(name: str) -> Any:
    raise InputError(f"{name} is not a usable option value; give a finite number")


def written(value: Any) -> str:
    """Return a value as :func:`read` reads it: in quotes where a text would be read as something else."""
    if not isinstance(value, str):
        return show(value)
    try:
        plain = read(value) == value == value.strip() and not set(value) & set('",[]')
    except InputError:
        plain = False
    return value if plain else json.dumps(value, ensure_ascii=False)


def show(value: Any) -> str:
    """Return a value as it is written where no text is expected."""
    if value is None:
        return "none"
    if isinstance(value, list | tuple):
        plain = len(value) > 1 and all(type(item) is int and item >= 0 for item in value)
        return "x".join(map(str, value)) if plain else json.dumps(list(value), separators=(",", ":"))
    return str(value).lower() if isinstance(value, bool) else str(value)
