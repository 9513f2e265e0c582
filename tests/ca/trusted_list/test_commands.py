import json
import pathlib

import pytest
from click.testing import CliRunner

from ca import commands
from ca.trusted_list import document, publication
from pki import outbound, registration_answers, registration_calls, xml_trees
from tests.support import trusted_lists


def run(*arguments: str) -> str:
    result = CliRunner().invoke(
        commands.group, ["trusted-list", *arguments], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_administrator_publishes_shows_and_writes_the_list(
    office: pathlib.Path, lists: trusted_lists.ListWorld, tmp_path: pathlib.Path
) -> None:
    credentials = ("--credentials", str(office), "--json")
    assert json.loads(run("show", *credentials)) == {"trusted_lists": []}
    published = json.loads(run("publish", *credentials))["trusted_lists"]
    assert [(one["name"], one["sequence_number"]) for one in published] == [
        ("az", 1),
        ("az-eugeneric", 1),
    ]
    assert published[0]["url"] == "http://pki.example.com/tl/az.xml"
    assert json.loads(run("show", *credentials))["trusted_lists"] == published
    output = tmp_path / "az.xml"
    written = json.loads(run("write", "az", "-o", str(output), *credentials))
    assert written["sha256"] == published[0]["sha256"]
    assert xml_trees.parse(output.read_bytes()).getroot().tag == document.name(
        "TrustServiceStatusList"
    )
    assert "number 1" in run("show", "--credentials", str(office))
    with lists.ca.sessions() as session:
        assert publication.newest(session, "az").list_xml == output.read_bytes()


def test_a_list_of_another_name_is_not_found(office: pathlib.Path, tmp_path: pathlib.Path) -> None:
    with registration_calls.open_client(None, office) as client:
        for name in ("az", "../ca/root", "x" * 500):
            with pytest.raises(registration_answers.RegistrationRefusedError) as refused:
                client.fetch_trusted_list(name)
            assert refused.value.problem_code in ("trusted-list-not-found", "http-404")


def test_the_list_is_public_and_publishing_is_not(
    office: pathlib.Path, lists: trusted_lists.ListWorld
) -> None:
    published = lists.publish()
    known = json.loads(office.read_text())
    client = outbound.Client()
    reply = client.send("GET", f"{known['base_url']}/tl/az.xml")
    assert reply.body == published.list_xml
    assert reply.content_type.startswith("application/vnd.etsi.tsl+xml")
    for method in ("GET", "POST"):
        refused = client.send(method, f"{known['base_url']}/ra/v1/trusted-lists", expect=(401,))
        assert refused.status == 401
    client.close()


def test_an_operator_of_another_role_publishes_nothing(
    office: pathlib.Path, lists: trusted_lists.ListWorld
) -> None:
    with (
        registration_calls.open_client(None, office, operator="auditor") as client,
        pytest.raises(registration_answers.RegistrationRefusedError, match="auditor") as refused,
    ):
        client.publish_trusted_lists()
    assert refused.value.problem_code == "permission-missing"
    with lists.ca.sessions() as session:
        assert publication.find_newest(session, "az") is None
