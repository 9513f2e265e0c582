"""Whether a document can be signed, whatever its format; asked before a person is."""

from signing_service import documents, pades, parameters, xades


def check_document(document: documents.Document, chosen: parameters.SignatureParameters) -> None:
    """Refuse a document that cannot be signed as it is wanted.

    Raises:
        DocumentRefusedError: For the reason that its code names.
    """
    if chosen.format is documents.SignatureFormat.XADES:
        xades.check_document(document.path, chosen)
    else:
        pades.check_document(document.path, chosen)
