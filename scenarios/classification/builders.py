"""split-, permuted- and rotated- scenarios over every data set, made and named by one mechanism.

The mechanism stands in :mod:`scenarios.classification.sequences`. Here every data set gets its three builders, whose signatures
are the schemas of their options; those of data sets from files also take the folder of data files and a choice of features.
"""

from collections.abc import Callable
from dataclasses import dataclass
from inspect import cleandoc
from pathlib import Path
from typing import Annotated, TypeVar

from kancl.signatures import LATER
from scenarios.classification.sequences import Order, permuted, rotated, split
from scenarios.data.features import Features
from scenarios.data.files import DATA_ROOT
from scenarios.data.sources import FROM_FILES, load_data
from scenarios.registry import register
from scenarios.task import Scenario, Setting

Builder = TypeVar("Builder", bound=Callable[..., Scenario])


@dataclass(frozen=True)
class About:
    """What docstrings say of a data set, and how many classes a task of its split has."""

    title: str
    source: str
    classes_per_task: int = 2
    expected: str = ""
    table: bool = False


TABLE = (
    "Columns are standardised by the training samples and held within 3 deviations; a fifth of every class,\n"
    "drawn by the seed, is the test set."
)
ONE_CLASS = (
    "\n\nWith one class a task a constant meets every task, so the learning score is perfect and retention is undefined; only\n"
    "the final accuracy says something."
)
ABOUT = {
    "digits": About(
        "Handwritten digits (8 x 8 pixels)",
        "1,797 images of scikit-learn (UCI, optical recognition of handwritten digits, Alpaydin and Kaynak 1998).\n"
        "Pixels are scaled to [0, 1]; a fifth of every class, drawn by the seed, is the test set.",
    ),
    "wine": About(
        "Wine (13 measurements, 3 cultivars)",
        "178 wines of scikit-learn (UCI, Aeberhard and Forina 1991).\n" + TABLE,
        classes_per_task=1,
        expected=ONE_CLASS,
        table=True,
    ),
    "breast-cancer": About(
        "Breast cancer (30 measurements)",
        "569 cell samples of scikit-learn (UCI, diagnostic Wisconsin breast cancer, Wolberg et al. 1995).\n" + TABLE,
        classes_per_task=1,
        expected=ONE_CLASS,
        table=True,
    ),
    "mnist": About(
        "MNIST digits (28 x 28 pixels)",
        "70,000 images (LeCun, Cortes and Burges 1998) from the four published IDX files, plain or .gz,\n"
        "in MNIST/raw or mnist below the data folder.",
    ),
    "fashion-mnist": About(
        "Fashion-MNIST clothes (28 x 28 pixels)",
        "70,000 images (Xiao, Rasul and Vollgraf 2017) from the four published IDX files, plain or .gz,\n"
        "in FashionMNIST/raw or fashion-mnist below the data folder.",
    ),
    "cifar10": About(
        "CIFAR-10 photographs (32 x 32, colour)",
        "60,000 images (Krizhevsky 2009) from the binary version: the folder cifar-10-batches-bin or the archive\n"
        "cifar-10-binary.tar.gz as published, in the data folder.",
    ),
}
FILES = """

The published test set is kept; a training image that is also a test image is left out. Of the
data a seed draws only what the options say; it also changes the initial weights and the order of the training samples."""
SPLIT = """{title}, {few} at a time.

The split protocol of van de Ven and Tolias (arXiv 1904.07734).
{source}{files}

In the class setting the newest classes take the place of the older ones, whose accuracy falls to 0 without a strategy against
it; with heads of their own (task) far less is lost.{expected}

Args:
    classes_per_task: must divide the number of classes; one class a task in the class setting only.
    setting: ``class``: one head with an output for each class; ``task``: the same outputs, of which only the task's own are
        in use while it is trained and tested; ``domain``: the outputs are shared, a class's place within its task is the
        label.
    order: of the classes: ``numbered``, ``by-seed`` (another order for every seed; every class is then cut to the size of the
        smallest, so that seeds can be trained side by side), or given (``order=3x1x4x0``; classes that are left out are not
        learned). A class's place in the order is its output.
    samples: training samples per class, drawn by the seed; none for all."""
PERMUTED = """{title}, all classes in every task, the inputs in another order.

Permuted tasks (Goodfellow et al., arXiv 1312.6211).
{source}{files}

Tasks share nothing but the classes' numbers, so every input that a network has learned to use means something else in the next
task.

Args:
    tasks: number of tasks; the first sees the inputs as they are, each further one in an order drawn by the seed.
    samples: training samples per class, drawn by the seed; none for all."""
ROTATED_IMAGES = """{title}, all classes in every task, the images turned further each time.

Rotated tasks (Lopez-Paz and Ranzato, arXiv 1706.08840), here by equal steps instead of random angles.
{source}{files}

Neighbouring tasks look alike and help each other, far ones conflict; among digits, a 6 turned by 180 degrees is a 9. Accuracy
falls with the angle to the task learned last.

Args:
    tasks: number of tasks.
    degrees: the angle of the last task, counter-clockwise; the first is upright and the others lie between in equal steps.
        Bilinear interpolation; what comes from outside the image is 0.
    samples: training samples per class, drawn by the seed; none for all."""
ROTATED_TABLE = """{title}, all classes in every task, pairs of columns turned further each time.

As images are turned in Lopez-Paz and Ranzato (arXiv 1706.08840), so are columns 1 and 2, 3 and 4, ... in their planes, all by
one angle; the last of an odd number stays.
{source}

Distances between samples stay as they are, so a task is about as hard as any other. Neighbouring tasks help each other; at 180
degrees every paired column has changed its sign.

Args:
    tasks: number of tasks.
    degrees: the angle of the last task; the first is 0 and the others lie between in equal steps.
    samples: training samples per class, drawn by the seed; none for all."""
FEATURES_ARGUMENT = """
    features: ``pixels`` in [0, 1], or ``random-conv``: 512 answers of frozen random filters, the same for every seed,
        standardised by the training images and held within 3 deviations."""


def _described(name: str, mechanism: str, text: str) -> Callable[[Builder], Builder]:
    """Register a builder as ``mechanism-name`` and fill in its docstring."""
    about, from_files = ABOUT[name], name in FROM_FILES

    def decorate(builder: Builder) -> Builder:
        builder.__name__ = builder.__qualname__ = f"{mechanism}_{name}".replace("-", "_")
        text_of_files = FILES if from_files else ""
        few = "one class" if about.classes_per_task == 1 else "two classes"
        filled = text.format(title=about.title, few=few, source=about.source, files=text_of_files, expected=about.expected)
        builder.__doc__ = cleandoc(filled) + (FEATURES_ARGUMENT if from_files else "")
        return register(f"{mechanism}-{name}")(builder)

    return decorate


def _register_inside(name: str) -> None:
    """Register the three scenarios of a data set that ships inside scikit-learn."""
    per_task, rotated_text = ABOUT[name].classes_per_task, ROTATED_TABLE if ABOUT[name].table else ROTATED_IMAGES

    @_described(name, "split", SPLIT)
    def _split(
        seed: int,
        classes_per_task: int = per_task,
        setting: Setting = "class",
        order: Annotated[Order, LATER] = "numbered",
        samples: Annotated[int | None, LATER] = None,
    ) -> Scenario:
        return split(load_data(name, DATA_ROOT), seed, classes_per_task, setting, order, samples)

    @_described(name, "permuted", PERMUTED)
    def _permuted(seed: int, tasks: int = 5, samples: Annotated[int | None, LATER] = None) -> Scenario:
        return permuted(load_data(name, DATA_ROOT), seed, tasks, samples)

    @_described(name, "rotated", rotated_text)
    def _rotated(seed: int, tasks: int = 5, degrees: float = 180.0, samples: int | None = None) -> Scenario:
        return rotated(load_data(name, DATA_ROOT), seed, tasks, degrees, samples)


def _register_from_files(name: str) -> None:
    """Register the three scenarios of a data set that is read from files."""

    @_described(name, "split", SPLIT)
    def _split(
        seed: int,
        data_root: Path,
        classes_per_task: int = ABOUT[name].classes_per_task,
        setting: Setting = "class",
        order: Order = "numbered",
        samples: int | None = None,
        features: Features = "pixels",
    ) -> Scenario:
        return split(load_data(name, data_root), seed, classes_per_task, setting, order, samples, features)

    @_described(name, "permuted", PERMUTED)
    def _permuted(
        seed: int, data_root: Path, tasks: int = 5, samples: int | None = None, features: Features = "pixels"
    ) -> Scenario:
        return permuted(load_data(name, data_root), seed, tasks, samples, features)

    @_described(name, "rotated", ROTATED_IMAGES)
    def _rotated(
        seed: int,
        data_root: Path,
        tasks: int = 5,
        degrees: float = 180.0,
        samples: int | None = None,
        features: Features = "pixels",
    ) -> Scenario:
        return rotated(load_data(name, data_root), seed, tasks, degrees, samples, features)


for _name in ABOUT:
    (_register_from_files if _name in FROM_FILES else _register_inside)(_name)
