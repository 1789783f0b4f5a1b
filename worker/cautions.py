"""What a training warns about: it goes on, and the client reads why the result may mislead."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Caution:
    """A stable word and a sentence, as they stand in `warnings` of a job and of a model version."""

    code: str
    detail: str

    def as_json(self) -> dict[str, str]:
        return {"code": self.code, "detail": self.detail}
