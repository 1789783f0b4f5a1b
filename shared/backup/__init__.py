"""A copy of everything that rows say and name, independent of the database that it came from, and the way back.

A backup is a folder: `etude.db`, a SQLite file with the rows of one moment; `storage/` with the files that they name;
`manifest.json`, written last. Without a manifest it is none. Files are in it as they lie, sealed; their keys are in
another folder (`keys.py`), and neither the pepper nor the root key is in either.
"""

DATABASE, STORAGE, MANIFEST = "etude.db", "storage", "manifest.json"


class Refused(SystemExit):
    """Stops the command with a sentence that tells what to do, and status 1."""
