"""An audit on the command line: from a CSV with wrong labels to the corrected version, by way of a spreadsheet."""

import csv
import random
from pathlib import Path

from tests.client.conftest import Shell

# Far apart, so that whoever is labelled as the other stands out.
TEMPOS = {"pop": 100, "rock": 140}
WRONG = (5, 20, 41)


def write_songs(folder: Path) -> None:
    chance, lines = random.Random(2), ["piece,tempo,energy,genre"]
    for row in range(80):
        genre = chance.choice(["pop", "rock"])
        told = genre if row not in WRONG else "rock" if genre == "pop" else "pop"
        lines.append(f"p{row},{chance.gauss(TEMPOS[genre], 4):.2f},{chance.random():.3f},{told}")
    (folder / "labelled.csv").write_text("\n".join(lines) + "\n")


def test_wrong_labels_are_found_decided_in_a_spreadsheet_and_corrected(shell: Shell) -> None:
    write_songs(shell.folder)

    audited = shell.run(
        "audit", "labelled.csv", "--target", "genre", "--id", "piece", "--folds", "3", "--param", "epochs=30",
        "--param", "learning_rate=0.02", "--param", "early_stopping=false", "--csv", "suspects.csv",
    )  # fmt: skip
    with (shell.folder / "suspects.csv").open() as file:
        rows = list(csv.DictReader(file))
    wrong = [row for row in rows[:6] if int(row["row"]) in WRONG]
    for row in wrong:
        row["decision"] = "accept"
    with (shell.folder / "decided.csv").open("w") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    job = next(word for word in audited.out.split() if word.startswith("job_"))
    applied = shell.run("audit-apply", job, "decided.csv")
    again = shell.run("audit", job)

    assert audited.code == 0, audited.err
    assert len(rows) == 80 and len(wrong) == len(WRONG)
    assert "share of wrong labels" in audited.out and "rather" in audited.out
    assert applied.code == 0, applied.err
    assert "labelled@2 is labelled@1 with 3 labels corrected" in applied.out
    assert again.code == 0 and f"etude audit-apply {job}" in again.out


def test_nothing_accepted_is_refused(shell: Shell) -> None:
    write_songs(shell.folder)
    audited = shell.run(
        "audit", "labelled.csv", "--target", "genre", "--id", "piece", "--folds", "2", "--param", "epochs=2", "--watch"
    )
    job = next(word for word in audited.out.split() if word.startswith("job_"))
    (shell.folder / "wrong.csv").write_text("row,verdict\n1,accept\n")

    nothing, wrong = shell.run("audit-apply", job), shell.run("audit-apply", job, "wrong.csv")

    assert nothing.code == 2 and "accept a suspect" in nothing.err
    assert wrong.code == 2 and "decision" in wrong.err
