"""Guards how builders are found by name, how their options are read and coerced, and the random streams of seeding."""

import functools
import gc
import inspect
import sys
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kancl.errors import InputError
from kancl.options import Spec, build, complete, parse_spec, resolve, schema
from kancl.plugins import forget_edited
from kancl.registry import Registry
from kancl.seeding import generator
from kancl.signatures import LATER, show_type, signature_of


@pytest.fixture
def registry() -> Registry:
    return Registry("gadget", {"built-in": "kancl_test_builtin"})


@pytest.fixture(autouse=True)
def _forget_modules() -> Iterator[None]:
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith(("kancl_test_", "_kancl_file_")):
            del sys.modules[name]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that installs a fake distribution with entry points and modules."""

    def install(entries: dict[str, str], group: str = "kancl.gadgets", **modules: str) -> None:
        site = tmp_path / "site"
        info = site / "kancl_test_plugin-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: kancl-test-plugin\nVersion: 1.0\n")
        lines = [f"[{group}]", *(f"{name} = {target}" for name, target in entries.items())]
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
        for name, source in modules.items():
            (site / f"{name}.py").write_text(source)
        monkeypatch.syspath_prepend(site)

    return install


def one(problem: object, *, size: int = 3) -> str:
    return f"one of {size}"


def write(folder: Path, source: str) -> Path:
    path = folder / "mine.py"
    path.write_text(source)
    return path


# Registry


def test_what_is_registered_is_found(registry: Registry) -> None:
    assert registry.register("one")(one) is one
    assert registry.get("one") is one
    assert registry.names() == ["built-in", "one"]


def test_a_name_is_taken_once(registry: Registry) -> None:
    registry.register("one")(one)
    registry.register("one")(one)
    with pytest.raises(InputError, match="gadget 'one' is already registered"):
        registry.register("one")(lambda: None)
    assert registry.get("one") is one


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("gaussian-peeks", "did you mean gaussian-peaks?"),
        ("Gaussian-peaks", "gaussian-peaks"),
        ("zzz", "known: built-in, gaussian-peaks"),
    ],
)
def test_an_unknown_name_is_refused_with_what_is_near(registry: Registry, name: str, hint: str) -> None:
    registry.register("gaussian-peaks")(one)
    with pytest.raises(InputError) as refusal:
        registry.get(name)
    assert f"unknown gadget '{name}'" in str(refusal.value)
    assert hint in str(refusal.value)


def test_a_built_in_module_is_imported_on_first_use(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kancl_test_builtin.py").write_text("import sys\nsys.kancl_test_registry.register('built-in')(len)\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "kancl_test_registry", registry, raising=False)
    assert registry.names() == ["built-in"]
    assert "kancl_test_builtin" not in sys.modules
    assert registry.get("built-in") is len


@pytest.mark.parametrize(
    ("kind", "group"),
    [("architecture", "kancl.architectures"), ("strategy", "kancl.strategies"), ("scenario", "kancl.scenarios")],
)
def test_groups_are_plurals(kind: str, group: str) -> None:
    assert Registry(kind, {}).group == group


# Files


def test_a_function_of_a_file_is_found_and_the_file_runs_once(registry: Registry, tmp_path: Path) -> None:
    path = write(tmp_path, "runs = []\nruns.append(1)\ndef mine(problem, *, size: int = 1):\n    return runs\n")
    builder = registry.get(f"{path}:mine")
    assert builder(None) == [1]
    assert registry.get(f"{tmp_path / '.' / 'mine.py'}:mine") is builder
    assert registry.names() == ["built-in"]


def test_a_relative_file_is_found(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "def mine():\n    return 7\n")
    monkeypatch.chdir(tmp_path)
    assert registry.get("mine.py:mine")() == 7


def test_a_file_may_define_dataclasses(registry: Registry, tmp_path: Path) -> None:
    source = "from dataclasses import dataclass\n@dataclass\nclass mine:\n    size: 'int' = 4\n"
    assert registry.get(f"{write(tmp_path, source)}:mine")().size == 4


def test_a_file_whose_name_no_file_can_have_is_none(registry: Registry) -> None:
    for name in ("a" * 300, "a\0b", "\ud800"):
        with pytest.raises(InputError, match="is not a file"):
            registry.get(f"{name}.py:mine")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def mine():\n    return (\n", ["mine.py", "SyntaxError", "line 2"]),
        ("x = 1\nraise RuntimeError('no data here')\n", ["mine.py", "RuntimeError", "no data here", "mine.py:2"]),
        ("import json\n\njson.loads('{')\n", ["JSONDecodeError", "mine.py:3"]),
        ("import kancl_test_absent\n", ["ModuleNotFoundError", "kancl_test_absent", "mine.py:1"]),
        ("import sys\nsys.exit(3)\n", ["SystemExit", "mine.py:2"]),
        ("def yours():\n    pass\n", ["no gadget 'mine'", "it defines: yours"]),
        ("mine = 3\n", ["no gadget 'mine'", "no function"]),
    ],
    ids=["syntax", "exception", "deep", "import", "exit", "attribute", "number"],
)
def test_a_broken_file_says_what_and_where(registry: Registry, tmp_path: Path, source: str, words: list[str]) -> None:
    path = write(tmp_path, source)
    messages = []
    for _ in range(2):
        with pytest.raises(InputError) as refusal:
            registry.get(f"{path}:mine")
        messages.append(str(refusal.value))
    assert [word for word in words if word not in messages[0]] == []
    assert "<frozen" not in messages[0]
    assert messages[1] == messages[0]


def test_a_file_that_fails_after_registering_says_the_same_twice(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "kancl_test_registry", registry, raising=False)
    path = write(
        tmp_path, "import sys\n@sys.kancl_test_registry.register('mine')\ndef mine():\n    pass\nraise OSError('gone')\n"
    )
    for _ in range(2):
        with pytest.raises(InputError, match="OSError: gone"):
            registry.get(f"{path}:mine")


def test_a_missing_file_is_refused(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.py is not a file"):
        registry.get(f"{tmp_path / 'absent.py'}:mine")


def test_a_file_lends_no_name_from_elsewhere(registry: Registry, tmp_path: Path) -> None:
    registry.register("one")(one)
    path = write(tmp_path, "def mine():\n    pass\n")
    with pytest.raises(InputError, match="no gadget 'one'"):
        registry.get(f"{path}:one")


# Entry points


def test_entry_points_load_on_first_use_only(registry: Registry, install: Callable[..., None]) -> None:
    install({"plug": "kancl_test_good:plug"}, kancl_test_good="def plug():\n    return 'plugged'\n")
    registry.register("one")(one)
    assert registry.get("one") is one
    assert registry.names() == ["built-in", "one", "plug"]
    with pytest.raises(InputError, match="did you mean plug"):
        registry.get("plugg")
    assert "kancl_test_good" not in sys.modules
    assert registry.get("plug")() == "plugged"
    assert registry.get("plug") is registry.get("plug")


def test_entry_points_of_another_group_are_not_seen(registry: Registry, install: Callable[..., None]) -> None:
    install({"plug": "kancl_test_good:plug"}, group="kancl.widgets", kancl_test_good="def plug(): ...\n")
    assert registry.names() == ["built-in"]


def test_an_entry_point_does_not_replace_what_is_registered(registry: Registry, install: Callable[..., None]) -> None:
    install({"one": "kancl_test_good:plug"}, kancl_test_good="def plug(): ...\n")
    registry.register("one")(one)
    assert registry.get("one") is one


def test_an_entry_point_whose_module_registers_itself(
    registry: Registry, install: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "kancl_test_registry", registry, raising=False)
    source = "import sys\n@sys.kancl_test_registry.register('plug')\ndef plug(): ...\n"
    install({"plug": "kancl_test_good:plug"}, kancl_test_good=source)
    assert registry.get("plug") is sys.modules["kancl_test_good"].plug


@pytest.mark.parametrize(
    ("target", "source", "words"),
    [
        ("kancl_test_bad:plug", "raise RuntimeError('no licence')\n", ["RuntimeError", "no licence"]),
        ("kancl_test_bad:plug", "def plug(:\n", ["SyntaxError"]),
        ("kancl_test_bad:plug", "import kancl_test_absent\n", ["ModuleNotFoundError"]),
        ("kancl_test_bad:plug", "raise SystemExit('stop')\n", ["SystemExit"]),
        ("kancl_test_bad:absent", "def plug(): ...\n", ["AttributeError", "absent"]),
        ("kancl_test_bad:plug", "plug = 5\n", ["5"]),
        ("kancl_test_absent:plug", "", ["ModuleNotFoundError", "kancl_test_absent"]),
    ],
    ids=["exception", "syntax", "import", "exit", "attribute", "number", "module"],
)
def test_a_broken_entry_point_warns_and_hurts_nobody_else(
    install: Callable[..., None], target: str, source: str, words: list[str]
) -> None:
    registry = Registry("gadget", {})
    registry.register("one")(one)
    install({"bad": target, "good": "kancl_test_good:plug"}, kancl_test_bad=source, kancl_test_good="def plug(): ...\n")
    with pytest.raises(InputError) as refusal:
        registry.get("bad")
    assert [word for word in ["gadget 'bad'", "kancl-test-plugin", *words] if word not in str(refusal.value)] == []
    with pytest.warns(UserWarning, match="gadget 'bad' of kancl-test-plugin") as warned:
        found = registry.available()
    assert len(warned) == 1
    assert sorted(found) == ["good", "one"]


# Reading options


@pytest.mark.parametrize(
    ("text", "name", "options"),
    [
        ("kan", "kan", {}),
        (" kan ", "kan", {}),
        ("kan:", "kan", {}),
        ("kan:degree=3", "kan", {"degree": 3}),
        ("kan: degree = 3 , bias = True", "kan", {"degree": 3, "bias": True}),
        ("kan:noise=1e-3,low=-2,x=.5", "kan", {"noise": 0.001, "low": -2, "x": ".5"}),
        ("kan:range=none,base=null,bias=false", "kan", {"range": None, "base": None, "bias": False}),
        ("mlp:hidden=12x13", "mlp", {"hidden": [12, 13]}),
        ("mlp:hidden=[12,13],activation=tanh", "mlp", {"hidden": [12, 13], "activation": "tanh"}),
        ("mlp:hidden=[],x=1", "mlp", {"hidden": [], "x": 1}),
        ("kan:range=[-1.5, 2],x=1", "kan", {"range": [-1.5, 2], "x": 1}),
        ("kan:blocks=[[1,2],[3,4]],x=1", "kan", {"blocks": [[1, 2], [3, 4]], "x": 1}),
        ('kan:names=["a","b"]', "kan", {"names": ["a", "b"]}),
        ("kan:names=[a, b.c],x=1", "kan", {"names": ["a", "b.c"], "x": 1}),
        ("kan:names=[min(a,0),2*b,3,true]", "kan", {"names": ["min(a,0)", "2*b", 3, True]}),
        ("kan:names=[[a,b],[c]]", "kan", {"names": [["a", "b"], ["c"]]}),
        ('kan:names=["a",b]', "kan", {"names": '["a",b]'}),
        ("kan:hidden-range=[0,1]", "kan", {"hidden_range": [0, 1]}),
        ("my.py:mine", "my.py:mine", {}),
        ("some dir/my.py:mine:size=3,url=a=b", "some dir/my.py:mine", {"size": 3, "url": "a=b"}),
        ("kan:path=/tmp/a:b", "kan", {"path": "/tmp/a:b"}),
        ("kan:degree=3,", "kan", {"degree": 3}),
        ('kan:title="a,b]",degree=3', "kan", {"title": "a,b]", "degree": 3}),
        ('kan:names=["a]","b"],degree=3', "kan", {"names": ["a]", "b"], "degree": 3}),
        (f"kan:degree={'9' * 5000}", "kan", {"degree": "9" * 5000}),
    ],
)
def test_a_spec_is_read(text: str, name: str, options: dict[str, Any]) -> None:
    spec = parse_spec(text)
    assert (spec.name, dict(spec.options)) == (name, options)
    assert [type(value) for value in spec.options.values()] == [type(value) for value in options.values()]


@pytest.mark.parametrize(
    ("text", "came"),
    [
        ("", "''"),
        (":degree=3", ":degree=3"),
        ("kan:degree", "'degree'"),
        ("kan:=3", "'=3'"),
        ("kan:degree=3,bias", "'bias'"),
        ("kan:degree=3,degree=4", "degree is given twice"),
        ("kan:hidden-range=1,hidden_range=2", "hidden_range is given twice"),
        pytest.param(f"kan:hidden={'[' * 9_000}", "nested too deeply", id="deep"),
        pytest.param(f"kan:hidden={'[' * 100_000}", "at most 10,000 characters", id="long"),
    ],
)
def test_a_spec_that_makes_no_sense_is_refused(text: str, came: str) -> None:
    with pytest.raises(InputError) as refusal:
        parse_spec(text)
    assert came in str(refusal.value)


@pytest.mark.parametrize("number", ["NaN", "nan", "Infinity", "-Infinity", "inf", "-inf", "1e999", "[1,NaN]", "[1,1e999]"])
def test_a_number_that_is_not_finite_is_refused(number: str) -> None:
    def builder(*, size: float | list[float] = 1.0) -> None: ...

    with pytest.raises(InputError, match=r"size|finite"):
        resolve(builder, parse_spec(f"builder:size={number}"))


# Coercion


def typed(
    *,
    count: int = 3,
    slope: float = 0.5,
    flag: bool = False,
    mode: Literal["fast", "slow"] = "fast",
    text: str = "plain",
    maybe: float | None = None,
    sizes: tuple[int, ...] = (1, 2),
    span: tuple[float, float] = (0.0, 1.0),
) -> dict[str, Any]:
    return dict(locals())


@pytest.mark.parametrize(
    ("given_text", "key", "expected"),
    [
        ("count=7", "count", 7),
        ("count=7.0", "count", 7),
        ("count=-2", "count", -2),
        ("slope=2", "slope", 2.0),
        ("slope=1e-3", "slope", 0.001),
        ("slope=.25", "slope", 0.25),
        ("flag=true", "flag", True),
        ("flag=False", "flag", False),
        ("mode=slow", "mode", "slow"),
        ("text=word", "text", "word"),
        ("text=5", "text", "5"),
        ('text="1.10"', "text", "1.10"),
        ("text=true", "text", "true"),
        ("maybe=none", "maybe", None),
        ("maybe=3", "maybe", 3.0),
        ("sizes=5", "sizes", (5,)),
        ("sizes=5x6x7", "sizes", (5, 6, 7)),
        ("sizes=[5,6]", "sizes", (5, 6)),
        ("sizes=[]", "sizes", ()),
        ("span=[-1,2]", "span", (-1.0, 2.0)),
    ],
)
def test_an_option_gets_the_type_of_its_annotation(given_text: str, key: str, expected: object) -> None:
    built = build(typed, parse_spec(f"typed:{given_text}"))
    assert built[key] == expected
    assert type(built[key]) is type(expected)
    assert built == {**typed(), key: expected}
    stored = resolve(typed, parse_spec(f"typed:{given_text}"))
    assert build(typed, Spec("typed", stored)) == built


@pytest.mark.parametrize(
    ("given_text", "key", "expected"),
    [
        ("count=2.5", "count", "int"),
        ("count=many", "count", "int"),
        ("count=none", "count", "int"),
        ("count=[1]", "count", "int"),
        ("count=true", "count", "int"),
        ("slope=steep", "slope", "float"),
        ("slope=true", "slope", "float"),
        ("flag=maybe", "flag", "bool"),
        ("flag=7", "flag", "bool"),
        ("mode=medium", "mode", "Literal['fast', 'slow']"),
        ("text=[1]", "text", "str"),
        ("text=none", "text", "str"),
        ("sizes=[1,two]", "sizes", "tuple[int, ...]"),
        ("sizes=1.5", "sizes", "tuple[int, ...]"),
        ("sizes=none", "sizes", "tuple[int, ...]"),
        ("span=[1,2,3]", "span", "tuple[float, float]"),
        ("span=1", "span", "tuple[float, float]"),
    ],
)
def test_an_option_of_the_wrong_type_is_refused(given_text: str, key: str, expected: str) -> None:
    spec = parse_spec(f"typed:{given_text}")
    with pytest.raises(InputError) as refusal:
        resolve(typed, spec)
    message = str(refusal.value)
    assert f"option {key} expects {expected}" in message
    assert repr(spec.options[key]) in message


@pytest.mark.parametrize(("key", "hint"), [("cuont", "did you mean count?"), ("zzz", "it has: count, slope")])
def test_an_unknown_option_is_refused_with_what_is_near(key: str, hint: str) -> None:
    with pytest.raises(InputError) as refusal:
        resolve(typed, Spec("typed", {key: 1}))
    assert f"typed has no option '{key}'" in str(refusal.value)
    assert hint in str(refusal.value)


def test_reserved_arguments_are_no_options() -> None:
    assert resolve(one, Spec("one"), ("problem",)) == {"size": 3}
    with pytest.raises(InputError, match="no option 'problem'"):
        resolve(one, Spec("one", {"problem": 1}), ("problem",))
    assert build(one, Spec("one", {"size": 5}), problem=None) == "one of 5"


def test_a_builder_without_a_reserved_argument_is_refused() -> None:
    with pytest.raises(InputError, match="typed must take the argument 'problem'"):
        build(typed, Spec("typed"), problem=None)


def no_annotation(*, size=3) -> None: ...  # type: ignore[no-untyped-def]


def any_options(**options: int) -> None: ...


def any_arguments(*sizes: int) -> None: ...


def no_default(*, size: int) -> int:
    return size


@pytest.mark.parametrize(
    ("builder", "words"),
    [
        (no_annotation, "'size' of no_annotation has no type annotation"),
        (any_options, "any_options takes .*options"),
        (any_arguments, "any_arguments takes .*sizes"),
        (no_default, "needs its option size"),
    ],
)
def test_a_signature_that_is_no_schema_is_refused(builder: Callable[..., Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        resolve(builder, Spec("mine"))


def test_an_option_without_a_default_can_be_given() -> None:
    assert build(no_default, parse_spec("mine:size=4")) == 4


def test_complete_spells_every_option_out(registry: Registry) -> None:
    registry.register("typed")(typed)
    spec = complete(registry, parse_spec("typed:count=9"))
    assert spec.name == "typed"
    assert spec.options == {
        "count": 9, "slope": 0.5, "flag": False, "mode": "fast", "text": "plain", "maybe": None,
        "sizes": [1, 2], "span": [0.0, 1.0],
    }  # fmt: skip
    assert complete(registry, spec) == spec
    assert complete(registry, parse_spec(spec.label)) == spec


@pytest.mark.parametrize("body", ["raise KeyError('left')", "return 1 / 0", "return [][3]"])
def test_what_a_builder_raises_names_the_file_and_the_line(registry: Registry, tmp_path: Path, body: str) -> None:
    path = write(tmp_path, f"def mine(*, size: int = 1):\n    size += 1\n    {body}\n")
    spec = parse_spec(f"{path}:mine:size=2")
    with pytest.raises(InputError) as refusal:
        build(registry.get(spec.name), spec)
    assert f"{path}:3" in str(refusal.value)
    assert "mine.py:mine" in str(refusal.value)
    assert refusal.value.__cause__ is not None


def test_what_a_builder_refuses_is_passed_on_in_its_own_words() -> None:
    def picky(*, size: int = 1) -> None:
        raise InputError(f"size must be even, got {size}")

    with pytest.raises(InputError, match=r"^picky: size must be even, got 3$"):
        build(picky, Spec("picky", {"size": 3}))


# Labels


def test_a_label_is_what_the_user_types() -> None:
    assert Spec("some/dir/my.py:mine", {"size": 3}).label == "some/dir/my.py:mine:size=3"
    assert Spec("./my.py:mine", {}).label == "my.py:mine"
    assert Spec("kan", {}).label == "kan"


@pytest.mark.parametrize(
    "options",
    [
        {"bias": True, "grid": None},
        {"hidden": [12, 13]},
        {"hidden": [5]},
        {"hidden": []},
        {"range": [-1, 2]},
        {"flags": [True, False]},
        {"blocks": [[1, 2], [3, 4]]},
        {"names": ["a", "b,c", "d]"]},
        {"names": ['["', ","], "size": 3},
        {"title": "1.10", "size": 3},
        {"title": "none"},
        {"title": "12x13"},
        {"title": "NaN"},
        {"title": "a,b=c]"},
        {"title": ",a"},
        {"title": ' "a '},
        {"title": ""},
        {"noise": 1e-05, "large": 1e22, "n": -3},
    ],
    ids=str,
)
def test_a_label_is_read_back(options: dict[str, Any]) -> None:
    read = parse_spec(Spec("kan", options).label)
    assert read == Spec("kan", options)
    assert repr(dict(read.options)) == repr(options)


numbers = st.integers(-(10**6), 10**6) | st.floats(allow_nan=False, allow_infinity=False)
words = st.text(st.sampled_from('aé1.x-_/,[]"\\ =:'), max_size=8) | st.sampled_from(["none", "TRUE", "Infinity", "1e3"])
values = numbers | st.booleans() | st.none() | words | st.lists(numbers, max_size=4)
names = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)


@settings(max_examples=200, deadline=None)
@given(names, st.dictionaries(names, values, max_size=4))
def test_any_label_is_read_back(name: str, options: dict[str, Any]) -> None:
    assert parse_spec(Spec(name, options).label) == Spec(name, options)


# Seeding


def draw(*key: Any) -> list[float]:
    return torch.rand(4, generator=generator(*key), dtype=torch.float64).tolist()


def test_a_stream_is_the_same_whenever_it_is_asked_for() -> None:
    first = draw(3, "weights", 0)
    torch.rand(100)
    draw(3, "batches", 0)
    assert draw(3, "weights", 0) == first


def test_streams_of_other_names_differ() -> None:
    keys = [(3,), (4,), (-3,), (31,), (3, 1), (3, "1"), (3, "weights"), (3, "batches"), (3, "weights", 1), (3, "weights", 1, 1)]
    assert len({tuple(draw(*key)) for key in keys}) == len(keys)


def test_streams_are_unrelated() -> None:
    samples = torch.stack([torch.randn(2000, generator=generator(seed, "weights")) for seed in range(8)])
    off_diagonal = samples.corrcoef() - torch.eye(8)
    assert off_diagonal.abs().max().item() < 0.1


def test_the_global_generator_is_left_alone() -> None:
    state = torch.get_rng_state()
    draw(3, "weights")
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("key", "seed"), [((0, "weights", 0), 4783991407004952325), ((3, "batches", 1, 2), 6104878767891905963)]
)
def test_stored_results_rely_on_these_streams(key: tuple[Any, ...], seed: int) -> None:
    assert generator(*key).initial_seed() == seed


def test_a_choice_that_is_called_none_can_be_given_and_labels_read_back() -> None:
    from kancl.models import architectures

    for text in ("kan:base=none", 'kan:base="none"', "lookup:interpolation=none,hashed=none"):
        spec = complete(architectures, parse_spec(text), ("problem",))
        assert spec.options["base" if text.startswith("kan") else "interpolation"] == "none"
        assert complete(architectures, parse_spec(parse_spec(text).label), ("problem",)) == spec
    assert spec.options["hashed"] is None


def test_a_later_option_is_not_spelled_out_at_its_default() -> None:
    """So that what was stored before the option existed keeps its name."""

    def builder(
        size: int = 3,
        order: Annotated[Literal["plain", "none"] | tuple[int, ...], LATER] = "plain",
        limit: Annotated[int | None, LATER] = None,
    ) -> tuple[Any, ...]:
        return size, order, limit

    assert resolve(builder, Spec("builder")) == {"size": 3}
    assert resolve(builder, parse_spec("builder:order=plain,limit=none,size=4")) == {"size": 4}
    assert resolve(builder, parse_spec("builder:order=2x1,limit=5")) == {"size": 3, "order": [2, 1], "limit": 5}
    assert build(builder, Spec("builder")) == (3, "plain", None)
    assert build(builder, parse_spec("builder:order=2x1,limit=5")) == (3, (2, 1), 5)
    with pytest.raises(InputError, match=r"option order expects (Union\[)?Literal"):
        resolve(builder, parse_spec("builder:order=other"))
    assert show_type(schema(builder)["limit"]) == "int | None"


def test_a_choice_called_none_may_be_later() -> None:
    def builder(base: Annotated[Literal["none", "silu"], LATER] = "silu") -> str:
        return base

    assert resolve(builder, parse_spec("builder:base=none")) == {"base": "none"}
    assert build(builder, parse_spec("builder:base=none")) == "none"


@pytest.mark.parametrize("end", [SystemExit(0), ValueError("no")])
def test_what_a_builder_raises_becomes_a_refusal_with_its_place(end: BaseException) -> None:
    def builder(size: int = 3) -> None:
        raise end

    with pytest.raises(InputError, match=rf"mine failed with {type(end).__name__}: {end} \(.*{Path(__file__).name}:\d+\)"):
        build(builder, Spec("mine"))


def test_types_that_are_equal_and_read_otherwise_are_kept_apart() -> None:
    def first(value: int | float = 0) -> None: ...
    def second(value: float | int = 0) -> None: ...
    def third(value: Literal[1] = 1) -> None: ...
    def fourth(value: Literal[True] = True) -> None: ...

    options = [signature_of(builder).options(())["value"] for builder in (first, second, third, fourth, first)]
    adapters = [option.adapter("a") for option in options]
    assert adapters[4] is adapters[0]  # made once: a sweep asks for each option thousands of times
    assert len({id(adapter) for adapter in adapters}) == 4
    assert [adapter.validate_python("2") for adapter in adapters[:2]] == [2, 2]
    assert (type(adapters[2].validate_python(1)), adapters[3].validate_python(True)) == (int, True)


def test_all_faults_are_told_at_once() -> None:
    def builder(*, size: int, slope: float = 0.5, mode: Literal["fast", "slow"] = "fast") -> None: ...

    with pytest.raises(InputError) as refusal:
        resolve(builder, parse_spec("mine:slope=steep,mode=medium"))
    assert str(refusal.value) == (
        "mine needs its option size: give mine:size=...; mine: option slope expects float, got 'steep'; "
        "mine: option mode expects Literal['fast', 'slow'], got 'medium'"
    )
    with pytest.raises(
        InputError, match=r"no option 'slop'; did you mean slope\?; mine has no option 'siz'; did you mean size"
    ):
        resolve(builder, Spec("mine", {"slop": 1, "siz": 2}))


def test_defaults_are_nobody_elses() -> None:
    def builder(sizes: tuple[tuple[int, ...], ...] = ((1, 2), (3,))) -> None: ...

    first = resolve(builder, Spec("mine"))
    first["sizes"][0].append(9)
    first["sizes"].append([])
    assert resolve(builder, Spec("mine")) == {"sizes": [[1, 2], [3]]}


def test_a_wrapper_and_a_subclass_have_signatures_of_their_own() -> None:
    class First:
        def __init__(self, size: int = 1) -> None: ...

    class Second(First):
        def __init__(self, width: int = 2) -> None: ...

    assert [resolve(builder, Spec("mine")) for builder in (First, Second)] == [{"size": 1}, {"width": 2}]

    def plain(size: int = 1) -> None: ...

    resolve(plain, Spec("mine"))

    @functools.wraps(plain)
    def wrapper(*arguments: Any, **options: Any) -> None: ...

    wrapper.__signature__ = inspect.signature(lambda: None)  # type: ignore[attr-defined]
    assert resolve(wrapper, Spec("mine")) == {}
    assert resolve(functools.partial(plain, size=5), Spec("mine")) == {"size": 5}


def test_an_edited_builder_is_read_anew_and_the_old_one_is_forgotten(registry: Registry, tmp_path: Path) -> None:
    kind = "from enum import Enum\nclass Kind(Enum):\n    A = 'a'\n    def show(self): ...\n"
    source = kind + "def mine(kind: Kind = Kind.A, size: int = {}): ...\n"
    path = write(tmp_path, source.format(1))
    old = registry.get(f"{path}:mine")
    assert resolve(old, Spec("mine")) == {"kind": "a", "size": 1}
    gone = weakref.ref(old)
    path.write_text(source.format(22))
    forget_edited()
    assert resolve(registry.get(f"{path}:mine"), Spec("mine")) == {"kind": "a", "size": 22}
    del old
    gc.collect()
    assert gone() is None


def test_strangers_and_wrong_values_are_told_at_once() -> None:
    def builder(width: int, depth: int = 1) -> None:
        """Build nothing."""

    with pytest.raises(InputError) as told:
        resolve(builder, Spec("mine", {"widht": 3, "depth": "x"}))
    assert "mine has no option 'widht'; did you mean width?" in str(told.value)
    assert "depth" in str(told.value)
    assert "missing" not in str(told.value)
    with pytest.raises(InputError, match="width"):
        resolve(builder, Spec("mine"))
