import dataclasses
import datetime
import pathlib
import ssl

import pytest

from ca.notices import mail
from ca.notices import settings as notice_settings
from imza import tls_certificate
from pki import clock
from tests.support import mail_server

LETTER = mail.Letter(
    "gunay@example.az",
    "Sertifikatınız",
    "თქვენი სერტიფიკატი\n" * 20,
    "ka",
    "0123",
    datetime.datetime(2026, 1, 31, tzinfo=datetime.UTC),
)


@dataclasses.dataclass
class Tls:
    context: ssl.SSLContext
    authority: pathlib.Path
    password: pathlib.Path


@pytest.fixture
def tls(tmp_path: pathlib.Path) -> Tls:
    authority = tmp_path / "ca.pem"
    made = tls_certificate.make(tmp_path / "tls", authority, clock.SystemClock().now())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.certificate, made.key)
    password = tmp_path / "password"
    password.write_text("TEST password\n")
    return Tls(context, authority, password)


def _settings(tls: Tls, port: int, security: str) -> notice_settings.SmtpSettings:
    return notice_settings.SmtpSettings(
        "localhost",
        "ca@pki.example",
        port=port,
        security=security,
        username="ca",
        password_file=tls.password,
        tls_ca=tls.authority,
    )


# The library means STARTTLS alone; here the connection is TLS from its first byte.
@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
@pytest.mark.clause("RFC 8314", "3.3")
@pytest.mark.parametrize("security", ["starttls", "implicit"])
def test_a_letter_goes_through_tls_after_a_login(tls: Tls, security: str) -> None:
    with mail_server.serve(tls.context, implicit=security == "implicit") as server:
        settings = _settings(tls, server.port, security)
        with mail.open_mailer(settings) as mailer:
            mailer.send(LETTER)
            mailer.send(LETTER)
        wrong = dataclasses.replace(settings, password_file=tls.authority)
        with pytest.raises(mail.MailError) as refused, mail.open_mailer(wrong):
            pass
        assert refused.value.retriable
        untrusted = dataclasses.replace(settings, tls_ca=None)
        with pytest.raises(mail.MailError), mail.open_mailer(untrusted):
            pass
    first, second = server.letters
    assert first.get_content().replace("\r\n", "\n") == LETTER.body
    assert first["Message-ID"] == second["Message-ID"] == "<0123@pki.example>"


def test_a_server_without_starttls_gets_no_letter(tls: Tls) -> None:
    with mail_server.serve() as server:
        settings = _settings(tls, server.port, "starttls")
        with pytest.raises(mail.MailError), mail.open_mailer(settings):
            pass
    assert server.letters == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"security": "none"},
        {"security": "ssl"},
        {"username": "ca"},
        {"sender": "nobody"},
    ],
)
def test_settings_that_send_in_the_open_or_not_at_all_are_refused(wrong: dict[str, str]) -> None:
    good = {"host": "mail.example", "sender": "ca@pki.example"}
    notice_settings.SmtpSettings(**good)
    with pytest.raises(notice_settings.NoticeSettingsError):
        notice_settings.SmtpSettings(**{**good, **wrong})  # type: ignore[arg-type]
    with pytest.raises(notice_settings.NoticeSettingsError):
        notice_settings.Settings()
    with pytest.raises(notice_settings.NoticeSettingsError):
        notice_settings.SmsSettings("http://sms.example/", pathlib.Path("s"))


def test_a_secret_of_another_form_is_refused(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "secret"
    settings = notice_settings.SmsSettings("https://sms.example/", file)
    for text in ("", "plain", "whsec_####", "whsec_c2hvcnQ="):
        file.write_text(text)
        with pytest.raises(notice_settings.NoticeSettingsError):
            settings.load_secret()
