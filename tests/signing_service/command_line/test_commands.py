import hashlib
import json

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives import serialization

from pki import errors
from signing_service.command_line import certificate_command, commands
from tests.support import broken_chains, signed_cms, signed_pdfs


@pytest.fixture
def files(tmp_path, hierarchy, at):
    """A root, and documents that pass, fail, are doubtful, unsigned and unreadable."""
    maker = signed_pdfs.PdfMaker(hierarchy, hierarchy.signer(), at)
    basic = maker.sign(signed_pdfs.make_pdf(), stamped=True)
    contents = {
        "root.pem": hierarchy.root.pem,
        "good.pdf": maker.add_evidence(basic),
        "doubtful.pdf": basic,
        "failed.pdf": basic.replace(b"TEST contract 1", b"TEST contract 9"),
        "unsigned.pdf": signed_pdfs.make_pdf(),
        "unreadable.pdf": b"%PDF-1.7 nothing",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def run(files, *arguments: str):
    """The exit code that the command line makes of the command, and its two outputs."""
    given = [str(files / one) if (files / one).exists() else one for one in arguments]
    root = str(files / "root.pem")
    return CliRunner().invoke(
        commands.verify, ["--offline", "--trust", root, *given], standalone_mode=False
    )


@pytest.mark.parametrize(
    ("name", "code"),
    [("good.pdf", 0), ("failed.pdf", 1), ("unsigned.pdf", 1), ("doubtful.pdf", 3)],
)
def test_exit_code_says_the_verdict(files, name, code):
    assert run(files, name).return_value == code


def test_unreadable_document_is_an_input_error_for_the_command_line(files):
    assert isinstance(run(files, "unreadable.pdf").exception, errors.InputError)


def test_several_files_give_one_json_line_each_and_the_worst_code(files):
    names = ["good.pdf", "unreadable.pdf", "doubtful.pdf", "failed.pdf"]
    answer = run(files, "--json", *names)
    lines = [json.loads(line) for line in answer.stdout.splitlines()]
    assert [one["document"]["name"] for one in lines] == names
    assert lines[1]["code"] == "pdf-unreadable"
    assert answer.return_value == 1


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_name_of_a_file_does_nothing_to_the_terminal(files, form):
    """A line is cleared, and a verdict written that nobody gave."""
    hostile = "\x1b[1A\x1b[2K\x9b1mgood.pdf: TOTAL-PASSED\u202efdp."
    for one in ("unreadable.pdf", "doubtful.pdf"):
        (files / one).rename(files / f"{one}{hostile}")
    answer = run(files, *form, f"unreadable.pdf{hostile}", f"doubtful.pdf{hostile}")
    lines = [*answer.stdout.splitlines(), *answer.stderr.splitlines()]
    assert all(one.isprintable() for one in lines), lines
    assert answer.return_value == 4


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_name_in_a_certificate_does_nothing_to_the_terminal(files, at, form):
    made = broken_chains.make_certificate("\x9b2J\u202etop", None, at)
    (files / "hostile.pem").write_bytes(made.certificate.public_bytes(serialization.Encoding.PEM))
    answer = CliRunner().invoke(
        certificate_command.verify_certificate,
        ["--offline", *form, str(files / "hostile.pem")],
        standalone_mode=False,
    )
    assert "top" in answer.stdout
    assert all(one.isprintable() for one in answer.stdout.splitlines())


def test_reports_of_several_documents_go_into_a_folder(files):
    folder = str(files / "told")
    answer = run(files, "--report", "etsi", "-o", folder, "good.pdf", "doubtful.pdf")
    assert answer.return_value == 3
    assert sorted(one.name for one in (files / "told").iterdir()) == [
        "doubtful.pdf.xml", "good.pdf.xml",
    ]  # fmt: skip
    alone = run(files, "--report", "etsi", "good.pdf", "doubtful.pdf")
    assert "expected --output FOLDER" in str(alone.exception.message)
    as_file = run(files, "--report", "etsi", "-o", str(files / "x.xml"), "good.pdf", "doubtful.pdf")
    assert "expected a folder" in str(as_file.exception.message)


def test_diagnostic_data_of_several_documents_is_one_json_line_each(files):
    answer = run(files, "--report", "diagnostic", "--values", "good.pdf", "unreadable.pdf")
    first, second = (json.loads(line) for line in answer.stdout.splitlines())
    assert first["signatures"][0]["level"] == "PAdES-BASELINE-LT"
    assert first["certificates"][0]["der"]
    assert second["code"] == "pdf-unreadable"
    wrong = run(files, "--values", "good.pdf")
    assert "--values goes with" in str(wrong.exception.message)


def test_person_reads_who_signed_when_how_and_why(files):
    text = run(files, "--report", "detailed", "doubtful.pdf").stdout
    for part in ("TRY_LATER", "5AB12CD", "PAdES-BASELINE-T", "Why", "only the signer says so"):
        assert part in text


def test_time_without_a_zone_is_a_usage_error(files):
    answer = run(files, "--at", "2026-01-31T12:00:00", "good.pdf")
    assert answer.exception is not None
    assert "zone" in str(answer.exception.message)


def test_policy_from_a_file_decides_what_passes(files):
    (files / "strict.toml").write_text(
        'name = "strict"\nrequire_qualified = ["QESig"]\n', encoding="utf-8"
    )
    (files / "p384.toml").write_text('name = "p384"\necdsa = [{bits = 384}]\n', encoding="utf-8")
    assert run(files, "--policy", "strict.toml", "good.pdf").return_value == 3
    text = run(files, "--policy", "strict.toml", "good.pdf").stdout
    assert "SIG_CONSTRAINTS_FAILURE" in text
    assert "the policy demands QESig, and this is AdESig" in text
    # There is a proven time, at which the key was as weak for this policy as it is now.
    text = run(files, "--policy", "p384.toml", "good.pdf").stdout
    assert "CRYPTO_CONSTRAINTS_FAILURE" in text


def test_detached_document_is_handed_in_beside_its_signature(files, hierarchy, at):
    made = signed_cms.sign(b"TEST contract", hierarchy.signer(), at)
    made.attached = False
    (files / "contract.p7s").write_bytes(made.encode())
    (files / "contract.txt").write_bytes(b"TEST contract")
    beside = str(files / "contract.txt")
    found = json.loads(run(files, "--json", "contract.p7s", "--detached", beside).stdout)
    assert found["document"]["format"] == "CAdES"
    (signature,) = found["signatures"]
    assert signature["intact"] is True
    assert signature["scope"] == {"kind": "full", "names": ["contract.txt"]}
    kept = f"contract.txt=SHA-256:{hashlib.sha256(b'TEST contract').hexdigest()}"
    by_hash = json.loads(run(files, "--json", "contract.p7s", "--digest", kept).stdout)
    assert by_hash["signatures"][0]["intact"] is True
    assert by_hash["signatures"][0]["scope"] == signature["scope"]
    alone = json.loads(run(files, "--json", "contract.p7s").stdout)
    assert alone["signatures"][0]["sub_indication"] == "SIGNED_DATA_NOT_FOUND"


@pytest.mark.parametrize("text", ["contract.txt", "a=SHA-1:00", "a=SHA-256:zz", "=SHA-256:00"])
def test_hash_is_written_as_the_help_says(files, text):
    answer = run(files, "good.pdf", "--digest", text)
    assert isinstance(answer.exception, errors.InputError)
    assert "NAME=ALGORITHM:HEX" in answer.exception.message
