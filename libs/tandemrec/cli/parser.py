"""Commands and their arguments. What a command needs is imported when it runs, so that --help answers at once."""

import argparse
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import tandemrec
from tandemrec import console
from tandemrec.cli.listing import Commands
from tandemrec.config import Settings, load_settings
from tandemrec.config.interest import moment_of
from tandemrec.config.starters import starters, write_starter
from tandemrec.lake import Lake
from tandemrec.lake.pseudonyms import known_as
from tandemrec.pipeline import STAGES, run_all, run_stage, stage
from tandemrec.pipeline.arguments import (
    add_config_arguments,
    add_debug_argument,
    add_force_argument,
    add_stage_arguments,
    count,
    sentence,
)
from tandemrec.pipeline.harness import guarded
from tandemrec.pipeline.operations import OPERATIONS, Operation, add_operation_arguments, add_options, run_operation


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
    commands = Commands(parser)

    sample = commands.add("begin", "sample", "write raw files as a company's logs would look")
    sample.add_argument("--out", required=True, metavar="DIR", help="new or empty folder, or one of an earlier sample")
    for name, default in (("users", 2_000), ("items", 1_000), ("events", 60_000), ("reviews", 5_000), ("seed", 42)):
        sample.add_argument(f"--{name}", type=count, default=default, metavar="N", help="default: %(default)s")
    sample.add_argument(
        "--engine",
        choices=("python", "spark"),
        default="python",
        help="spark: millions of rows, without tastes to learn, for measuring; default: %(default)s",
    )
    add_debug_argument(sample)
    sample.set_defaults(run=_sample)

    written = commands.add("begin", "settings", "write a file of settings to start from")
    written.add_argument("name", choices=[*starters()], metavar="NAME", help="one of: %(choices)s")
    written.add_argument("--out", metavar="FILE", help="new file; default: conf/NAME.yaml")
    add_debug_argument(written)
    written.set_defaults(run=_write_settings)

    everything = commands.add("begin", "run", "all stages in order, skipping what is up to date")
    add_config_arguments(everything)
    add_force_argument(everything)
    everything.set_defaults(run=lambda a: run_all(_settings(a), force=a.force))

    for chosen in STAGES:
        one = commands.add("stages", chosen.name, chosen.does)
        add_stage_arguments(one, chosen)
        for done in OPERATIONS:
            if done.instead_of == chosen.name:
                one.add_argument(f"--{done.name}", dest="instead", action="store_const", const=done, help=done.does)
                add_options(one, done)
        one.set_defaults(run=_stage, instead=None)

    tables = commands.add("look", "tables", "every table of the lake: rows, version, size, last run")
    add_config_arguments(tables)
    tables.set_defaults(run=_tables)

    kinds = commands.add_group("look", "show", "recommendations, user: what somebody gets, did and is interested in")
    recommendations = kinds.add_parser("recommendations", help="what a user gets, with titles and scores")
    add_config_arguments(recommendations)
    recommendations.add_argument("--user", required=True, metavar="USER", help="user_id")
    recommendations.add_argument("--k", type=count, default=10, metavar="K", help="how many; default: %(default)s")
    recommendations.add_argument("--json", action="store_true", help="a list of objects for other programs")
    recommendations.set_defaults(run=_show_recommendations)

    user = kinds.add_parser("user", help="what a user did and is interested in")
    add_config_arguments(user)
    user.add_argument("--user", required=True, metavar="USER", help="user_id")
    user.add_argument(
        "--as-of", type=_moment, metavar="TIME", help="what was known before this ISO time; starts Spark; default: all"
    )
    user.set_defaults(run=_show_user)

    summary = commands.add("look", "summary", "the newest run in a dozen lines")
    add_config_arguments(summary)
    summary.set_defaults(run=_summary)

    for group in ("compare", "look after"):
        for done in OPERATIONS:
            if done.group == group and not done.instead_of:
                _add_operation(commands, done)
    return parser


def _add_operation(commands: Commands, done: Operation) -> None:
    first, _, second = done.name.partition(" ")
    if second:
        among = commands.add_group(done.group, first, f"{second}: {done.does}")
        command = among.add_parser(second, help=done.does, description=sentence(done.does))
    else:
        command = commands.add(done.group, first, done.does)
    add_operation_arguments(command, done)
    command.set_defaults(operation=done, run=lambda a: run_operation(_settings(a), a.operation, a))


def _moment(text: str) -> datetime:
    try:
        return moment_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _settings(arguments: argparse.Namespace) -> Settings:
    return load_settings(arguments.config, arguments.set)


def _stage(arguments: argparse.Namespace) -> None:
    settings = _settings(arguments)
    if arguments.instead:
        run_operation(settings, arguments.instead, arguments)
    else:
        run_stage(settings, stage(arguments.command), force=arguments.force, as_of=arguments.as_of)


def _write_settings(arguments: argparse.Namespace) -> None:
    path = write_starter(arguments.name, arguments.out or f"conf/{arguments.name}.yaml")
    console.line(f"  {path}")


def _sample(arguments: argparse.Namespace) -> None:
    from tandemrec.sample.files import refuse_others

    folder = Path(arguments.out)
    refuse_others(folder)  # before Spark starts
    sizes = {name: getattr(arguments, name) for name in ("users", "items", "events", "reviews", "seed")}
    if arguments.engine == "spark":
        from tandemrec.config.root import SparkSettings
        from tandemrec.engines.spark import spark_session
        from tandemrec.sample.spark import generate as generate_with_spark

        with spark_session(SparkSettings(master="local[*]")) as spark:
            planted = generate_with_spark(spark, folder, **sizes)
    else:
        from tandemrec.sample import generate

        planted = generate(folder, **sizes)
    events, items, reviews = (f"{getattr(planted, name).rows:,}" for name in ("events", "items", "reviews"))
    console.line(
        f"  {folder}: {events} lines of events, {items} of items, {reviews} of reviews; planted.json counts what is "
        "wrong in them"
    )


def _tables(arguments: argparse.Namespace) -> None:
    from tandemrec.report.tables import print_tables

    print_tables(_settings(arguments))


def _show_recommendations(arguments: argparse.Namespace) -> None:
    from tandemrec.report.show import print_picks_as_json, print_recommendations

    show = print_picks_as_json if arguments.json else print_recommendations
    show(_settings(arguments), arguments.user, arguments.k)


def _show_user(arguments: argparse.Namespace) -> None:
    from tandemrec.report.interest import Profile, profiles
    from tandemrec.report.show import print_user

    settings, moment = _settings(arguments), arguments.as_of
    lake, user = Lake.of(settings.lake), known_as(arguments.user, settings)
    if moment is None:
        profile = profiles(lake, [user]).get(user)
    else:
        from jobs.build_profiles import profile_as_of
        from tandemrec.engines.spark import spark_session

        with spark_session(settings.spark) as spark:
            row = profile_as_of(spark, settings, user, moment)
        profile = None if row is None else Profile.of(row)
    print_user(lake, settings, user, profile, moment)


def _summary(arguments: argparse.Namespace) -> None:
    from tandemrec.report.summary import print_summary

    print_summary(_settings(arguments))
