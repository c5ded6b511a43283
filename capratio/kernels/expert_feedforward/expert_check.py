"""Experts held against the tables that they point into."""

from capratio.errors import InputError


def outside(expert: int, experts: int) -> InputError:
    """What to do about an index that is no expert."""
    return InputError(
        f"the expert {expert} was given for tables of {experts} experts; give experts from 0 to {experts - 1}, or -1 "
        "for none."
    )
