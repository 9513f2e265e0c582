"""The command `imza`: mounts every package's commands and imports each only when it is asked for.

Exit codes: 0 done; 1 and 3 verdicts of `imza verify`; 2 usage; 4 refused; 5 a device or a peer
failed; 70 our own fault.
"""

import importlib
import importlib.metadata
import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

EXIT_USAGE = 2
EXIT_REFUSED = 4
EXIT_PEER = 5
EXIT_FAULT = 70
EXIT_INTERRUPTED = 130

COMMANDS: Mapping[str, tuple[str, str, str]] = {
    "sandbox": ("imza.sandbox_command", "command", "Run a whole throw-away world on this machine."),
    "demo": ("imza.demo", "command", "Play the main job, step by step, in a fresh sandbox."),
    "serve": ("imza.server", "command", "Run one trust zone as a process of its own."),
    "doctor": ("imza.doctor", "command", "Say what is missing on this machine and what to do."),
    "sign": ("imza.sign", "command", "Sign documents with a card, a phone or a seal."),
    "augment": (
        "signing_service.command_line.augment_command",
        "augment",
        "Raise the level of signed documents.",
    ),
    "verify": ("signing_service.command_line.commands", "verify", "Validate signed documents."),
    "verify-certificate": (
        "signing_service.command_line.certificate_command",
        "verify_certificate",
        "Say what a certificate is worth.",
    ),
    "card": ("card_reader.commands", "group", "Readers, cards, certificates and PINs."),
    "mobile": ("mobile_id.commands", "group", "Phone subscribers and simulated phones."),
    "ca": ("imza.ca_commands", "group", "The CA administrator's work."),
    "seal": ("imza.seal_command", "group", "Keys and certificates of organisations' seals."),
    "ocsp": ("ocsp.commands", "group", "Ask an OCSP responder."),
    "tsa": ("tsa.commands", "group", "Ask a time-stamping authority."),
}
"""Name of a command: its module, the click object in it, and its line in the overview."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and leave with its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given == ["--version"]:
        # Answered before anything heavy is imported, since scripts ask it often.
        sys.stdout.write(f"imza {importlib.metadata.version('imza')}\n")
        sys.exit(0)
    sys.exit(_flushed(_run(given)))


def _flushed(code: int) -> int:
    """Write out what is still buffered; a command whose output was lost has not succeeded."""
    try:
        sys.stdout.flush()
    except OSError:
        # The interpreter would try again when it ends, and change the exit code.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return code or EXIT_FAULT
    return code


def leave(work: Callable[[], object]) -> int:
    """Do the work of a process of its own; return its exit code, as a command's."""
    return _flushed(_attempt(work, []))


def _run(given: list[str]) -> int:
    return _attempt(lambda: _root().main(given, prog_name="imza", standalone_mode=False), given)


def _attempt(work: Callable[[], object], given: Sequence[str]) -> int:
    """Do something for a person; whatever it raises becomes a sentence and an exit code."""
    import click

    from pki import errors, terminal_text

    as_json = "--json" in given
    try:
        result = work()
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except click.Abort:
        sys.stderr.write("\nInterrupted.\n")
        return EXIT_INTERRUPTED
    except click.UsageError as error:
        if as_json:
            _print_problem("usage", error.format_message(), EXIT_USAGE)
        else:
            error.show()
        return EXIT_USAGE
    except click.ClickException as error:
        if as_json:
            _print_problem("refused", error.format_message(), EXIT_REFUSED)
        else:
            error.show()
        return EXIT_REFUSED
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted.\n")
        return EXIT_INTERRUPTED
    except errors.ImzaError as error:
        code = exit_code(error)
        if as_json:
            _print_problem(error.code, error.message, code, retriable=error.retriable)
        else:
            again = " (trying again later may help)" if error.retriable else ""
            # The message may quote what a stranger wrote.
            told = "\n".join(map(terminal_text.printable, error.message.split("\n")))
            sys.stderr.write(f"imza: {told} [{error.code}]{again}\n")
        return code
    except Exception as error:  # noqa: BLE001 - the edge: a person gets a sentence, not a traceback
        if isinstance(error, ModuleNotFoundError) and not _is_ours(error):
            return _missing_package(error, as_json)
        if as_json:
            _print_problem("internal", f"{type(error).__name__}", EXIT_FAULT)
        if "--traceback" in given:
            traceback.print_exc()
        else:
            sys.stderr.write(
                f"imza: an internal error ({type(error).__name__}); this is our fault."
                " Run again as `imza --traceback …` and report what it prints.\n"
            )
        return EXIT_FAULT
    return result if isinstance(result, int) else 0


def _is_ours(error: ModuleNotFoundError) -> bool:
    """Whether a module of this distribution is missing, which no extra would bring."""
    return (error.name or "").partition(".")[0] in {
        module.partition(".")[0] for module, _, _ in COMMANDS.values()
    } | {"pki"}


def _missing_package(error: ModuleNotFoundError, as_json: bool) -> int:
    name = (error.name or "").partition(".")[0]
    sentence = (
        f"this command needs the Python package {name!r}: install imza[server],"
        " or imza[card] on a machine that only signs"
    )
    if as_json:
        _print_problem("package-missing", sentence, EXIT_REFUSED)
    else:
        sys.stderr.write(f"imza: {sentence} [package-missing]\n")
    return EXIT_REFUSED


def exit_code(error: Exception) -> int:
    """The exit code of an error of ours, by its family."""
    from pki import errors

    if isinstance(error, errors.DeviceError | errors.PeerError):
        return EXIT_PEER
    if isinstance(error, errors.TamperedError):
        return EXIT_FAULT
    return EXIT_REFUSED


def _print_problem(code: str, detail: str, exit_status: int, *, retriable: bool = False) -> None:
    problem = {
        "type": "about:blank",
        "title": code.replace("-", " "),
        "code": code,
        "detail": detail,
        "retriable": retriable,
        "exit_code": exit_status,
    }
    from pki import terminal_text

    written = json.dumps(problem, ensure_ascii=False)
    sys.stdout.write(terminal_text.printable_json(written) + "\n")


def _root() -> Any:
    import click

    class Commands(click.Group):
        """A group whose commands are imported when they are asked for."""

        def list_commands(self, context: click.Context) -> list[str]:
            return list(COMMANDS)

        def get_command(self, context: click.Context, name: str) -> click.Command | None:
            if name not in COMMANDS:
                return None
            module, attribute, _ = COMMANDS[name]
            found = getattr(importlib.import_module(module), attribute)
            assert isinstance(found, click.Command)  # noqa: S101 - the table above is ours
            return found

        def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
            # The overview is printed from the table, so that it imports nothing.
            with formatter.section("Commands"):
                formatter.write_dl([(name, text) for name, (_, _, text) in COMMANDS.items()])

    @click.group(
        cls=Commands,
        name="imza",
        epilog="Example: imza sandbox --dir world",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    @click.version_option(package_name="imza", message="imza %(version)s")
    @click.option("--traceback", is_flag=True, help="Show where an internal error happened.")
    def root(traceback: bool) -> None:
        """Electronic signatures and PKI: sign with a card or a phone, and validate."""

    return root
