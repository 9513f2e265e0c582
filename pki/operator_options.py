"""The options of every command that calls the CA as an operator."""

import contextlib
import dataclasses
import functools
import pathlib
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from pki import registration_calls

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclasses.dataclass(frozen=True)
class CallingOperator:
    """Who calls which CA, as the options say; a command takes it as its argument `ca`.

    Attributes:
        path: An operator's file, or a sandbox.json.
        server: The CA zone's address; None takes the one in the file.
        operator: Which one of a sandbox.json's, by name or role.
        secret_fd: Where the key's passphrase or PIN is read; None asks on the terminal.
    """

    path: pathlib.Path
    server: str | None = None
    operator: str | None = None
    secret_fd: int | None = None

    def open(self) -> "contextlib.AbstractContextManager[registration_calls.RegistrationClient]":
        """Open a client; raises as `pki.registration_calls.open_client` does."""
        from pki import registration_calls

        return registration_calls.open_client(
            self.server, self.path, operator=self.operator, secret_fd=self.secret_fd
        )


def application() -> Callable[[Command], Command]:
    """Give a command the option that goes on with an application that is approved already."""
    return click.option(
        "--application",
        "application_id",
        metavar="ID",
        help="An application that was vetted and approved; instead of an applicant's options.",
    )


def check_applicant(
    application_id: str | None, given: Mapping[str, str | None], required: Collection[str]
) -> None:
    """Check that options say whom a card or a SIM is for, and say it once.

    Args:
        application_id: What `--application` named.
        given: The options that describe an applicant, by their parameters' names.
        required: Those among them without which nobody is described.

    Raises:
        UsageError: Both, or neither, or a part.
    """
    named = [name for name, value in given.items() if value is not None]
    wanted = named if application_id is not None else [n for n in required if n not in named]
    if not wanted:
        return
    context = click.get_current_context()
    options = {one.name: one.opts[0] for one in context.command.params}
    listed = ", ".join(options[name] for name in wanted)
    if application_id is not None:
        raise click.UsageError(f"--application says whom it is for already: leave out {listed}")
    raise click.UsageError(f"expected --application, or an applicant: {listed} missing")


def calls_ca(
    *, required: bool = True, pin_option: str = "--pin-fd"
) -> Callable[[Command], Command]:
    """Give a command the options that say which operator calls which CA.

    Args:
        required: Whether it always does; else `ca` is None where no file was named.
        pin_option: The option's name where `--pin-fd` means another PIN.
    """

    def decorate(command: Command) -> Command:
        @click.option(
            "--operator",
            "--credentials",
            "operator_path",
            required=required,
            metavar="FILE",
            type=click.Path(path_type=pathlib.Path, dir_okay=False),
            help="Who calls: an operator's file, or a sandbox.json.",
        )
        @click.option(
            "--as",
            "operator_name",
            metavar="NAME",
            help="An operator of the sandbox.json by name or role;"
            " default: the first whose role the call is for.",
        )
        @click.option("--server", help="The CA zone's address; default: the one in the file.")
        @click.option(
            pin_option,
            "operator_secret_fd",
            type=int,
            metavar="N",
            help="Read the PIN or passphrase of the operator's key from this descriptor.",
        )
        @functools.wraps(command)
        def called(
            *args: Any,
            operator_path: pathlib.Path | None,
            operator_name: str | None,
            server: str | None,
            operator_secret_fd: int | None,
            **named: Any,
        ) -> Any:
            ca = None
            if operator_path is not None:
                ca = CallingOperator(operator_path, server, operator_name, operator_secret_fd)
            return command(*args, ca=ca, **named)

        return called  # type: ignore[return-value]

    return decorate
