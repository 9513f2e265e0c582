import pytest

from signing_service import trust


def test_anchors_of_several_files_are_joined_without_doubles(tmp_path, hierarchy):
    first, second = tmp_path / "a.pem", tmp_path / "b.pem"
    first.write_bytes(hierarchy.root.pem + hierarchy.issuing.pem)
    second.write_bytes(hierarchy.root.pem)
    anchors = trust.load([first, second])
    assert anchors.certificates == (hierarchy.root.certificate, hierarchy.issuing.certificate)
    assert hierarchy.root.certificate in anchors
    assert hierarchy.infrastructure.certificate not in anchors


@pytest.mark.parametrize("content", [b"", b"<TrustServiceStatusList/>"])
def test_file_without_certificates_is_refused(tmp_path, content):
    path = tmp_path / "bad.pem"
    path.write_bytes(content)
    with pytest.raises(trust.TrustFileError):
        trust.load([path])


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(trust.TrustFileError):
        trust.load([tmp_path / "none.pem"])
