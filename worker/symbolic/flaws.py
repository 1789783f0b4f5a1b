"""Why a piece cannot be used."""


class Flaw(Exception):
    """A code for programs and a sentence for people: raised by readers, and kept with the piece that it is of."""

    def __init__(self, code: str, detail: str) -> None:
        # What a file says of itself is quoted, and not every database stores a NUL.
        self.code, self.detail = code, "".join(sign if sign.isprintable() else "?" for sign in detail)[:400]
        super().__init__(self.detail)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Flaw) and (self.code, self.detail) == (other.code, other.detail)

    def __hash__(self) -> int:
        return hash((self.code, self.detail))
