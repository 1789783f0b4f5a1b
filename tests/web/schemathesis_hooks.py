"""Loaded by schemathesis: what it takes for right in form may be refused only for what no schema can say."""

import os
from itertools import count
from typing import Any

import schemathesis

NAMES_NOTHING = {"unknown_reference", "unknown_kind", "event_unknown"}
HOLDS_WHAT_SQL_CANNOT = {"json_invalid_text", "json_number_range", "json_not_finite"}
MISLEADS_A_READER = {"file_name_invalid", "alias_invalid"}
# What a URL may be, and where a name leads.
NOT_A_RECEIVER = {"webhook_url_invalid", "webhook_address_refused"}
TELLS_THE_TIME = {"consent_until_past"}
# Rights that were recorded, columns and labels that a dataset or a version has.
DEPENDS_ON_WHAT_IS_THERE = {
    "rights_contradict", "track_unsupported", "columns_missing", "column_unknown", "column_not_numeric",
    "explanation_unkept", "against_unlike", "base_of_another_name", "resume_mismatch",
}  # fmt: skip
# Names that the service's own models have.
IS_TAKEN = {"name_reserved"}
# A list of decisions is text, of which a schema says nothing.
IS_NO_LIST = {"decisions_invalid"}
# Whether a listener is named decides what may become of the models.
NAMES_A_WHOLE_DATASET = {"nothing_to_train_from"}
# The params depend on the kind: their schema is at /v1/kinds.
DEPENDS_ON_ANOTHER_FIELD = {
    "invalid_request", "idempotency_mismatch", "unknown_parameter", "target_missing",
    # A dataset must be named for a model that comes with the service, and for no other.
    "invalid_parameter",
    # Only of a file that is uploaded as a table of text.
    "masking_not_csv",
}  # fmt: skip


@schemathesis.check
def refused_for_a_reason(ctx: Any, response: Any, case: Any) -> None:
    """A 400 or 422 to positive data has one of the codes above."""
    is_positive = case.meta is not None and case.meta.generation.mode.is_positive
    if not is_positive or response.status_code not in (400, 422):
        return
    code = response.json().get("code")
    allowed = NAMES_NOTHING | HOLDS_WHAT_SQL_CANNOT | DEPENDS_ON_ANOTHER_FIELD | MISLEADS_A_READER | NOT_A_RECEIVER
    allowed |= DEPENDS_ON_WHAT_IS_THERE | TELLS_THE_TIME | IS_TAKEN | IS_NO_LIST | NAMES_A_WHOLE_DATASET
    assert code in allowed, f"positive data refused: {code}"


_numbers = count()


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """In a chain of calls no key twice: its first answer is replayed, though what that made may be deleted by now."""
    is_chain = case.meta is not None and case.meta.phase.name.value == "stateful"
    if is_chain and "Idempotency-Key" in (case.headers or {}):
        case.headers["Idempotency-Key"] = f"chain-{next(_numbers)}"
    # Nor is the key ended that all of this is asked with; and one that was ended is still told of, as revoked, which a
    # chain takes for a thing that was deleted and is still there.
    named = (case.path_parameters or {}).get("key_id")
    if named is not None and (named == os.environ["OWN_KEY"] or (is_chain and case.method.upper() == "DELETE")):
        case.path_parameters["key_id"] = "key_" + "0" * 26
