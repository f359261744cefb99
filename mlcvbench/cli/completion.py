"""Shell completion: `_MLCVBENCH_COMPLETE=bash_source mlcvbench` prints the script, which then asks here at every Tab.

Click provides the shell protocols. Changed here: words `KEY=VALUE` are completed as a whole, though bash splits them at
`=` and `:`, and no space follows a key.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    split_arg_string,
)

from mlcvbench.cli import COMMANDS, COMPLETE
from mlcvbench.processes.stdout import emit

PROGRAM = "mlcvbench"

BASH = """\
%(complete_func)s() {
    local IFS=$'\\n' response completion type value
    response=$(env COMP_LINE="${COMP_LINE:0:$COMP_POINT}" %(complete_var)s=bash_complete "$1" 2>/dev/null)
    for completion in $response; do
        IFS=',' read -r type value <<< "$completion"
        if [[ $type == file ]]; then
            compopt -o default
        else
            COMPREPLY+=("$value")
            if [[ $value == *[=.] ]]; then compopt -o nospace; fi
        fi
    done
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""
ZSH = """\
#compdef %(prog_name)s
%(complete_func)s() {
    local -a response closed open
    response=("${(@f)$(env COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT-1)) \
%(complete_var)s=zsh_complete %(prog_name)s 2>/dev/null)}")
    for type key descr in ${response}; do
        if [[ $type == file ]]; then
            compset -P '*='
            _path_files -f
        elif [[ $key == *[=.] ]]; then
            open+=("$key")
        elif [[ -n $key ]]; then
            closed+=("$key")
        fi
    done
    (( $#open )) && compadd -U -S '' -V open -a open
    (( $#closed )) && compadd -U -V closed -a closed
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    %(complete_func)s "$@"
else
    compdef %(complete_func)s %(prog_name)s
fi
"""
FISH = """\
function %(complete_func)s
    set -l response (env %(complete_var)s=fish_complete COMP_WORDS=(commandline -cp) \
COMP_CWORD=(commandline -t) %(prog_name)s 2>/dev/null)
    for completion in $response
        set -l parts (string split -m 1 "," $completion)
        if test $parts[1] = file
            set -l key (string match -r '^[^=]*=' -- $parts[2])
            for path in (__fish_complete_path (string replace -- "$key" "" $parts[2]))
                echo "$key$path"
            end
        else
            echo $parts[2]
        end
    end
end
complete --no-files --command %(prog_name)s --arguments "(%(complete_func)s)"
"""


class Bash(BashComplete):
    """Bash, which passes the typed line: its own words break at `=` and `:`, and it replaces what follows them."""

    source_template = BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the typed one, and the typed one."""
        line = os.environ["COMP_LINE"]
        words = split_arg_string(line)
        typed = words.pop() if words and not line[-1].isspace() else ""
        self._kept = max(typed.rfind("="), typed.rfind(":")) + 1
        return words[1:], typed

    def format_completion(self, item: CompletionItem[Any]) -> str:
        """Return a line of the answer: the part of the word that bash replaces."""
        return f"{item.type},{item.value[self._kept :]}"


class Zsh(ZshComplete):
    """Zsh, without a space after a key, and with paths as values."""

    source_template = ZSH


class Fish(FishComplete):
    """Fish, with commas inside words and paths as values."""

    source_template = FISH


class Commands(click.Group):
    """The program with its commands, each imported only when needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; None when there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """Return the commands with this prefix."""
        return [CompletionItem(name, help=line) for name, (_, line) in COMMANDS.items() if name.startswith(incomplete)]


def answer(instruction: str) -> int:
    """Print the script of a shell (`bash_source`) or completions (`bash_complete`); return the exit code."""
    shell, _, what = instruction.partition("_")
    shells: dict[str, type[ShellComplete]] = {"bash": Bash, "zsh": Zsh, "fish": Fish}
    if shell not in shells or what not in {"source", "complete"}:
        wanted = ", ".join(f"{name}_source" for name in shells)
        click.echo(f"mlcvbench: error: {COMPLETE}={instruction}: wanted one of {wanted}.", err=True)
        return 2
    talk = shells[shell](Commands(PROGRAM), {}, PROGRAM, COMPLETE)
    if what == "source":
        emit(talk.source(), end="")
        return 0
    try:
        emit(talk.complete())
    except Exception:  # noqa: BLE001 - while a user types, no completion is better than an error
        return 1
    return 0
