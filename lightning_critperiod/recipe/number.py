"""Numbers that a user gives, checked."""

import math


def require_number(
    name: str, value: object, *, low: float, high: float = math.inf, open_low: bool = False, closed: bool = False
) -> None:
    """Refuse a value that is not a finite real number in [low, high), or as the flags say.

    Args:
        name: The argument's name, for the message.
        value: What the user gave. A bool is no number.
        low: Lower limit, included unless ``open_low``.
        high: Upper limit, excluded unless ``closed``.
        open_low: Exclude the lower limit too.
        closed: Include the upper limit.

    Raises:
        TypeError: ``value`` is not an int or a float.
        ValueError: ``value`` is not finite or out of range.
    """
    expected = f"{name} must be a number {'above' if open_low else 'from'} {low:g}"
    if high < math.inf:
        expected += f" to {high:g}" if closed else f" and below {high:g}"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{expected}, got {value!r}")
    inside = low <= value < high or (closed and value == high)
    if not inside or not math.isfinite(value) or (open_low and value == low):
        raise ValueError(f"{expected}, got {value!r}")


def require_int(name: str, value: object, low: int) -> None:
    """Refuse a value that is not an int from ``low`` up.

    Args:
        name: The argument's name, for the message.
        value: What the user gave. A bool is no int.
        low: Lower limit, included.

    Raises:
        TypeError: ``value`` is not an int.
        ValueError: ``value`` is below ``low``.
    """
    expected = f"{name} must be an int from {low} up, got {value!r}"
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(expected)
    if value < low:
        raise ValueError(expected)
