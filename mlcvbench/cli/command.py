"""What every command of the command line has in common."""

from __future__ import annotations

from typing import Any

import click

from mlcvbench.stdout import results_apart


class Command(click.Command):
    """A command whose standard output holds what it emits, and nothing that a plugin prints."""

    def invoke(self, ctx: click.Context) -> Any:
        """Carry the command out."""
        with results_apart():
            return super().invoke(ctx)
