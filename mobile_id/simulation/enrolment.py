"""Enrol a person with a simulated SIM: keys on the SIM, certificates from the CA, gateway's record.

The SIM proves possession of its keys by signed requests; who the person is was checked by the
officer named in the vetting record. PINs are drawn at random and go into the simulated person's
own file, as a real SIM's go into a sealed letter.
"""

import dataclasses
import datetime
import pathlib

from sqlalchemy import orm

from mobile_id import addressee, results, subscribers
from mobile_id.simulation import personas, sim_applet
from mobile_id.simulation.pin import Pin
from pki import (
    algorithms,
    approved_applications,
    certificates,
    errors,
    registration,
    registration_calls,
)
from pki import vetting as vettings

PROFILES = {
    results.Operation.AUTHENTICATION: "authenticate",
    results.Operation.SIGNATURE: "sign",
}


class WrongCertificateError(errors.PeerError):
    """The CA certified another key than the SIM's."""

    code = "certificate-for-another-key"
    retriable = False


@dataclasses.dataclass(frozen=True)
class Applicant:
    """Who asks for a SIM, in which role, and how their identity was checked.

    Attributes:
        vetting: By it the application is handed in here.
    """

    person: registration.Person
    phone_number: str = dataclasses.field(repr=False)
    vetting: vettings.Vetting
    category: registration.Category = registration.Category.CITIZEN
    organisation: registration.Organisation | None = None
    title: str | None = None


@dataclasses.dataclass(frozen=True)
class ApprovedApplicant:
    """Whose application for a SIM was approved before, perhaps by another operator."""

    application: approved_applications.ApprovedApplication
    phone_number: str = dataclasses.field(repr=False)

    @property
    def person(self) -> registration.Person:
        """Who it is for."""
        return self.application.person


@dataclasses.dataclass(frozen=True)
class Enrolment:
    """What an enrolment made."""

    subscriber_id: str
    iccid: str
    authentication_certificate: bytes
    signing_certificate: bytes
    person: personas.SimulatedPerson


def enrol_subscriber(
    sessions: orm.sessionmaker[orm.Session],
    registrar: registration_calls.RegistrationClient,
    folder: pathlib.Path,
    applicant: Applicant | ApprovedApplicant,
    *,
    behaviour: personas.Behaviour,
    at: datetime.datetime,
) -> Enrolment:
    """Enrol a person; afterwards the gateway reaches the phone.

    Args:
        sessions: The gateway's database.
        registrar: The CA's registration API.
        folder: Where SIMs and simulated people are kept (`DIR/mobile`).
        applicant: Who it is for.
        behaviour: How the simulated person will answer.
        at: Now.

    Raises:
        SubscriberExistsError: The phone number has a subscriber already.
        RegistrationRefusedError: The CA refused.
        WrongCertificateError: The CA certified another key.
        InputError: The phone number has no possible shape.
    """
    who = addressee.Addressee(applicant.phone_number, applicant.person.person_code)
    addressee.check_phone_number(who.phone_number)
    subscribers.check_number(applicant.person.country, who.person_code)
    with sessions() as session:
        if subscribers.by_phone_number(session, who.phone_number) is not None:
            raise subscribers.SubscriberExistsError("the phone number has a subscriber already")
    person = personas.SimulatedPerson(
        who.phone_number,
        behaviour,
        Pin.random(sim_applet.PIN_LENGTHS[results.Operation.AUTHENTICATION]),
        Pin.random(sim_applet.PIN_LENGTHS[results.Operation.SIGNATURE]),
        Pin.random(sim_applet.PUK_LENGTH),
        subscribers.new_device_secret(),
    )
    # A SIM left here by an enrolment that broke off has no subscriber and is replaced.
    applet = sim_applet.SimApplet.create(
        personas.sim_path(folder, who.phone_number),
        msisdn=who.phone_number,
        pin1=person.pin1,
        pin2=person.pin2,
        puk=person.puk,
    )
    issued = _certify(registrar, applet, applicant, person)
    personas.save_person(folder, person)
    with sessions() as session:
        row = subscribers.record(
            session,
            who,
            country=applicant.person.country,
            iccid=applet.iccid,
            authentication_certificate=issued[results.Operation.AUTHENTICATION],
            signing_certificate=issued[results.Operation.SIGNATURE],
            device_secret=person.device_secret,
            at=at,
        )
        session.commit()
    return Enrolment(
        row.id, applet.iccid, row.authentication_certificate, row.signing_certificate, person
    )


def _certify(
    registrar: registration_calls.RegistrationClient,
    applet: sim_applet.SimApplet,
    applicant: Applicant | ApprovedApplicant,
    person: personas.SimulatedPerson,
) -> dict[results.Operation, bytes]:
    if isinstance(applicant, ApprovedApplicant):
        application = applicant.application
    else:
        application = approved_applications.apply(
            registrar,
            applicant.category,
            applicant.person,
            applicant.vetting,
            organisation=applicant.organisation,
            title=applicant.title,
        )
    issued: dict[results.Operation, bytes] = {}
    for operation, profile in PROFILES.items():
        request = applet.certificate_request(operation, person.pin(operation))
        der = registrar.certify(application.id, profile, request).certificate_der
        key = certificates.parse(der).public_key()
        algorithms.key_kind(key)
        if key != applet.public_keys[operation]:
            raise WrongCertificateError("the CA certified another key than the SIM's")
        issued[operation] = der
    return issued
