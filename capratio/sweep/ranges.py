"""Values of a key: a text, or what is swept: one, a list, or an inclusive range such as ``0:12`` or ``0:12:4``."""

from capratio.errors import InputError

LONGEST = 10_000


def integers(value: object, where: str) -> tuple[int, ...]:
    """The integers that a value of a case file stands for.

    Raises InputError, which names ``where``, for anything but an integer, a list of integers or an inclusive range.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return (value,)
    if isinstance(value, list) and value:
        return tuple(one for item in value for one in integers(item, where))
    if isinstance(value, str):
        return _range(value, where)
    raise InputError(
        f"{where} is {value!r}; give an integer, a list of integers or an inclusive range such as '0:12:4'."
    )


def strings(value: object, where: str) -> tuple[str, ...]:
    """The words that a value of a case file stands for.

    Raises InputError, which names ``where``, for anything but a word or a list of words.
    """
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise InputError(f"{where} is {value!r}; give a word or a list of words.")


def booleans(value: object, where: str) -> tuple[bool, ...]:
    """The truth values that a value of a case file stands for; the word "false" is none.

    Raises InputError, which names ``where``, for anything but true, false or a list of these.
    """
    given = value if isinstance(value, list) else [value]
    if given and all(isinstance(item, bool) for item in given):
        return tuple(given)
    raise InputError(f"{where} is {value!r}; give true or false without quotes, or a list of these.")


def text(value: object, where: str) -> str:
    """What a person wrote for people, its lines joined.

    Raises InputError, which names ``where``, for anything but a string.
    """
    if not isinstance(value, str):
        raise InputError(f"{where} is {value!r}; give a text in quotes.")
    return " ".join(value.split())


def _range(text: str, where: str) -> tuple[int, ...]:
    parts = text.split(":")
    if len(parts) not in (2, 3) or not all(part.strip().isdecimal() for part in parts):
        raise InputError(
            f"{where} is {text!r}; an inclusive range is 'first:last' or 'first:last:step', such as '0:12:4'."
        )
    first, last, step = (*map(int, parts), 1)[:3]
    if step < 1 or last < first or (last - first) // step > LONGEST:
        raise InputError(
            f"{where} is {text!r}; a range goes up by a step of 1 or more and has at most {LONGEST} values."
        )
    return tuple(range(first, last + 1, step))
