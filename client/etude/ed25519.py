"""Verifies signatures of Ed25519 (RFC 8032, 5.1), so that a client needs no library for a receipt a year.

Nothing secret is here: that it is slow, and not in constant time, tells nobody anything.
"""

import hashlib

P = 2**255 - 19
# The order of the base point.
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)
BYTES = 32

# X, Y, Z, T with x = X/Z, y = Y/Z, xy = T/Z.
Point = tuple[int, int, int, int]


def verifies(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the holder of a public key's other half has signed this message."""
    if len(public) != BYTES or len(signature) != 2 * BYTES:
        return False
    key, first = _point(public), _point(signature[:BYTES])
    s = int.from_bytes(signature[BYTES:], "little")
    if key is None or first is None or s >= L:
        return False
    digest = hashlib.sha512(signature[:BYTES] + public + message).digest()
    h = int.from_bytes(digest, "little") % L
    return _is_same(_times(s, BASE), _add(first, _times(h, key)))


def _add(one: Point, other: Point) -> Point:
    a = (one[1] - one[0]) * (other[1] - other[0]) % P
    b = (one[1] + one[0]) * (other[1] + other[0]) % P
    c = 2 * one[3] * other[3] * D % P
    d = 2 * one[2] * other[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def _times(number: int, point: Point) -> Point:
    found = (0, 1, 1, 0)
    while number > 0:
        if number & 1:
            found = _add(found, point)
        point = _add(point, point)
        number >>= 1
    return found


def _is_same(one: Point, other: Point) -> bool:
    return (one[0] * other[2] - other[0] * one[2]) % P == 0 and (one[1] * other[2] - other[1] * one[2]) % P == 0


def _point(encoded: bytes) -> Point | None:
    y = int.from_bytes(encoded, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    x = _root(y, sign) if y < P else None
    return None if x is None else (x, y, 1, x * y % P)


def _root(y: int, sign: int) -> int | None:
    """The x of a point by its y; None where there is none."""
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    if square == 0:
        return None if sign else 0
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P != 0:
        x = x * ROOT_OF_MINUS_ONE % P
    if (x * x - square) % P != 0:
        return None
    return P - x if x & 1 != sign else x


def _base() -> Point:
    y = 4 * pow(5, P - 2, P) % P
    x = _root(y, 0)
    assert x is not None
    return x, y, 1, x * y % P


BASE = _base()
