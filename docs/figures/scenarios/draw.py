"""Draw the previews of ``docs/scenarios.md`` anew, small enough for a web page: ``python docs/figures/scenarios/draw.py``."""

from pathlib import Path

from PIL import Image

from kancl.options import parse_spec
from runners.authoring.previews import draw_preview
from scenarios import build_scenario, complete_scenario

SHOWN = (
    "binary-addition",
    "decimal-addition",
    "feynman:samples=200",
    "gaussian-peaks",
    "heat-windows",
    "image-bands",
    "kanbefair:data=digits",
    "overlap-dial:joint=0.25,marginal=0.75,samples=500",
    "peaks-nd:layout=grid,samples=200",
    "permuted-digits",
    "piecewise-functions",
    "poisson-windows",
    "rotated-breast-cancer:samples=100",
    "rotated-digits",
    "sine-tasks",
    "split-digits",
    "split-digits:cycles=2,pretrain=1,skip=2",
    "split-wine",
)
DPI = 70
COLOURS = 256


def main() -> None:
    """Write a PNG with a palette for each."""
    for label in SHOWN:
        spec = parse_spec(label)
        stream = "-stream" if "cycles" in spec.options else ""
        path = Path(__file__).parent / f"{spec.name}{stream}.png"
        draw_preview(build_scenario(complete_scenario(spec), 0), label, path, dpi=DPI)
        with Image.open(path) as picture:
            small = picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
        small.save(path, optimize=True)


if __name__ == "__main__":
    main()
