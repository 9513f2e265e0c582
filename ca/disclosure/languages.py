"""Which language a reader prefers, by the header that browsers send (RFC 9110 12.5.4)."""

from collections.abc import Sequence

MAX_RANGES = 50
"""Nobody reads more languages; the rest of a longer header is not looked at."""


def preferred(accept_language: str, available: Sequence[str], otherwise: str) -> str:
    """Return the available language that a header prefers.

    A range such as `az-Latn-AZ` stands for `az`. A header that cannot be read prefers nothing.

    Args:
        accept_language: The header's value, or an empty text.
        available: Language codes (ISO 639-1), the one to prefer among equals first.
        otherwise: Where none of them is wanted.
    """
    weights: dict[str, float] = {}
    for one in accept_language.split(",")[:MAX_RANGES]:
        name, _, parameter = one.strip().partition(";")
        weight = _weight(parameter)
        language = name.strip().lower().partition("-")[0]
        if weight is not None and language:
            weights[language] = max(weight, weights.get(language, 0.0))
    anything = weights.get("*", 0.0)
    ranked = [(weights.get(language, anything), language) for language in available]
    best = max((weight for weight, _ in ranked), default=0.0)
    if best <= 0.0:
        return otherwise
    return next(language for weight, language in ranked if weight == best)


def _weight(parameter: str) -> float | None:
    if not parameter.strip():
        return 1.0
    name, _, value = parameter.partition("=")
    try:
        weight = float(value)
    except ValueError:
        return None
    return weight if name.strip().lower() == "q" and 0.0 <= weight <= 1.0 else None
