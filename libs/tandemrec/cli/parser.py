"""Commands and their arguments. What a command needs is imported when it runs, so that --help answers at once."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import tandemrec
from tandemrec.config import Settings, load_settings
from tandemrec.errors import ConfigError
from tandemrec.pipeline import STAGES, run_all, run_stage, stage
from tandemrec.pipeline.harness import add_config_arguments, add_debug_argument, add_force_argument, guarded


def main(argv: Sequence[str] | None = None) -> int:
    """Parse and run a command. Exit code: 0 done, 1 failed with one line on standard error, 2 wrong usage."""
    arguments = build_parser().parse_args(argv)
    return guarded(lambda: arguments.run(arguments), debug=arguments.debug)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tandemrec",
        description="Recommendations learned together from what people do and from what they write.",
    )
    parser.add_argument("--version", action="version", version=f"tandemrec {tandemrec.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    sample = commands.add_parser("sample", help="write raw files as a company's logs would look")
    sample.add_argument("--out", required=True, metavar="DIR", help="new or empty folder, or one of an earlier sample")
    for name, default in (("users", 2_000), ("items", 1_000), ("events", 60_000), ("reviews", 5_000), ("seed", 42)):
        sample.add_argument(f"--{name}", type=_count, default=default, metavar="N", help="default: %(default)s")
    add_debug_argument(sample)
    sample.set_defaults(run=_sample)

    everything = commands.add_parser("run", help="all stages in order, skipping what is up to date")
    add_config_arguments(everything)
    add_force_argument(everything)
    everything.set_defaults(run=lambda a: run_all(_settings(a), force=a.force))

    for chosen in STAGES:
        one = commands.add_parser(chosen.name, help=f"stage: {chosen.does}", description=f"Stage: {chosen.does}.")
        add_config_arguments(one)
        add_force_argument(one)
        one.set_defaults(run=lambda a: run_stage(_settings(a), stage(a.command), force=a.force))

    stream = commands.add_parser("stream", help="what arrives in the sources into bronze, once or until interrupted")
    add_config_arguments(stream)
    stream.add_argument(
        "--follow", action="store_true", help="go on until interrupted; default: end with what is there"
    )
    stream.set_defaults(run=_stream)

    tables = commands.add_parser("tables", help="every table of the lake: rows, version, size, last run")
    add_config_arguments(tables)
    tables.set_defaults(run=_tables)

    show = commands.add_parser("show", help="look at what was published")
    kinds = show.add_subparsers(dest="what", metavar="WHAT", required=True)
    recommendations = kinds.add_parser("recommendations", help="what a user gets, with titles and scores")
    add_config_arguments(recommendations)
    recommendations.add_argument("--user", required=True, metavar="USER", help="user_id")
    recommendations.add_argument("--k", type=_count, default=10, metavar="K", help="how many; default: %(default)s")
    recommendations.set_defaults(run=_show_recommendations)

    summary = commands.add_parser("summary", help="the newest run in a dozen lines")
    add_config_arguments(summary)
    summary.set_defaults(run=_summary)
    return parser


def _count(text: str) -> int:
    try:
        number = int(text.replace("_", "").replace(",", ""))
    except ValueError:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a whole number") from None
    if number < 0:
        raise argparse.ArgumentTypeError(f"found {number}, expected 0 or more")
    return number


def _settings(arguments: argparse.Namespace) -> Settings:
    return load_settings(arguments.config, arguments.set)


def _sample(arguments: argparse.Namespace) -> None:
    from tandemrec.sample import generate

    folder = Path(arguments.out)
    if folder.exists() and any(folder.iterdir()) and not (folder / "planted.json").exists():
        raise ConfigError(f"--out {folder}: holds files that are no sample, expected a new or an empty folder")
    generate(
        folder,
        users=arguments.users,
        items=arguments.items,
        events=arguments.events,
        reviews=arguments.reviews,
        seed=arguments.seed,
    )


def _stream(arguments: argparse.Namespace) -> None:
    from jobs.stream import command

    command(_settings(arguments), follow=arguments.follow)


def _tables(arguments: argparse.Namespace) -> None:
    from tandemrec.report.tables import print_tables

    print_tables(_settings(arguments))


def _show_recommendations(arguments: argparse.Namespace) -> None:
    from tandemrec.report.show import print_recommendations

    print_recommendations(_settings(arguments), arguments.user, arguments.k)


def _summary(arguments: argparse.Namespace) -> None:
    from tandemrec.report.summary import print_summary

    print_summary(_settings(arguments))
