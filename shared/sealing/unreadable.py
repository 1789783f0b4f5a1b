"""What stands for a cell that cannot be opened, in rows of all tenants: only who uses it stumbles over it."""

from typing import NoReturn

from shared.errors import Damaged


class Unreadable:
    """Raises Damaged at whatever is done with it but passing it on."""

    __slots__ = ("_said",)

    def __init__(self, cause: Damaged) -> None:
        self._said = cause.detail

    def __repr__(self) -> str:
        return "<unreadable>"

    def _refuse(self, *_: object) -> NoReturn:
        raise Damaged(self._said)

    # A name may be compared, a document asked for a key, a text sent.
    __getattr__ = __getitem__ = __iter__ = __len__ = __contains__ = __bool__ = _refuse
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __hash__ = _refuse
    __str__ = __format__ = __add__ = __radd__ = __int__ = __float__ = __bytes__ = _refuse
