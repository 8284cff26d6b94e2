"""``python -m benchmarks [--all | --context --fan-out …] [--quick] [--save NAME] [--compare NAME]``.

Exit code 1: a figure is worse than the one it is compared with, beyond the noise; 2: the usage is wrong.
"""

import argparse
import re
import sys
import time
from collections.abc import Callable

from benchmarks import (
    completion,
    context,
    durable,
    expressions,
    fan_out,
    figures,
    http_checks,
    memory,
    peers,
    resident,
    scale,
    scripts,
    uneven,
)
from benchmarks.figures import Figure, compare, load, save

_Measure = Callable[..., list[Figure]]
_ALL: dict[str, list[_Measure]] = {
    "context": [context.measure],
    "expressions": [expressions.measure],
    "fan-out": [fan_out.measure],
    "io": [http_checks.measure, scripts.measure],
    "completion": [completion.measure],
    "uneven": [uneven.measure],
    "resident": [resident.measure],
    "memory": [memory.measure],
    "peers": [peers.measure],
    "scale": [scale.measure],
    "durable": [durable.measure],
}


def _plain(name: str) -> str:
    """A name for figures: one folder, and no way out of the folder of all."""
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise argparse.ArgumentTypeError(f"{name!r} is no plain name: letters, digits, ., _ and -")
    return name


def _kept(name: str) -> str:
    """A name that figures are kept under: a typing mistake is told before hours of measuring, not after."""
    if not load(_plain(name)):
        known = ", ".join(sorted(path.name for path in figures.RESULTS.glob("*") if path.is_dir())) or "none"
        raise argparse.ArgumentTypeError(f"no figures are kept as {name!r}; there are: {known}")
    return name


def main() -> int:
    """Run what was asked for; how many figures are worse than before."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--all", action="store_true", help="all of them, as when none is named")
    for name in _ALL:
        parser.add_argument(f"--{name}", action="store_true")
    parser.add_argument("--quick", action="store_true", help="fewer items and repeats: a look, not a figure to quote")
    parser.add_argument("--save", metavar="NAME", type=_plain, help="keep the figures in benchmarks/results/NAME/")
    parser.add_argument("--compare", metavar="NAME", type=_kept, help="print the ratios to those kept as NAME")
    arguments = vars(parser.parse_args())
    named = [name for name in _ALL if arguments[name.replace("-", "_")]]
    n_worse = 0
    for name in _ALL if arguments["all"] or not named else named:
        print(f"\n{name}")
        began = time.monotonic()
        measured = [figure for measure in _ALL[name] for figure in measure(quick=arguments["quick"])]
        print(f"({time.monotonic() - began:.0f} s)")
        if arguments["compare"]:
            n_worse += compare(arguments["compare"], name, measured)
        if arguments["save"]:
            save(arguments["save"], name, measured, quick=arguments["quick"])
    if n_worse:
        print(f"\n{n_worse} figure(s) are worse than those of {arguments['compare']}, beyond the noise")
    return n_worse


if __name__ == "__main__":
    sys.exit(min(1, main()))
