"""``python -m benchmarks [--quick] [--context] [--fan-out] …``: all of them unless some are named."""

import argparse

from benchmarks import context, expressions, fan_out, http_checks, resident, scripts

_ALL = {
    "context": context.main,
    "fan-out": fan_out.main,
    "resident": resident.main,
    "http": http_checks.main,
    "scripts": scripts.main,
    "expressions": expressions.main,
}


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer items and repeats: a look, not a figure to quote")
    for name in _ALL:
        parser.add_argument(f"--{name}", action="store_true")
    arguments = vars(parser.parse_args())
    named = [name for name in _ALL if arguments[name.replace("-", "_")]]
    for name in named or _ALL:
        print(f"\n{name}")
        _ALL[name](quick=arguments["quick"])


if __name__ == "__main__":
    main()
