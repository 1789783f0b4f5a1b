"""What is known of licences, each with where that is said; of one that is not listed, nothing is guessed.

Whether a model is a derivative of what it learned from is a question of law that is not answered here: `derivatives`
says what the licence says.
"""

from dataclasses import dataclass
from typing import Any

YES, NO, UNKNOWN = "yes", "no", "unknown"
# The most restrictive first.
COMMERCIAL = (NO, UNKNOWN, YES)
# As long as the longest of SPDX, and as the column of SQL.
LICENCE_CHARACTERS = 64

Json = dict[str, Any]


@dataclass(frozen=True)
class Licence:
    """What a licence allows; None where it does not say, or it is for the two sides of a contract to say."""

    id: str
    commercial: str
    derivatives: bool | None
    attribution: bool | None
    share_alike: bool
    source: str | None


def _creative_commons() -> list[Licence]:
    return [
        Licence(
            id=f"CC-{terms}-{number}",
            commercial=NO if "NC" in terms else YES,
            derivatives="ND" not in terms,
            attribution=True,
            share_alike=terms.endswith("SA"),
            source=f"https://creativecommons.org/licenses/{terms.lower()}/{number}/",
        )
        for terms in ("BY", "BY-SA", "BY-ND", "BY-NC", "BY-NC-SA", "BY-NC-ND")
        for number in ("2.0", "2.5", "3.0", "4.0")
    ]


def _of_software() -> list[Licence]:
    """Those under which weights and data come, too: they allow commercial use and ask for their notice."""
    plain = ("MIT", "ISC", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0")
    alike = ("GPL-2.0-only", "GPL-3.0-only", "AGPL-3.0-only", "LGPL-3.0-only", "MPL-2.0")
    return [
        Licence(name, YES, True, True, name in alike, f"https://spdx.org/licenses/{name}.html")
        for name in (*plain, *alike)
    ]


# Words for what has no SPDX id.
OWN, LICENSED, RESERVED, PUBLIC_DOMAIN = "own", "licensed", "all-rights-reserved", "public-domain"
WORDS = (
    # The tenant is the holder.
    Licence(OWN, YES, True, None, False, None),
    # By a contract, whose terms `commercial` says.
    Licence(LICENSED, UNKNOWN, None, None, False, None),
    Licence(RESERVED, NO, False, None, False, "Berne Convention, Article 9"),
    Licence(PUBLIC_DOMAIN, YES, True, False, False, "https://creativecommons.org/publicdomain/mark/1.0/"),
)
OF_DATA = (
    Licence("CC0-1.0", YES, True, False, False, "https://creativecommons.org/publicdomain/zero/1.0/"),
    Licence("PDDL-1.0", YES, True, False, False, "https://opendatacommons.org/licenses/pddl/1-0/"),
    Licence("ODC-By-1.0", YES, True, True, False, "https://opendatacommons.org/licenses/by/1-0/"),
    Licence("ODbL-1.0", YES, True, True, True, "https://opendatacommons.org/licenses/odbl/1-0/"),
)
KNOWN = {each.id.lower(): each for each in (*WORDS, *OF_DATA, *_creative_commons(), *_of_software())}


def name(said: str) -> str:
    """A licence as it is spelt, also of `CC BY 4.0` in a cell; what is not known stays as it was said."""
    plain = "-".join(said.replace("_", " ").split())
    found = KNOWN.get(plain.lower())
    return found.id if found is not None else said.strip()[:LICENCE_CHARACTERS]


def commercial(licence: str | None) -> str:
    """Whether a licence allows commercial use, as far as is known here."""
    found = KNOWN.get((licence or "").lower())
    return UNKNOWN if found is None else found.commercial


def contradicts(licence: str | None, said: str | None) -> bool:
    """Whether `said` of commercial use is not what a known licence says; `licensed` leaves it to the client."""
    known = commercial(licence)
    return said is not None and known != UNKNOWN and said != known


def as_json(licence: str, *, said: str) -> Json:
    """What a model says of one of its licences; `said` is the answer on commercial use that counts."""
    found = KNOWN.get(licence.lower())
    told = {"licence": licence, "is_known": found is not None, "commercial": said}
    if found is None:
        return {**told, "derivatives": None, "attribution": None, "share_alike": None, "source": None}
    return {
        **told, "derivatives": found.derivatives, "attribution": found.attribution,
        "share_alike": found.share_alike, "source": found.source,
    }  # fmt: skip


def worst(answers: list[str]) -> str:
    """The most restrictive of some answers on commercial use; of none it is unknown."""
    return min(answers, key=COMMERCIAL.index, default=UNKNOWN)
