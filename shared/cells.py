"""What a cell of text says."""


def read_number(word: str) -> float | None:
    """The number that a cell says, or None."""
    # float() also takes 1_000, nan and digits of other scripts, which no CSV reader calls numbers.
    plain = word.strip()
    if not plain.isascii() or "_" in plain or "n" in plain.lower():
        return None
    try:
        return float(plain)
    except ValueError:
        return None
