"""The command line of the front service: hand in jobs, watch them, fetch what they made.

Exit codes: 0 completed, or what was asked is done; 1 the job ended otherwise (failed, cancelled,
expired) or has no result; 2 the command or the request is wrong; 3 the service is unreachable or
did not answer as it should; 4 unknown, or gone; 5 the time given by --timeout passed first;
130 Ctrl-C, which cancels nothing.

With --json every line on stdout is one JSON document, and nothing else is.
"""

import sys

import typer

from uketsuke.cli import commands, many, tenants


def build(*, is_terminal: bool = False) -> typer.Typer:
    """Build the whole command line; help and mistakes are framed on a terminal only."""
    app = typer.Typer(
        name="uketsuke",
        help=__doc__,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="rich" if is_terminal else None,
        pretty_exceptions_enable=False,
    )
    app.command("submit")(commands.submit)
    app.command("status")(commands.status)
    app.command("watch")(commands.watch)
    app.command("result")(commands.result)
    app.command("cancel")(commands.cancel)
    app.command("replay")(commands.replay)
    app.command("list")(commands.list_jobs)
    app.command("batch")(many.batch)
    app.command("bulk")(many.bulk)
    app.command("dead-letters")(many.dead_letters)
    app.command("stats")(many.stats)
    app.command("types")(many.types)
    app.add_typer(tenants.keys_app(), name="keys")
    app.add_typer(tenants.tenants_app(), name="tenants")
    return app


def main() -> None:
    """Run the command that the arguments of the process name."""
    build(is_terminal=sys.stdout.isatty())(prog_name="uketsuke")
