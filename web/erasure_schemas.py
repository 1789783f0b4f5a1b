"""What is answered about erasures, for the OpenAPI document."""

from web.schemas import Json, Open


class Subject(Open):
    """`kind` is dataset, listener or track; `version` is null where all are meant, `pseudonym` of a dataset."""

    kind: str
    dataset: str
    version: int | None
    pseudonym: str | None


class Erasure(Open):
    """`state` is decided, then done; failed where its job has failed, which can be retried."""

    id: str
    subject: Subject
    models: str
    state: str
    key: str
    job: str
    error: Json | None
    created_at: str
    done_at: str | None
    links: dict[str, str]


class ErasureList(Open):
    data: list[Erasure]
    next_cursor: str | None


class SignedReceipt(Open):
    """`signature` and `public_key` in base64; signed is the receipt as JSON, names sorted, without spaces, in UTF-8."""

    receipt: Json
    signature: str
    algorithm: str
    public_key: str
    key_id: str


class SigningKey(Open):
    """The 32 bytes of an Ed25519 key, in base64."""

    algorithm: str
    public_key: str
    key_id: str
