"""A circuit breaker in one u64: pure transitions, for a compare-and-swap loop over memory that all workers share.

Every function takes a word, the time and the config and returns the word that should follow; the same word means that
there is nothing to write. A lost swap is repeated with the word that won. Zeroed memory is a closed breaker.

What happens, and all that happens ("-": the word stays as it is):

    state      admit                         on_success              on_failure             on_abandon
    ---------  ----------------------------  ----------------------  ---------------------  -----------
    closed     ADMIT                         failures = 0            failures + 1; at the   -
                                                                     threshold -> open
    open       REJECT; after open_ms         -                       -                      -
               PROBE -> half-open
    half-open  PROBE and permits + 1 while   permits - 1,            -> open                permits - 1
               under half_open_permits,      successes + 1; at the
               else REJECT                   threshold -> closed

Layout, lowest bit first:

    bits   field      meaning
    -----  ---------  -----------------------------------------------------------------------------------------------
    0-31   stamp      ms modulo 2**32 (see stamp.py): when it closed or opened or, half-open, gave out the newest permit
    32-41  permits    half-open: probes under way
    42-51  successes  half-open: probes that succeeded
    52-61  failures   failures in a row; kept while open and half-open, so that a report can tell them
    62-63  state      0 closed, 1 open, 2 half-open

A probe whose worker dies never reports. So that it cannot hold its permit for ever, all permits count as returned
once none was given out for permit_ttl_ms. Results carry no mark of when their request was admitted: one from before
the trip that arrives half-open counts like a probe's, being evidence just as fresh, and may free a permit it never
held; at worst as many probes too many are admitted as there were such requests.
"""

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import NamedTuple

from rauta_common.stamp import LONGEST_MS, MASK, elapsed

COUNT_MAX = 1023
"""Where the three counts saturate; no threshold may lie above it."""

PERMITS, SUCCESSES, FAILURES, STATE = 32, 42, 52, 62
"""The lowest bit of each field above the stamp."""


class State(IntEnum):
    """The three states of a breaker, as Nygard's "Release It!" (2007) names them."""

    CLOSED = 0
    OPEN = 1
    HALF_OPEN = 2


class Verdict(Enum):
    """What to do with a request; a PROBE is admitted too, and its end should be reported in any case."""

    ADMIT = "admit"
    PROBE = "probe"
    REJECT = "reject"


class Circuit(NamedTuple):
    """A decoded word; the fields are those of the layout."""

    state: State = State.CLOSED
    failures: int = 0
    successes: int = 0
    permits: int = 0
    stamp: int = 0


@dataclass(frozen=True, slots=True)
class Config:
    """When to open and when to close again. Raises ValueError that names every field out of range."""

    failure_threshold: int = 5  # failures in a row that open it, 1 to 1023
    success_threshold: int = 2  # successful probes that close it, 1 to 1023
    open_ms: int = 10_000  # how long it rejects everything before the first probe, 1 to 2**30
    half_open_permits: int = 1  # probes under way at a time, 1 to 1023
    permit_ttl_ms: int = 30_000  # after which an unreported probe is given up, 1 to 2**30; above the request timeout

    def __post_init__(self) -> None:
        limits = {
            "failure_threshold": COUNT_MAX,
            "success_threshold": COUNT_MAX,
            "open_ms": LONGEST_MS,
            "half_open_permits": COUNT_MAX,
            "permit_ttl_ms": LONGEST_MS,
        }
        wrong = [f"{name} must be 1 to {most}" for name, most in limits.items() if not 1 <= getattr(self, name) <= most]
        if wrong:
            raise ValueError("; ".join(wrong))


def decode(word: int) -> Circuit:
    """Return the fields of `word`. Raises ValueError for the state that does not exist: the word is not ours."""
    return Circuit(
        State(word >> STATE),
        word >> FAILURES & COUNT_MAX,
        word >> SUCCESSES & COUNT_MAX,
        word >> PERMITS & COUNT_MAX,
        word & MASK,
    )


def encode(circuit: Circuit) -> int:
    """Return the word of `circuit`. Counts saturate and the stamp is truncated, so no field spills into the next."""
    return (
        circuit.state << STATE
        | min(circuit.failures, COUNT_MAX) << FAILURES
        | min(circuit.successes, COUNT_MAX) << SUCCESSES
        | min(circuit.permits, COUNT_MAX) << PERMITS
        | circuit.stamp & MASK
    )


def admit(word: int, now: int, config: Config) -> tuple[int, Verdict]:
    """Return the next word, and whether a request may go ahead at `now`, in monotonic ms."""
    if not word >> STATE:  # closed: nearly every request, so nothing is decoded
        return word, Verdict.ADMIT
    circuit = decode(word)
    waited = elapsed(now, circuit.stamp)
    if circuit.state is State.OPEN:
        if waited < config.open_ms:
            return word, Verdict.REJECT
        permits = 0
    else:
        permits = circuit.permits if waited < config.permit_ttl_ms else 0
        if permits >= config.half_open_permits:
            return word, Verdict.REJECT
    return encode(circuit._replace(state=State.HALF_OPEN, permits=permits + 1, stamp=now)), Verdict.PROBE


def on_success(word: int, now: int, config: Config) -> int:
    """Return the word after a request that the endpoint answered well."""
    if not word >> FAILURES:  # closed and nothing to forgive
        return word
    circuit = decode(word)
    if circuit.state is State.CLOSED:
        return encode(circuit._replace(failures=0))
    if circuit.state is State.OPEN:
        return word
    if circuit.successes + 1 >= config.success_threshold:
        return encode(Circuit(State.CLOSED, stamp=now))
    return encode(circuit._replace(successes=circuit.successes + 1, permits=max(circuit.permits - 1, 0)))


def on_failure(word: int, now: int, config: Config) -> int:
    """Return the word after a request that the endpoint failed; what counts as failure is the caller's policy."""
    circuit = decode(word)
    if circuit.state is State.OPEN:
        return word
    failures = circuit.failures + 1
    if circuit.state is State.CLOSED and failures < config.failure_threshold:
        return encode(circuit._replace(failures=failures))
    return encode(Circuit(State.OPEN, failures, stamp=now))


def on_abandon(word: int) -> int:
    """Return the word after a probe that ended without telling anything of the endpoint: its client went away, say."""
    circuit = decode(word)
    if circuit.state is not State.HALF_OPEN or not circuit.permits:
        return word
    return encode(circuit._replace(permits=circuit.permits - 1))
