"""What all commands share: exit codes, and one clear line on stderr for whatever goes wrong."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click
import psycopg

from rowqueue.embedded import EmbeddedError
from rowqueue.text import clean

DONE = 0
FAILED = 1
USAGE = 2
OUT_OF_REACH = 3
INTERRUPTED = 130

_NOT_INSTALLED = {"3F000", "42883", "42P01", "42703"}
_OUT_OF_REACH_CLASSES = {"08", "28", "3D", "53", "57", "58"}
_QUERY_CANCELED = "57014"


class Failure(click.ClickException):
    """Ends a command with a line on stderr and an exit code."""

    def __init__(self, message: str, code: int = FAILED) -> None:
        """Takes the line, and the code, which is 1 unless it says otherwise."""
        super().__init__(message)
        self.code = code


class App(click.Group):
    """The command as a whole. What a command function returns is its exit code; None is 0."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> NoReturn:
        """Runs a command line and exits."""
        try:
            code = super().main(
                args, prog_name or self.name, complete_var, standalone_mode=False, **extra
            )
        except click.UsageError as error:
            path = error.ctx.command_path if error.ctx else self.name
            code = _complain(f"{error.format_message()} See {path} --help.", USAGE)
        except Failure as error:
            code = _complain(error.message, error.code)
        except click.ClickException as error:
            code = _complain(error.format_message(), error.exit_code)
        except psycopg.Error as error:
            code = _complain(*explanation(error))
        except EmbeddedError as error:
            code = _complain(str(error), OUT_OF_REACH)
        except click.Abort:
            code = INTERRUPTED
        except OSError as error:
            if error.errno == errno.EPIPE:
                # Who read our output has gone; nor may Python complain when it flushes at exit.
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                code = FAILED
            else:
                code = _complain(str(error), FAILED)
        sys.exit(code or DONE)


def explanation(error: psycopg.Error) -> tuple[str, int]:
    """Returns what to say about a database error, and the exit code."""
    code = error.sqlstate or ""
    message = error.diag.message_primary or str(error)
    if error.diag.message_hint:
        message = f"{message.rstrip('.')}. {error.diag.message_hint}"
    if code in _NOT_INSTALLED:
        return f"{message}. Is rowqueue installed here? If not: rowqueue migrate", FAILED
    if code.startswith("22") or code == "RQ103":
        return message, USAGE
    if isinstance(error, psycopg.ProgrammingError) and not code:
        return f"the connection string is not valid: {message}", USAGE
    if _is_out_of_reach(error, code):
        return f"database out of reach: {message}", OUT_OF_REACH
    return message, FAILED


def _is_out_of_reach(error: psycopg.Error, code: str) -> bool:
    if not code:
        return isinstance(error, psycopg.OperationalError)
    return code[:2] in _OUT_OF_REACH_CLASSES and code != _QUERY_CANCELED


def _complain(message: str, code: int) -> int:
    click.echo(f"rowqueue: {clean(message)}", err=True)
    return code
