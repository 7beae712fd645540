"""The command line. Each command is a module that is imported only when it is asked for, so that short commands answer at once."""

from __future__ import annotations

import gc
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from launcher.cli.messages import EXIT_CODES, show_error, wants_json
from launcher.cli.parser import Parser
from launcher.errors import ExitCode, LauncherError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence


class Command(NamedTuple):
    """One command: the module that has its ``configure(parser, verb)`` and ``run(args)``, and what it does in one line."""

    module: str
    summary: str


COMMANDS = {
    "up": Command("up", "start the backend and stay with it until it is stopped"),
    "down": Command("down", "stop the backend and its launcher; returns when both are gone"),
    "start": Command("control", "start components, with what they need; returns when they are ready"),
    "stop": Command("control", "stop components; returns when nothing of them is left"),
    "restart": Command("control", "restart components; returns when the new incarnations are ready"),
    "scale": Command(
        "scale", "run another number of replicas; returns when new ones are ready and others gone"
    ),
    "status": Command("status", "show every component and dependency"),
    "dashboard": Command("dashboard", "open the dashboard of the running launcher in a browser"),
    "why": Command(
        "why",
        "say why components are as they are: what they wait for, why they failed, what blocks their stop",
    ),
    "logs": Command("logs", "show or follow the logs, whether a launcher runs or not"),
    "events": Command("events", "show or follow every change of a phase, as the running launcher knows them"),
    "crash": Command("crash", "show why components crashed: reason, traceback, last lines, resources"),
    "history": Command("history", "show what has happened to the components, also before the last start"),
    "wait": Command("wait", "wait until a component is ready, stopped or completed"),
    "check": Command("check", "look for mistakes and show what a start would do, without starting anything"),
    "config": Command(
        "config", "show the declaration after all layers were merged, and where each value came from"
    ),
    "run": Command("run", "run components alone in this process: for containers and debuggers"),
    "compare": Command(
        "compare", "measure this backend in each mode: memory, CPU, times, and who notices a crash"
    ),
    "init": Command("init", "write a first launcher.toml for this repository"),
}

LASTING = frozenset({"up", "run", "logs", "events", "wait", "compare"})
"""Commands that may go on for as long as somebody lets them."""

ALIASES = {"ps": "status", "ls": "status"}

EXAMPLES = """\
examples:
  launcher up                          start what launcher.toml declares
  launcher up api=api.main:app         start a FastAPI application without any file
  launcher up --mode multi -d          one process per component, in the background
  launcher status                      from any terminal in the project
  launcher logs -f api                 follow one component
  launcher restart api                 returns when the new one is ready
"""


def main(argv: Sequence[str]) -> int:
    """Run one command line and return the exit code; see ``EXIT_CODES`` in ``launcher.cli.messages``."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever called us, as by `>&-`
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 (open as long as the process)
    try:
        code = _guarded(argv)
        sys.stdout.flush()
    except BrokenPipeError:
        _forget_stdout()
        return ExitCode.OK
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    return code


def _guarded(argv: Sequence[str]) -> int:
    """Run the command and show what it raises."""
    try:
        return _dispatch(argv)
    except LauncherError as error:
        return show_error(error, as_json=wants_json(argv))
    except SystemExit as ended:  # argparse, after --help or --version
        return ended.code if isinstance(ended.code, int) else ExitCode.OK


def _dispatch(argv: Sequence[str]) -> int:
    before, verb, rest = _split(argv)
    if not verb:
        return _without_command(before)
    name = ALIASES.get(verb, verb)
    if name not in COMMANDS:
        from launcher.core.suggest import did_you_mean

        raise UsageError(f'there is no command "{verb}"', hint=did_you_mean(verb, COMMANDS, what="commands"))
    if name not in LASTING:
        gc.disable()  # it is over before there is anything to collect, and somebody waits for its answer
    command = COMMANDS[name]
    module = import_module(f"launcher.cli.{command.module}")
    parser = Parser(
        prog=f"launcher {name}", description=f"{command.summary[0].upper()}{command.summary[1:]}."
    )
    module.configure(parser, name)
    args = parser.parse_args([*before, *rest])
    args.verb = name
    args.argv = [*before, *rest]
    code: int = module.run(args)
    return code


def _split(argv: Sequence[str]) -> tuple[list[str], str, list[str]]:
    """Return the options before the command, the command and what follows; ``-f FILE`` may stand on either side."""
    before: list[str] = []
    words = list(argv)
    while words and words[0].startswith("-"):
        word = words.pop(0)
        before.append("--file" if word == "-f" else word)  # after a command -f may mean something else
        if before[-1] == "--file" and words:
            before.append(words.pop(0))
    return before, words[0] if words else "", words[1:]


def _without_command(options: list[str]) -> int:
    from launcher import __version__

    parser = Parser(prog="launcher", usage="launcher COMMAND [OPTION...]", epilog=f"{EXAMPLES}\n{EXIT_CODES}")
    width = max(map(len, COMMANDS))
    listed = "\n".join(f"  {name:<{width}}  {command.summary}" for name, command in COMMANDS.items())
    parser.description = (
        "Declare a Python backend once; run it as one process or as many supervised ones.\n\n"
        f"commands (launcher COMMAND --help tells more):\n{listed}"
    )
    parser.add_argument("--version", action="version", version=f"launcher {__version__}")
    parser.parse_args(options)
    if options:
        raise UsageError("no command is given", hint="launcher --help lists them")
    parser.print_help(sys.stderr)
    return ExitCode.USAGE


def _forget_stdout() -> None:
    """Keep the interpreter from complaining, at its end, about the reader that has gone."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
