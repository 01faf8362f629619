"""Plays an interleaving in a database and in the reference model at the same time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from copy import copy
from itertools import permutations

from model.calls import Call, Refused, Row, Void
from model.choices import call_of
from model.job import SECOND, Job
from model.many import Claim
from model.state import Queue
from model.statements import NAMES, as_row
from model.steps import Step
from model.table import Table
from model.wire import Reply

WAITS = (SECOND, 2 * SECOND, 6 * SECOND, 61 * SECOND)


class Mismatch(AssertionError):
    """The database does not do what the model says."""


class Waiting:
    """The calls that wait: each with the session that it waits for, in the order they came."""

    def __init__(self) -> None:
        self.calls: dict[int, Call] = {}
        self.holders: dict[int, int] = {}

    def copy(self) -> Waiting:
        """A copy of its own."""
        other = Waiting()
        other.calls = {session: copy(call) for session, call in self.calls.items()}
        other.holders = dict(self.holders)
        return other

    def add(self, session: int, call: Call, holder: int) -> None:
        """A call begins to wait, or waits for another one now."""
        self.calls[session] = call
        self.holders[session] = holder
        # Who waits for one that waits for itself?
        while holder in self.holders:
            holder = self.holders[holder]
            if holder == session:
                raise Void

    def remove(self, session: int) -> None:
        """A call goes on."""
        del self.calls[session], self.holders[session]


class Play:
    """One interleaving.

    Attributes:
        seen: how often each call had an answer, and how often each had to wait.
    """

    def __init__(self, table: Table, seen: Counter[tuple[str, str]] | None = None) -> None:
        """Prepares to play at a table that has been cleared."""
        self.seen: Counter[tuple[str, str]] = Counter() if seen is None else seen
        self._table = table
        self._queue = Queue(now=table.now)
        self._waiting = Waiting()
        self._tokens: dict[str, list[int]] = {}

    def run(self, steps: Sequence[Step]) -> None:
        """Takes all steps, lets all transactions end, and compares what is left.

        Raises:
            Mismatch: the database does not do what the model says.
            Void: the steps lead into a deadlock of their own making, or leave to chance what comes.
        """
        try:
            for step in steps:
                self.take(step)
            self.finish()
        except BaseException:
            self.give_up()
            raise

    def finish(self) -> None:
        """Lets all transactions end, and compares what is left."""
        while self._queue.open:
            session = min(self._queue.open - set(self._waiting.calls))
            self._end(session, commit=True)
        jobs = [slot.committed for slot in self._queue.slots.values() if slot.committed]
        _compare(self._table.take_all(), jobs)

    def look(self, session: int) -> None:
        """Compares what a session sees."""
        jobs = [job for _, job in self._queue.seen_by(session)]
        _compare(self._table.wires[session].ask("all"), jobs)

    def give_up(self) -> None:
        """Clears the table in the middle of a play."""
        self._table.clear(self._waiting.calls)

    def take(self, step: Step) -> None:
        """Takes a step, unless its session waits."""
        session = step.session
        if session in self._waiting.calls:
            return
        match step.action:
            case "wait":
                if not self._waiting.calls:
                    self._queue.now = self._table.pass_time(WAITS[step.choice % len(WAITS)])
            case "begin":
                if session not in self._queue.open:
                    self._table.wires[session].begin()
                    self._queue.open.add(session)
            case "commit" | "rollback":
                if session in self._queue.open:
                    self._end(session, commit=step.action == "commit")
            case _:
                self._call(session, call_of(step, self._tokens))

    def _call(self, session: int, call: Call) -> None:
        if self._waiting.calls and self._would_deadlock(session, call):
            if session in self._queue.open:
                self._end(session, commit=False)
            return
        holder = call.waits_for(self._queue, session)
        self._table.send(session, call)
        if holder is None and self._table.wires[session].answered(0.05):
            self._settle(session, call, self._table.wires[session].answer())
            return
        replies = self._table.replies([session])
        if holder is not None and not replies:
            self.seen[type(call).__name__, "waits"] += 1
            self._waiting.add(session, call, holder)
        elif holder is None and replies:
            self._settle(session, call, replies[session])
        else:
            self._waiting.calls = {**self._waiting.calls, **({} if replies else {session: call})}
            does = f"answers {replies[session]}" if replies else "waits"
            raise Mismatch(f"{call} of session {session} {does}; the model: waits for {holder}")

    def _would_deadlock(self, session: int, call: Call) -> bool:
        holder = copy(call).waits_for(self._queue.copy(), session)
        try:
            if holder is not None:
                self._waiting.copy().add(session, call, holder)
        except Void:
            return True
        return False

    def _settle(self, session: int, call: Call, reply: Reply) -> None:
        expected, ended = _answer(self._queue, session, call, reply)
        if expected != reply:
            raise Mismatch(f"{call} of session {session}: {reply}; the model: {expected}")
        self._note(session, call, reply)
        if ended:
            self._wake(session)

    def _end(self, session: int, *, commit: bool) -> None:
        self._table.wires[session].end("commit" if commit else "rollback")
        self._queue.end(session, commit=commit)
        self._wake(session)

    def _note(self, session: int, call: Call, reply: Reply) -> None:
        """Keeps in mind what was told to a client, and rolls back where it was an error."""
        outcome = reply if isinstance(reply, str) else "answers" if reply else "finds nothing"
        self.seen[type(call).__name__, outcome] += 1
        if isinstance(reply, str):
            self._table.wires[session].has_failed()
        elif isinstance(call, Claim):
            for job_id, token in reply:
                self._tokens.setdefault(str(job_id), []).append(int(token or 0))
        for job_id in self._queue.slots:
            self._tokens.setdefault(job_id, [])

    def _wake(self, ended: int) -> None:
        """Some calls go on, now that the transaction that they waited for has ended.

        Which of them goes first is up to the database: any order will do that explains the answers.
        """
        if ended not in self._waiting.holders.values():
            return
        replies = self._table.replies(self._waiting.calls)
        before, self._waiting = self._waiting, self._waiting.copy()
        for session in replies:
            self._waiting.remove(session)
        explained: dict[object, tuple[Queue, Waiting]] = {}
        for order in permutations(before.calls):
            queue, waiting = self._queue.copy(), before.copy()
            if _goes_on(queue, waiting, ended, order, replies):
                explained[queue.picture()] = queue, waiting
        if not explained:
            raise Mismatch(f"once session {ended} has ended: {replies}, of {before.calls}")
        if len(explained) > 1:
            raise Void  # The answers do not tell which went first, and what is stored will.
        [(self._queue, self._waiting)] = explained.values()
        for session, reply in replies.items():
            self._note(session, before.calls[session], reply)


def _compare(stored: Reply, jobs: list[Job]) -> None:
    expected = sorted(as_row(job) for job in jobs)
    if stored != expected:
        assert isinstance(stored, list), stored
        raise Mismatch("\n".join(["what is stored:", *_differences(stored, expected)]))


def _answer(queue: Queue, session: int, call: Call, reply: Reply) -> tuple[Reply, bool]:
    """What a call answers by the model, and whether its transaction has ended with it."""
    expected: Reply
    try:
        expected = call.answer(queue, session, [] if isinstance(reply, str) else reply)
    except Refused as refused:
        expected = refused.sqlstate
    except (AssertionError, ValueError) as error:
        expected = [(f"impossible: {error}",)]
    if isinstance(expected, str):
        queue.end(session, commit=False)
        return expected, True
    if session not in queue.open:
        queue.end(session, commit=True)
        return expected, True
    return expected, False


def _goes_on(
    queue: Queue, waiting: Waiting, ended: int, order: Sequence[int], replies: Mapping[int, Reply]
) -> bool:
    """Lets calls go on, each in its turn; returns whether the model answers what was answered."""
    unanswered = set(replies)
    over = [ended]
    while over:
        holder = over.pop(0)
        for session in order:
            if waiting.holders.get(session) != holder:
                continue
            call = waiting.calls[session]
            waiting.remove(session)
            if (other := call.waits_for(queue, session)) is not None:
                waiting.add(session, call, other)
                continue
            if session not in replies:
                return False
            expected, has_ended = _answer(queue, session, call, replies[session])
            if expected != replies[session]:
                return False
            unanswered.remove(session)
            if has_ended:
                over.append(session)
    return not unanswered


def _differences(stored: list[Row], expected: list[Row]) -> list[str]:
    ours, theirs = ({row[0]: row for row in rows} for rows in (stored, expected))
    lines = []
    for job_id in sorted({*ours, *theirs}, key=str):
        if job_id not in ours or job_id not in theirs:
            lines.append(f"    {job_id} is {'not ' if job_id not in ours else ''}there")
            continue
        lines += [
            f"    {name} is {one!r}; the model: {other!r}"
            for name, one, other in zip(NAMES, ours[job_id], theirs[job_id], strict=True)
            if one != other
        ]
    return lines
