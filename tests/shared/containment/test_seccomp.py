"""The filters, run instruction by instruction as the kernel does, for both sorts of machine."""

import errno

import pytest

from shared.containment import seccomp
from shared.containment.calls import ALLOWED, FORBIDDEN, LIMITS, OWN, THREADS, UNKNOWN
from shared.containment.kernel import MACHINES
from shared.containment.seccomp import ALLOW, ARCHITECTURES, KILL, NOT_PERMITTED, NOT_THERE, Instruction

PID = 4321
TABLES = (ALLOWED, OWN, LIMITS, THREADS, UNKNOWN, FORBIDDEN)
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NOBODYS = 1023


@pytest.fixture(params=range(len(MACHINES)), ids=MACHINES)
def machine(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def judged(program: list[Instruction], number: int, *, architecture: int, argument: int = 0) -> int:
    data = {0: number, 4: architecture, 16: argument & 0xFFFFFFFF}
    held, place = 0, 0
    while True:
        code, if_so, if_not, value = program[place]
        place += 1
        if code == RETURN:
            return value
        if code == LOAD:
            held = data[value]
            continue
        is_so = {EQUAL: held == value, AT_LEAST: held >= value, ANY_BIT: bool(held & value)}[code]
        place += if_so if is_so else if_not


def numbers(table: dict[str, tuple[int | None, int | None]], machine: int) -> list[int]:
    return [number for each in table.values() if (number := each[machine]) is not None]


def test_no_number_is_that_of_two_calls(machine: int) -> None:
    every = [number for table in TABLES for number in numbers(table, machine)]

    assert len(every) == len(set(every))
    assert NOBODYS not in every


def test_a_decoder_may_do_what_is_listed_and_nothing_else(machine: int) -> None:
    program, own = seccomp.for_decoding(machine, PID), {"architecture": ARCHITECTURES[machine]}

    assert {judged(program, number, **own) for number in numbers(ALLOWED, machine)} == {ALLOW}
    assert {judged(program, number, **own) for number in numbers(FORBIDDEN, machine)} == {NOT_PERMITTED}
    assert {judged(program, number, **own) for number in [*numbers(UNKNOWN, machine), NOBODYS]} == {NOT_THERE}
    assert len(program) < 4096
    assert {errno.EPERM, errno.ENOSYS} == {NOT_PERMITTED & 0xFFFF, NOT_THERE & 0xFFFF}


def test_a_decoder_signals_itself_alone_and_makes_threads_alone(machine: int) -> None:
    program, own = seccomp.for_decoding(machine, PID), {"architecture": ARCHITECTURES[machine]}
    (clone,) = numbers(THREADS, machine)

    for number in numbers(OWN, machine):
        assert [judged(program, number, argument=pid, **own) for pid in (PID, 1, 0, -1, PID + 1)] == [
            ALLOW, *[NOT_PERMITTED] * 4,
        ]  # fmt: skip
    for number in numbers(LIMITS, machine):
        assert [judged(program, number, argument=pid, **own) for pid in (0, PID, 1)] == [ALLOW, ALLOW, NOT_PERMITTED]
    assert judged(program, clone, argument=0x3D0F00, **own) == ALLOW
    # SIGCHLD: a process.
    assert judged(program, clone, argument=17, **own) == NOT_PERMITTED


def test_what_starts_decoders_may_fork_and_load_and_not_reach_out(machine: int) -> None:
    program, own = seccomp.for_starting(machine), {"architecture": ARCHITECTURES[machine]}
    (clone,) = numbers(THREADS, machine)

    assert {judged(program, number, **own) for number in [*numbers(ALLOWED, machine), *numbers(OWN, machine)]} == {
        ALLOW
    }
    assert {judged(program, number, **own) for number in numbers(FORBIDDEN, machine)} == {NOT_PERMITTED}
    assert judged(program, clone, argument=17, **own) == ALLOW
    for namespace in (0x00020000, 0x10000000, 0x20000000, 0x40000000):
        assert judged(program, clone, argument=namespace | 17, **own) == NOT_PERMITTED


def test_numbers_of_another_architecture_are_not_taken_for_ours(machine: int) -> None:
    for program in (seccomp.for_starting(machine), seccomp.for_decoding(machine, PID)):
        # i386 on x86_64: there 3 reads and 102 opens sockets.
        assert judged(program, 3, architecture=0x40000003) == KILL
        assert judged(program, 0x40000000 + 41, architecture=ARCHITECTURES[machine]) == NOT_PERMITTED
