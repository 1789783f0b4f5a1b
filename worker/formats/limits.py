"""What a table may be. Kept apart from the readers, so that the process that starts them need not import Arrow."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds on what is produced, whatever a header declares (rule R15 of the security notes)."""

    rows: int = 50_000_000
    columns: int = 512
    field_bytes: int = 64 * 1024
    table_bytes: int = 16 * 1024**3
    name_characters: int = 255
    archive_members: int = 10_000
    # Real arrays rarely shrink tenfold; zeros shrink a thousandfold, which is what a bomb is made of.
    archive_ratio: int = 200
