"""Arguments that the commands of stages and operations share, and the values that they take."""

import argparse
import os

from tandemrec.pipeline.stages import Stage

CONFIG_VARIABLE = "TANDEMREC_CONFIG"


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """What every command that works on a lake takes."""
    parser.add_argument(
        "--config",
        type=_config,
        default=os.environ.get(CONFIG_VARIABLE, ""),
        metavar="FILE",
        help=f"YAML file of settings; default: the one that the environment's {CONFIG_VARIABLE} names",
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY.PATH=VALUE", help="override one setting; may be repeated"
    )
    add_debug_argument(parser)


def add_stage_arguments(parser: argparse.ArgumentParser, chosen: Stage) -> None:
    """The arguments of a stage. One that reads no table has no older version to read."""
    add_config_arguments(parser)
    if chosen.reads:
        parser.add_argument(
            "--as-of",
            action="append",
            default=[],
            metavar="WHEN",
            help="read older versions: TABLE=VERSION (may be repeated), RUN_ID (what that run read or wrote), an ISO "
            "time, or VERSION where one table is read",
        )
    else:
        parser.set_defaults(as_of=[])
    add_force_argument(parser)


def add_force_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--force", action="store_true", help="run even what is up to date")


def add_debug_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")


def sentence(does: str) -> str:
    """What a command does, as its help describes it."""
    return f"{does[0].upper()}{does[1:]}."


def count(text: str) -> int:
    """A whole number from 0, as the `type` of an argument."""
    try:
        number = int(text.replace("_", "").replace(",", ""))
    except ValueError:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a whole number") from None
    if number < 0:
        raise argparse.ArgumentTypeError(f"found {number}, expected 0 or more")
    return number


def _config(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError(
            f"found none, expected --config and a YAML file of settings, or one in the environment: {CONFIG_VARIABLE} "
            "(`tandemrec settings NAME` writes one to start from)"
        )
    return text
