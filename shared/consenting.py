"""The words of consent: what may stand of it in the ledger of rights, and in a column of a table."""

GRANTED, REFUSED, UNKNOWN = "granted", "refused", "unknown"
# What a consent comes to whose `until` has passed.
EXPIRED = "expired"
# Nothing is learned under these.
FORBIDDING = (REFUSED, EXPIRED)
# The most restrictive first.
ORDER = (REFUSED, EXPIRED, UNKNOWN, GRANTED)
# As people write it into a column; an empty cell says what its dataset says.
WORDS = {
    **dict.fromkeys(("granted", "yes", "true", "1", "1.0"), GRANTED),
    **dict.fromkeys(("refused", "withdrawn", "no", "false", "0", "0.0"), REFUSED),
    "unknown": UNKNOWN,
}
