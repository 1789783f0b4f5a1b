"""Every hostile input that is tried: what it is, what must come of it, and which tests prove it.

H01 to H62 are those of the security study; H63 to H69 were found while these were built. `python -m
tests.hostile.catalogue` writes docs/hostile.md from it; a test holds that every test named here is there and says so.
"""

from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "hostile.md"


@dataclass(frozen=True)
class Case:
    """`status` is the answer's, INGEST where the upload is taken and its dataset then rejected."""

    id: str
    input: str
    status: str
    codes: tuple[str, ...]
    tests: tuple[str, ...]


INGEST, TAKEN, NONE, JOB = "rejected", "taken", "no answer", "job"
JSON = ("hostile/test_submissions.py::test_a_body_that_is_no_honest_json_is_refused_by_name",
        "web/test_strict_json.py::test_a_hostile_body_is_refused_by_name")  # fmt: skip
LIVE = "hostile/test_uploads.py::test_a_dataset_of_it_is_refused_by_name_or_read_as_it_is"
EMPTY = "hostile/test_uploads.py::test_nothing_at_all_is_refused_before_anybody_reads_it"
TABLE = (LIVE, "worker/formats/test_hostile_files.py::test_a_hostile_file_is_refused_with_its_code_and_place")
ARCHIVE = "worker/symbolic/test_archive.py::test_an_archive_that_was_made_to_harm_is_refused"
SOUND = (LIVE, "worker/audio/test_ear.py::test_every_hostile_file_has_its_fault_and_none_ends_the_ear")
PIECE = (LIVE, "worker/symbolic/test_midi.py::test_what_is_wrong_is_said")
SOCKETS, SUBMISSIONS, BROKER = (f"hostile/test_{name}.py::test_" for name in ("sockets", "submissions", "broker"))

CASES = [
    Case("H01", "JSON nested 100,000 lists deep", "400", ("json_too_deep",), JSON),
    Case("H02", "JSON nested 100,000 objects deep", "400", ("json_too_deep",), JSON),
    Case("H03", "NaN, Infinity, 1e999", "400", ("json_not_finite",), JSON),
    Case("H04", "a key twice in an object", "400", ("json_duplicate_key",), JSON),
    Case("H05", "an integer of 5,000 digits, 2^63", "400", ("json_number_range",), JSON),
    Case("H06", "half a surrogate pair, a NUL", "400", ("json_invalid_text",), JSON),
    Case("H07", "invalid UTF-8, UTF-16", "400", ("json_invalid_text",), JSON),
    Case("H08", "50 MB of JSON that are announced", "413", ("body_too_large",), (
        f"{SOCKETS}fifty_megabytes_that_are_announced_are_refused_unread",
        "web/test_server.py::test_fifty_megabytes_of_json_are_refused_and_not_held",
    )),
    Case("H09", "chunks without an end", "413", ("body_too_large",), (
        f"{SOCKETS}a_body_without_an_end_is_refused_after_what_may_come",
    )),
    Case("H10", "a body that comes byte by byte, or stops", "400", ("body_stalled",), (
        f"{SOCKETS}bodies_that_come_byte_by_byte_hold_up_nobody",
        "web/test_gateway.py::test_a_body_that_stops_coming_is_refused",
        "web/test_gateway.py::test_a_body_that_comes_byte_by_byte_is_refused_before_it_is_whole",
        "web/test_server.py::test_clients_that_send_slowly_hold_up_nobody",
    )),
    Case("H11", "multipart and urlencoded forms, at every route that reads", "415", ("unsupported_media_type",), (
        f"{SOCKETS}no_route_reads_a_form",
    )),
    Case("H12", "fields that nobody named: `callback`, `artifact_location`, `__class__`", "422", ("invalid_request",), (
        f"{SUBMISSIONS}a_field_that_nobody_named_is_refused_with_its_place",
    )),
    Case("H13", "layers, activations and losses that would be code", "422", ("invalid_request",), (
        f"{SUBMISSIONS}what_would_be_code_is_no_word_of_ours",
    )),
    Case("H14", "2^31 units, 10,000 layers", "422", ("model_too_large", "invalid_request"), (
        f"{SUBMISSIONS}a_giant_is_refused_before_it_is_built",
        "web/test_door.py::test_a_giant_is_refused_with_its_computed_size",
    )),
    Case("H15", "ids that are paths, encoded paths, NUL, no UTF-8, 10 KB", "404", ("not_found",), (
        f"{SOCKETS}an_id_that_leads_elsewhere_is_the_id_of_nothing",
        "web/test_server.py::test_names_that_mislead_are_refused",
    )),
    Case("H16", "Keras, HDF5, pickle, SavedModel, PyTorch, ONNX", INGEST, ("unsupported_format",), TABLE),
    Case("H17", "an array of pickled objects", INGEST, ("pickle_refused",), TABLE),
    Case("H18", "a pickle that is named NPZ", INGEST, ("pickle_refused",), TABLE),
    Case("H19", "array headers of 10^12 elements, 2 GiB each, negative, 60 KB", INGEST, ("array_header_invalid",),
         TABLE),
    Case("H20", "3.2 GB in 3.1 MB of NPZ", INGEST, ("decompression_limit",), TABLE),
    Case("H21", "entries that climb, absolute, with drives and backslashes", INGEST, ("archive_entry_name",),
         (*TABLE, ARCHIVE)),
    Case("H22", "entries that are links, devices, encrypted, archives", INGEST,
         ("archive_entry_type", "unsupported_format"), (*TABLE, ARCHIVE)),
    Case("H23", "1 GiB in a ZIP of 1 MB", INGEST, ("decompression_limit",), (LIVE, ARCHIVE)),
    Case("H24", "entries that overlap", INGEST, ("archive_overlap",), (*TABLE, ARCHIVE)),
    Case("H25", "sizes, names and checksums that lie", INGEST, ("archive_corrupt",), (*TABLE, ARCHIVE)),
    Case("H26", "20,000 entries", INGEST, ("archive_too_many_entries",), TABLE),
    Case("H27", "names twice, composed otherwise, turned, of 60 KB; of two cases they are two columns", INGEST,
         ("archive_entry_name",), TABLE),
    Case("H28", "60,000,000 constant rows of Parquet", INGEST, ("table_too_large",), TABLE),
    Case("H29", "634 bytes of Parquet, one row of 160 MB", INGEST, ("schema_not_flat",), TABLE),
    Case("H30", "20,000 columns of Parquet", INGEST, ("table_too_many_columns",), TABLE),
    Case("H31", "Parquet that is garbage, cut, encrypted, of an unknown extension", INGEST,
         ("parquet_corrupt", "schema_not_flat", "unsupported_format"), TABLE),
    Case("H32", "a NUL in CSV", INGEST, ("csv_encoding",), TABLE),
    Case("H33", "CSV that is no UTF-8", INGEST, ("csv_encoding",), TABLE),
    Case("H34", "CSV in UTF-16", INGEST, ("csv_encoding",), TABLE),
    Case("H35", "a field of 64 MB, an open quotation mark, 2,000,000 columns, 50,000,000 empty lines", INGEST,
         ("field_too_long", "table_too_many_columns", "dataset_empty"), TABLE),
    Case("H36", "ragged rows, a name twice, a header alone, nothing", INGEST,
         ("csv_shape", "duplicate_column", "dataset_empty", "upload_empty"), (*TABLE, EMPTY)),
    Case("H37", "infinity, nan, 1e999, 5,000 digits in a column of numbers", INGEST, ("value_not_finite",), TABLE),
    Case("H38", "cells that a spreadsheet would run", TAKEN, (), (
        LIVE, "worker/test_prediction_files.py::test_texts_that_begin_a_formula_are_defused_in_csv_alone",
    )),
    Case("H39", "FLAC of 2^36-1 frames, MP3 of 2^31-1, as they say: what there is is heard", TAKEN, (), SOUND),
    Case("H40", "an hour of silence in eight channels, 1 MB", INGEST, ("audio_too_long",), (
        LIVE, "worker/audio/test_ear.py::test_an_hour_of_silence_in_a_megabyte_is_too_long_and_takes_no_memory",
    )),
    Case("H41", "no or 1,024 channels, rates of 0, 1, 2^31-1, no bits", INGEST, ("audio_parameters",), SOUND),
    Case("H42", "ADPCM, RF64, AU, MAT under the name of WAV", INGEST, ("audio_codec_refused",), SOUND),
    Case("H43", "tags of 256 MB, cut Ogg, noise, nothing, playlists: nobody fetches", INGEST,
         ("audio_corrupt", "unsupported_format", "upload_empty"),
         (*SOUND, EMPTY, "hostile/test_uploads.py::test_a_playlist_has_nobody_fetch_anything")),
    Case("H44", "a decoder that crashes, spins, takes all memory", JOB,
         ("decoder_crashed", "decoder_timeout", "decoder_memory"), (
             "shared/test_sandbox.py::test_a_child_that_misbehaves_fails_the_job_and_not_the_worker",
             "worker/audio/test_ear.py::test_a_child_that_misbehaves_fails_its_track_and_no_other",
             "worker/test_symbolic_reading.py::test_files_that_end_the_decoder_are_blamed_alone",
             "hostile/test_uploads.py::test_a_decoder_that_ends_fails_its_job_alone",
         )),
    Case("H45", "MIDI with giant delta times, a hundred of them", INGEST, ("piece_too_long",), PIECE),
    Case("H46", "65,535 tracks, announced and real; fewer than announced", INGEST,
         ("piece_too_large", "midi_truncated"), PIECE),
    Case("H47", "a division of 0, odd frames a second, a tempo of 0; SMPTE is read", INGEST,
         ("midi_division", "tempo_invalid"), PIECE),
    Case("H48", "1,000,000 notes; 500,000 that never end and 300,000 tempi are read", INGEST, ("piece_too_large",), (
        LIVE, "worker/symbolic/test_midi.py::test_too_many_notes_are_refused_while_they_are_read",
    )),
    Case("H49", "lengths of tracks, metas and sysex that lie, numbers without end, RMID, nothing", INGEST,
         ("midi_truncated", "midi_corrupt", "unsupported_format", "upload_empty"), (*PIECE, EMPTY)),
    Case("H50", "an upload of another digest, cut off, sent again", "422", ("digest_mismatch",), (
        f"{SUBMISSIONS}an_upload_that_is_repeated_is_one_and_one_that_differs_is_none",
        "web/test_server.py::test_a_digest_that_differs_is_told_and_nothing_is_kept",
        "web/test_server.py::test_an_upload_that_is_cut_off_leaves_nothing_and_can_be_sent_again",
    )),
    Case("H51", "a flood of submissions by one tenant", "429", ("rate_limited", "too_many_jobs"), (
        f"{SUBMISSIONS}a_flood_is_turned_away_and_the_other_tenant_is_served",
        "web/test_quotas.py::test_what_is_above_the_limit_is_refused_until_something_has_begun",
        "shared/test_turns.py::test_with_one_worker_a_tenant_with_one_job_does_not_wait_for_all_of_another",
    )),
    Case("H52", "schedules of each second, of days that never come, of the year 9999", "422", ("invalid_request",), (
        f"{SUBMISSIONS}a_schedule_that_never_or_always_comes_is_refused",
        "shared/test_cron.py::test_a_day_that_never_comes_is_refused_with_what_to_do",
    )),
    Case("H53", "an Idempotency-Key with another body, of another tenant", "422", ("idempotency_mismatch",), (
        f"{SUBMISSIONS}a_key_of_a_repeat_is_its_tenants_own",
        "web/test_door.py::test_the_first_answer_is_replayed_and_another_body_refused",
    )),
    Case("H54", "webhooks inside, in every spelling", "422", ("webhook_url_invalid", "webhook_address_refused"), (
        "shared/test_addresses.py::test_a_url_that_two_could_read_in_two_ways_is_refused_with_what_was_expected",
        "shared/test_addresses.py::test_what_is_not_public_is_not_whatever_way_it_is_written",
        "web/test_webhooks.py::test_a_url_that_cannot_be_a_receivers_is_refused",
        "web/test_webhooks.py::test_a_name_that_leads_inside_is_refused_as_one_that_is_unknown",
        "hostile/test_receivers.py::test_a_webhook_that_leads_inside_is_refused_however_it_is_written",
    )),
    Case("H55", "a name that leads inside by the time of sending, or among others", NONE, (), (
        "worker/test_deliveries.py::test_a_name_that_leads_inside_by_the_time_of_sending_is_refused_then",
        "worker/test_sending.py::test_one_address_inside_and_a_name_that_is_unknown_are_refused_alike",
        "worker/test_sending.py::test_a_name_is_looked_up_once_and_its_address_is_the_one_connected_to",
        "hostile/test_receivers.py::test_a_name_that_leads_inside_when_it_is_sent_to_is_not_connected_to",
    )),
    Case("H56", "a receiver that redirects, never ends, is slow, has a wrong certificate", NONE, (), (
        "worker/test_sending.py::test_whatever_a_receiver_does_the_try_ends",
        "worker/test_sending.py::test_no_more_than_the_head_is_read_of_ten_megabytes",
        "worker/test_sending.py::test_a_redirect_is_followed_by_nobody",
        "worker/test_sending.py::test_who_speaks_no_tls_gets_nothing",
        "hostile/test_receivers.py::test_a_receiver_that_means_harm_costs_a_try_and_nothing_else",
    )),
    Case("H57", "forged messages: pickles, unknown tasks, ids of jobs, time limits", NONE, (), (
        f"{BROKER}whatever_is_no_ring_is_dropped_and_counted_and_the_worker_lives",
        f"{BROKER}of_a_ring_that_says_more_only_that_it_rang_is_heard",
        f"{BROKER}a_ring_with_the_id_of_a_job_starts_none_and_ends_none",
    )),
    Case("H58", "stored files that were changed, swapped, cut, given other keys", JOB, ("integrity",), (
        "hostile/test_uploads.py::test_a_stored_file_that_was_changed_or_swapped_fails_the_job_that_reads_it",
        "shared/test_sealed_storage.py::test_whatever_was_tampered_with_is_refused_whole_and_in_parts",
        "shared/sealing/test_segments.py::test_whatever_was_changed_is_refused",
        "shared/sealing/test_key_store.py::test_a_key_that_was_moved_or_changed_is_refused",
    )),
    Case("H59", "keys that are wrong, revoked, expired, rotated, huge, two at once", "401", ("unauthorised",), (
        f"{SUBMISSIONS}a_wrong_key_opens_nothing_whatever_is_wrong_with_it",
        "web/test_keys.py::test_every_key_that_opens_nothing_gets_the_same_bytes",
        "web/test_keys.py::test_two_authorization_headers_open_nothing",
    )),
    Case("H60", "a key without the scope", "403", ("insufficient_scope",), (
        "web/test_door.py::test_a_key_without_the_scope_is_forbidden",
        f"{SUBMISSIONS}a_key_without_the_scope_changes_nothing",
    )),
    Case("H61", "Redis or SQL away, a full disk, a killed worker", "503", ("unavailable", "storage_full"), (
        "web/test_away.py::test_a_job_is_accepted_with_redis_dead",
        f"{BROKER}with_redis_frozen_or_a_workers_child_killed_a_job_is_taken_and_done",
        "web/test_away.py::test_a_postgresql_that_is_away_is_told",
        "web/test_away.py::test_a_full_disk_is_told_and_leaves_no_half_file",
        "faults/test_lost_rings.py::test_4_a_killed_redis_loses_no_job_and_disturbs_none_whatever_it_kept",
        "faults/test_database_away.py::test_17_a_frozen_postgresql_costs_no_attempt",
        "faults/test_exhausted.py::test_29_a_disk_that_fills_up_at_a_checkpoint_costs_nothing_that_was_saved",
        "faults/test_killed_workers.py::test_3_a_dead_workers_job_goes_to_an_idle_one_after_its_lease",
    )),
    Case("H62", "forged hosts, methods in headers, TRACE, requests within requests", "400, 405",
         ("bad_request", "method_not_allowed"), (
             f"{SOCKETS}a_method_that_nobody_needs_is_not_allowed",
             f"{SOCKETS}a_host_that_is_none_is_refused_and_one_that_is_one_is_taken",
             f"{SOCKETS}who_forges_where_the_server_is_finds_no_link_there",
             f"{SOCKETS}a_method_in_a_header_is_no_method",
             f"{SOCKETS}of_two_lengths_no_second_request_comes",
             f"{SOCKETS}what_two_could_read_in_two_ways_is_no_request",
             "web/test_server.py::test_what_is_no_request_harms_nobody",
         )),
    Case("H63", "bytes in Redis that are no message, where rings lie and among the unacknowledged", NONE, (), (
        f"{BROKER}whatever_is_no_ring_is_dropped_and_counted_and_the_worker_lives",
        f"{BROKER}what_lies_among_the_unacknowledged_is_forgotten",
    )),
    Case("H64", "headers without end, and ids of events that are none, where a stream is asked for", "431, 422",
         ("event_unknown",), (f"{SOCKETS}headers_without_end_open_no_stream",)),
    Case("H65", "a megabyte of names in one object, one of them twice", "400", ("json_duplicate_key",), JSON),
    Case("H66", "MusicXML with entities, of files too, and 100,000 levels; a container that is cut", INGEST,
         ("xml_entities", "xml_too_deep", "xml_corrupt"),
         (LIVE, "worker/symbolic/test_musicxml.py::test_what_is_wrong_is_said")),
    Case("H67", "cursors that are none, or another tenant's", "422",
         ("invalid_request", "invalid_parameter", "event_unknown"), (
             f"{SOCKETS}a_cursor_that_is_none_is_refused",
             f"{SOCKETS}a_cursor_of_another_tenant_shows_nothing_of_its",
         )),
    Case("H68", "conditions, ranges, preferences and cookies of many kilobytes or no sense", TAKEN, (), (
        f"{SOCKETS}a_poisoned_condition_is_no_condition",
    )),
    Case("H69", "a packed body, and one in another alphabet", "400", ("json_invalid_text",), (
        f"{SOCKETS}a_packed_body_is_unpacked_by_nobody",
        f"{SOCKETS}a_body_in_another_alphabet_is_not_guessed_at",
    )),
]  # fmt: skip

TOP = """# Hostile inputs

What is sent to harm, what comes of it, and which tests prove it; written by `python -m tests.hostile.catalogue` from
`tests/hostile/catalogue.py`, which a test holds against the tests themselves.

Those of `tests/hostile/` go through a living house: web, a worker, the scheduler, Redis, PostgreSQL, three tenants.
After each, six things must hold (`tests/hostile/invariants.py`): a refusal is a problem document that says nothing of
our insides; the service answers and does a small job of another tenant; the same processes live, and neither a process
nor a scratch file is left over; memory is bounded; what was there is there, and nothing stays reserved; it is in the
log or in the audit log, but for what the server turns away before anything of ours hears of it, and nothing secret is.

*rejected*: the upload is taken, the job that reads it fails, its error or one of its faults has this code, and no job
takes the dataset. *job*: so does the error of the job. *taken*: it does no harm and is read as it is. *no answer*:
nobody is there to be answered; it is dropped, and told.

| | input | comes to | code | tests |
| --- | --- | --- | --- | --- |
"""


def render() -> str:
    """The page."""
    return TOP + "".join(_row(case) for case in CASES)


def _row(case: Case) -> str:
    codes = ", ".join(f"`{code}`" for code in case.codes) or "–"
    files = ", ".join(f"`{name}`" for name in dict.fromkeys(test.partition("::")[0] for test in case.tests))
    return f"| {case.id} | {case.input} | {case.status} | {codes} | {files} |\n"


if __name__ == "__main__":
    PAGE.write_text(render())
