"""The command line: a table of commands, each imported only when called, and the one place where errors are caught."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout, suppress

from mlcvbench.errors import MlcvbenchError, did_you_mean, said_by
from mlcvbench.processes.stdout import emit, results_apart, take_stdout

COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("mlcvbench.cli.run:run", "Run methods on a benchmark and print the leaderboard."),
    "score": ("mlcvbench.cli.score:score", "Score predictions made elsewhere."),
    "list": ("mlcvbench.cli.list:list_names", "List tasks, models, data sets and plugins."),
    "info": ("mlcvbench.cli.info:info", "Show what one name is and which settings it takes."),
    "data": ("mlcvbench.cli.data:data", "Draw a data set with its ground truth, or check its files."),
    "profile": ("mlcvbench.cli.profile:profile", "Show a network layer by layer: shapes, parameters, operations."),
    "study": ("mlcvbench.cli.study:study", "Draw error against a setting, or bias and variance."),
    "show": ("mlcvbench.cli.show:show", "Show a stored run."),
    "explain": ("mlcvbench.cli.explain:explain", "Explain the predictions of a stored run's classifier."),
    "rescore": ("mlcvbench.cli.rescore:rescore", "Recompute a run's metrics from its stored predictions."),
    "compare": ("mlcvbench.cli.compare:compare", "Compare two runs, sample by sample."),
    "leaderboard": ("mlcvbench.cli.leaderboard:leaderboard", "Build, verify or publish leaderboards, retract a run."),
    "plugin": ("mlcvbench.cli.plugin:plugin", "Start, check and diagnose plugins."),
}
"""Command -> (location of its click command, help line). Help is printed from here without importing anything."""

HELP = """Usage: mlcvbench COMMAND [ARGS]...

  One benchmark suite for all of computer vision.

Commands:
{commands}

Options:
  --version  Print the version.
  --help     Print this, or after a COMMAND its own help.

Start with: mlcvbench run task=classification
"""
INTERRUPTED, READER_GONE = 130, 141
COMPLETE = "_MLCVBENCH_COMPLETE"
"""Environment variable with which a shell requests its completion script, and then completions."""
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def main(args: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 success, 1 something failed, 2 a wrong request.

    130 after Ctrl-C and 141 when the reader of the output is gone.
    """
    if args is None:  # run as a program, not called from Python
        with take_stdout() as results, redirect_stdout(results):
            return _complete(asked) if (asked := os.environ.get(COMPLETE)) else _answer(sys.argv[1:])
    # Not `list(...)`: once cli/list.py is imported, that name means the module here.
    return _answer([*args])


def _complete(asked: str) -> int:
    """Answer a shell that completes a line; print nothing else, since a user is typing there."""
    from mlcvbench.cli.completion import answer

    return answer(asked)


def _answer(words: list[str]) -> int:
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # A terminal that cannot show a character gets a question mark, not a traceback.
            stream.reconfigure(errors="replace")
    try:
        code = _dispatch(words)
        if sys.stdout is not None:
            sys.stdout.flush()
    except KeyboardInterrupt:
        _say("interrupted.")
        code = INTERRUPTED
    except BrokenPipeError:
        _drop_output()
        code = READER_GONE
    except MlcvbenchError as error:
        code = _fail(str(error), error.exit_code)
    except OSError as error:
        code = _fail(_describe(error), 1)
    except Exception as error:  # noqa: BLE001 - the last resort: even a bug of mlcvbench is one line for a user
        code = _fail(f"this is a bug in mlcvbench: {said_by(error)}", 1)
        _explain()
    if code not in (INTERRUPTED, READER_GONE):
        _warn_of_quarantine(words)
    _settle_errors()
    return code


def help_text() -> str:
    """Return what `mlcvbench --help` prints."""
    width = max(map(len, COMMANDS)) + 2
    return HELP.format(commands="\n".join(f"  {name:<{width}}{line}" for name, (_, line) in COMMANDS.items()))


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in {"--help", "-h", "help"}:
        emit(help_text(), end="")
        return 0
    if words[0] == "--version":
        import mlcvbench

        emit(f"mlcvbench {mlcvbench.__version__}")
        return 0
    if words[0] == "list" and (request := _plain_list(words[1:])) is not None:
        from mlcvbench.cli.listing import list_text

        with results_apart():
            emit(list_text(*request))
        return 0
    if words[0] not in COMMANDS:
        return _fail(f"unknown command {words[0]!r}.{did_you_mean(words[0], COMMANDS)}", 2)
    return _run_click(words[0], words[1:])


def _plain_list(words: Sequence[str]) -> tuple[str | None, bool] | None:
    """Return section and `--json` of a simple `list`; None when click must print help or an error.

    Importing click takes longer than the rest of a listing.
    """
    names = [word for word in words if word != "--json"]
    if len(names) > 1 or any(name.startswith("-") for name in names):
        return None
    return names[0] if names else None, "--json" in words


def _run_click(name: str, words: list[str]) -> int:
    """Call a command; click's own errors are printed in the form of mlcvbench's."""
    from importlib import import_module

    import click

    module, _, attribute = COMMANDS[name][0].partition(":")
    command: click.Command = getattr(import_module(module), attribute)
    try:
        # Not `command.main(...)`: it would handle interrupts and broken pipes itself.
        with command.make_context(f"mlcvbench {name}", words) as context:
            result = command.invoke(context)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except click.Abort:
        raise KeyboardInterrupt from None
    except getattr(click.exceptions, "NoArgsIsHelpError", ()) as error:
        click.echo(error.format_message(), err=True)
        return 2
    except click.ClickException as error:
        where = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else f"mlcvbench {name}"
        message = error.format_message()
        if isinstance(error, click.NoSuchOption) and _is_key(error.option_name):
            message = f"no such option {error.option_name!r}: settings are written KEY=VALUE, such as model=knn."
        end = "" if message.endswith((".", "?")) else "."
        return _fail(f"{message[:1].lower()}{message[1:]}{end} Try '{where} --help'.", 2)
    return result if isinstance(result, int) else 0


def _is_key(option: str) -> bool:
    """Return whether an unknown option is a setting in the style of other programs: `--model`, `--fit.lr`."""
    from mlcvbench.plan.vocabulary import REQUEST_KEYS, RUN_KEYS

    name = option.lstrip("-")
    return "." in name or name in (*REQUEST_KEYS, *RUN_KEYS)


def _say(line: str) -> None:
    try:
        print(f"mlcvbench: {' '.join(line.split())}", file=sys.stderr, flush=True)
    except OSError:
        _drop_output()


def _fail(message: str, code: int) -> int:
    if sys.stdout is not None:
        try:
            sys.stdout.flush()
        except OSError:
            _drop_output()
    _say(f"error: {message}")
    return code


def _describe(error: OSError) -> str:
    reason = error.strerror or str(error)
    if error.filename is not None:
        return f"{error.filename}: {reason}."
    if error.errno in NO_ROOM:
        _drop_output()
        return f"cannot write the output: {reason}."
    return f"{reason}."


def _explain() -> None:
    """Print the traceback of a bug when `MLCVBENCH_TRACEBACK` is set, else how to get it."""
    if os.environ.get("MLCVBENCH_TRACEBACK"):
        import traceback

        traceback.print_exc()
    else:
        _say("set MLCVBENCH_TRACEBACK=1 to see where, and please report it.")


def _settle_errors() -> None:
    """Redirect an unwritable stderr to nothing: the interpreter's flush at exit would change the exit code to 120."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.flush()
    except OSError:
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def _drop_output() -> None:
    """Redirect stdout to nothing, so that the interpreter's flush at exit cannot fail again."""
    if sys.stdout is not None:
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except (OSError, ValueError):
            sys.stdout = None


def _warn_of_quarantine(words: list[str]) -> None:
    registry = sys.modules.get("mlcvbench.registry.registry")
    loaded = registry.loaded_registry() if registry is not None else None
    if loaded is None or not loaded.quarantined or words[:2] == ["plugin", "doctor"]:
        return
    names = sorted({broken.plugin for broken in loaded.quarantined})
    count = "1 plugin" if len(names) == 1 else f"{len(names)} plugins"
    _say(f"warning: {count} cannot be used: {', '.join(names)}. See: mlcvbench plugin doctor")
