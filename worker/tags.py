"""A vocabulary of labels looked at as such: two names of one thing, labels that go together always or never, rare ones.

Pure functions of names and of which rows have them, bool (rows, labels).
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, islice
from typing import Any

import numpy as np

Json = dict[str, Any]

# More of one sort than this nobody reads.
SHOWN = 50
# Of fewer rows two labels may share them by chance.
LEAST_SUPPORT = 10
# Two labels of which nearly every row that has either has both are one, by Jaccard's measure.
ALIKE = 0.8
# From here on a label is said never to come without the other; what most rows have, everything implies.
IMPLIED, COMMON = 0.95, 0.9
# Rows of a label below this are too few to learn it and to judge it.
RARE = 10
# How many letters may be wrong: none of a short word (pop is not bop), one of these many, two of these many.
ONE_WRONG, TWO_WRONG = 5, 10
NO_LETTER = re.compile(r"[^\w]|_")


def look(names: Sequence[str], given: np.ndarray, *, has_several: bool, check: Callable[[], None]) -> Json:
    """What is odd about a vocabulary: `variants`, `rare`, and of rows with several labels how they come together.

    `check` is called between, and may raise.
    """
    counts = given.sum(axis=0).astype(np.int64)
    said: Json = {
        "variants": list(islice(_variants(names, counts, check), SHOWN)),
        "rare": [
            {"label": names[place], "rows": int(counts[place])} for place in np.argsort(counts) if counts[place] < RARE
        ][:SHOWN],
    }
    if has_several:
        said |= _together(names, given, counts)
    return said


def fold(name: str) -> str:
    """A name without case, accents, spaces and punctuation: `Hip-Hop` and `hip hop` are one."""
    plain = "".join(sign for sign in unicodedata.normalize("NFKD", name) if not unicodedata.combining(sign))
    return NO_LETTER.sub("", plain.casefold())


def _variants(names: Sequence[str], counts: np.ndarray, check: Callable[[], None]) -> Iterator[Json]:
    """Pairs of names that differ in spelling alone, or in so little that it may be a slip; the certain ones first."""
    folded = [fold(name) for name in names]
    same: dict[str, list[int]] = defaultdict(list)
    for place, word in enumerate(folded):
        if word:
            same[word].append(place)
    for places in same.values():
        for first, second in combinations(places, 2):
            yield _pair(names, counts, (first, second), {"differ_in": "spelling"})
    words = sorted((word, places[0]) for word, places in same.items() if not word.isdigit())
    for number, (word, first) in enumerate(words):
        if number % 100 == 0:
            check()
        for other, second in words[number + 1 :]:
            wrong = _allowed(word, other)
            if wrong and _is_near(word, other, wrong):
                yield _pair(names, counts, (min(first, second), max(first, second)), {"differ_in": "letters"})


def _allowed(word: str, other: str) -> int:
    shorter = min(len(word), len(other))
    allowed = 2 if shorter >= TWO_WRONG else 1 if shorter >= ONE_WRONG else 0
    if not allowed or abs(len(word) - len(other)) > allowed:
        return 0
    # Numbers in names mean something: 80s is not 90s.
    return allowed if re.findall(r"\d", word) == re.findall(r"\d", other) else 0


def _is_near(word: str, other: str, most: int) -> bool:
    """Whether so many letters added, left out, changed or swapped with the next make one of the other."""
    # Each slip moves at most two of the letters that either has more often.
    if sum(abs(word.count(sign) - other.count(sign)) for sign in {*word, *other}) > 2 * most:
        return False
    return edit_distance(word, other) <= most


def edit_distance(word: str, other: str) -> int:
    """Letters added, left out, changed, or swapped with the next (Damerau 1964; each place at most once)."""
    before, last = list[int](), list(range(len(other) + 1))
    for row, sign in enumerate(word, start=1):
        current = [row]
        for place, wanted in enumerate(other, start=1):
            best = min(last[place] + 1, current[-1] + 1, last[place - 1] + (sign != wanted))
            if row > 1 and place > 1 and sign == other[place - 2] and word[row - 2] == wanted:
                best = min(best, before[place - 2] + 1)
            current.append(best)
        before, last = last, current
    return last[-1]


def _pair(names: Sequence[str], counts: np.ndarray, pair: tuple[int, int], more: Json) -> Json:
    first, second = pair
    return {"labels": [names[first], names[second]], "rows": [int(counts[first]), int(counts[second])], **more}


def _together(names: Sequence[str], given: np.ndarray, counts: np.ndarray) -> Json:
    """Labels that nearly share their rows, that never come without another, and that never meet though both are common.

    Of all pairs at once: (labels, labels) numbers.
    """
    rows, hot = len(given), given.astype(np.float32)
    both = (hot.T @ hot).round().astype(np.int64)
    either = counts[:, None] + counts[None, :] - both
    share = both / np.maximum(counts, 1)[:, None]
    alike = (both / np.maximum(either, 1) >= ALIKE) & (both >= LEAST_SUPPORT)
    implied = (share >= IMPLIED) & (counts >= LEAST_SUPPORT)[:, None] & (counts < COMMON * rows)[None, :] & ~alike
    expected = counts[:, None] * counts[None, :] / max(rows, 1)
    never = (both == 0) & (expected >= LEAST_SUPPORT)
    return {
        "synonyms": [
            _pair(names, counts, pair, {"both": int(both[pair])})
            for pair in _pairs(np.triu(alike, 1), both)
        ],
        "implied": [
            {
                "label": names[first], "implies": names[second], "rows": int(counts[first]),
                "share": float(share[first, second]),
            }
            for first, second in _pairs(implied & ~np.eye(len(names), dtype=bool), both)
        ],
        "never_together": [
            _pair(names, counts, pair, {"expected": round(float(expected[pair]), 1)})
            for pair in _pairs(np.triu(never, 1), expected)
        ],
    }  # fmt: skip


def _pairs(chosen: np.ndarray, weight: np.ndarray) -> list[tuple[int, int]]:
    """The places of some pairs, those of the most weight first."""
    first, second = np.nonzero(chosen)
    order = np.argsort(-weight[first, second], kind="stable")[:SHOWN]
    return list(zip(first[order].tolist(), second[order].tolist(), strict=True))
