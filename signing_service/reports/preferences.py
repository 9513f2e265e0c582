"""What a client would like to get, best first (RFC 9110 12.4.2)."""

MAX_HEADER = 500
"""Characters of a header that are read: no client has more wishes than fit."""


def ordered(header: str) -> tuple[str, ...]:
    """Return the values of an Accept or Accept-Language header in lower case, best first.

    What the client wants by no means (weight 0), and what cannot be read, is left out.
    """
    wishes = []
    for place, part in enumerate(header[:MAX_HEADER].lower().split(",")):
        value, *parameters = (one.strip() for one in part.split(";"))
        weight = next((one[2:] for one in parameters if one.startswith("q=")), "1")
        try:
            wishes.append((-float(weight), place, value))
        except ValueError:
            # A weight that is no number: the wish is as good as none.
            continue
    return tuple(value for negated, _, value in sorted(wishes) if value and negated < 0)
