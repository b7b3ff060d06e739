"""Commands whose errors are one line, and a group of them whose main command needs no name."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from graphc.viz.labels import shown

__all__ = ["FAILURE", "USAGE", "Command", "Group", "Stop"]

USAGE, FAILURE = 2, 1


class Stop(click.ClickException):
    """An error in one line; a usage error ends with 2, a failure with 1."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(shown(" ".join(message.split()), None))
        self.exit_code = exit_code  # type: ignore[misc]  # click declares it for the class, and reads it from the instance

    def show(self, file: Any = None) -> None:
        click.echo(f"graphc-viz: {self.message}", file=file, err=True)


class Command(click.Command):
    """A command whose usage errors are one line, too."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            message = error.format_message().rstrip(".")
            end = "" if message.endswith("?") else "."
            raise Stop(f"{message[:1].lower()}{message[1:]}{end} See {_path(ctx)} --help", USAGE) from None

    def get_help(self, ctx: click.Context) -> str:
        return ctx.parent.get_help() if ctx.parent is not None and _is_main(ctx) else super().get_help(ctx)


class Group(click.Group):
    """A group that takes arguments which name none of its commands as those of `default`, its hidden command."""

    command_class = Command

    def __init__(self, *arguments: Any, default: str, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.no_args_is_help = False  # no arguments are those of the default command, which says what is missing
        self.default = default

    @property
    def _default(self) -> click.Command:
        return self.commands[self.default]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own = {*ctx.help_option_names, *(option for each in self.params for option in each.opts)}
        is_empty = not args and ctx.resilient_parsing  # all that a shell may complete is possible yet
        if not is_empty and (not args or args[0] not in {*self.commands, *own}):
            if args and not ctx.resilient_parsing:
                self._check(args[0])
            args = [self.default, *args]
        return super().parse_args(ctx, args)

    def _check(self, word: str) -> None:
        """Raises for a word that is no file and almost a command."""
        close = difflib.get_close_matches(word, self._visible(), n=1)
        if close and not Path(word).exists():
            raise Stop(f"there is no command or file {shown(word)!r}; did you mean {close[0]!r}?", USAGE)

    def _visible(self) -> list[str]:
        return [name for name, command in self.commands.items() if not command.hidden]

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return self._default.collect_usage_pieces(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        options = [each for each in (*self._default.params, *self.get_params(ctx)) if isinstance(each, click.Option)]
        records = [record for each in options if (record := each.get_help_record(ctx)) is not None]
        with formatter.section("Options"):
            formatter.write_dl(records)
        self.format_commands(ctx, formatter)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        found = super().shell_complete(ctx, incomplete)
        for each in self._default.params:
            if isinstance(each, click.Argument):
                found += each.shell_complete(ctx, incomplete)
        if incomplete.startswith("-"):
            found += self._default.shell_complete(ctx, incomplete)
        return list({item.value: item for item in found}.values())


def _is_main(ctx: click.Context) -> bool:
    parent = ctx.parent
    return parent is not None and isinstance(parent.command, Group) and ctx.info_name == parent.command.default


def _path(ctx: click.Context) -> str:
    """How the command is called: the main one without its name."""
    return ctx.parent.command_path if ctx.parent is not None and _is_main(ctx) else ctx.command_path
