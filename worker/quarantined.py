"""What is said of a file that has ended its decoder before; here, for decoders say it, and they know no database."""

from shared.code import CODE_VERSION

CODE = "file_quarantined"
SAID = (
    f"this very file has ended its decoder before, and is not opened again by this release ({CODE_VERSION}): save it "
    "anew with another program, and upload that"
)
