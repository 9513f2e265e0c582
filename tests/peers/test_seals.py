"""A seal whose key is in SoftHSM 2: it signs, is away, and comes back without a restart."""

import datetime
import pathlib
import shutil
from collections.abc import Iterator

import pytest

from pki import algorithms, signature
from signing_service.signing import sealing
from tests.support import hierarchy, softhsm
from tests.support import seals as seal_support

pytestmark = pytest.mark.peer

REPRESENTATION = signature.represent(b"a contract", algorithms.HashAlgorithm.SHA256)


@pytest.fixture
def module(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    path = softhsm.module_path()
    softhsm.make_folder(tmp_path / "softhsm", monkeypatch)
    softhsm.make_token(seal_support.TOKEN)
    softhsm.start_afresh(path)
    return path


@pytest.fixture
def seals(
    module: pathlib.Path, tmp_path: pathlib.Path, at: datetime.datetime
) -> Iterator[sealing.Seals]:
    with seal_support.in_module(module, tmp_path, hierarchy.make_hierarchy(at)) as made:
        yield made


# python-pkcs11 cannot end a search whose session is gone, and says so on standard error.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_seal_of_a_module_that_is_gone_is_unavailable_and_signs_again_when_it_is_back(
    seals: sealing.Seals, module: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    def sign() -> None:
        seal = seals.choose(seal_support.NAME, seal_support.PORTAL)
        value = seal.sign(REPRESENTATION)
        signature.check_value(seal.certificate.public_key(), REPRESENTATION, value)

    sign()
    tokens, away = tmp_path / "softhsm" / "tokens", tmp_path / "away"
    shutil.move(tokens, away)
    tokens.mkdir()
    softhsm.start_afresh(module)
    for _ in range(2):
        with pytest.raises(sealing.SealUnavailableError) as caught:
            sign()
        assert caught.value.retriable
        assert seal_support.TOKEN not in caught.value.message
    tokens.rmdir()
    shutil.move(away, tokens)
    softhsm.start_afresh(module)
    sign()
