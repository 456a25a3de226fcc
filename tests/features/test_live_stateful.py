"""The ledger as a machine: what people say, whenever and by whichever worker, across restarts and erasures: all decide as a clerk would by hand."""

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from features.database.store import Store
from features.permission.ledger import Event
from features.permission.live import Permission
from features.permission.use import Use
from features.workspace import Workspace

START = datetime(2026, 1, 1, tzinfo=UTC)
PEOPLE = ["van:1", "van:2", "van:3"]
USE = Use(purpose="campaign_messages", channel_class="offline", sponsor_type="ngo", jurisdiction="none")
TOML = '[workspace]\nname = "Test"\n[kinds.gift]\ndirection = "in"\nen = "gift"\n[channels.email]\nen = "e-mail"\n'
WORKERS = 2


class Told:
    """What one person said, in the order it was recorded, and the decision that follows: slow and obvious."""

    def __init__(self):
        self.events = []
        self.erased = False

    def code(self, now):
        if self.erased:
            return "erased"
        said = sorted((at, number, what) for number, (at, what) in enumerate(self.events) if at <= now)
        own = [(event, purpose, explicit, until) for _, _, (event, purpose, explicit, until) in said if purpose in ("campaign_messages", "any")]

        def stands(place):
            event, purpose, _, until = own[place]
            ended = any(event in ("refused", "withdrawn", "expired") for event, *_ in own[place + 1 :])
            return event == "given" and purpose == "campaign_messages" and (until is None or until > now) and not ended

        objections = [place for place, (event, *_) in enumerate(own) if event == "objected"]
        if objections and not any(stands(place) and own[place][2] for place in range(objections[-1] + 1, len(own))):
            return "objected"
        noes = [place for place, (event, *_) in enumerate(own) if event in ("refused", "withdrawn")]
        if noes and not any(stands(place) for place in range(noes[-1] + 1, len(own))):
            return "consent_refused" if own[noes[-1]][0] == "refused" else "consent_withdrawn"
        return None


class Machine(RuleBasedStateMachine):
    @initialize()
    def open(self):
        self.folder = tempfile.TemporaryDirectory()
        (Path(self.folder.name) / "audience.toml").write_text(TOML)
        self.workspace = Workspace.open(self.folder.name)
        self.now, self.told = START, {person: Told() for person in PEOPLE}
        self.ahead, self.latest, self.ids = [timedelta(0)] * WORKERS, START - timedelta(days=999), set()
        self.workers = [self._worker() for _ in range(WORKERS)]

    def clock(self, worker):
        return self.now + self.ahead[worker]

    def _worker(self):
        permission = Permission(self.workspace, Store(self.workspace.database_url))
        return permission, permission.group(pa.array(PEOPLE, pa.large_string()))

    @rule(
        person=st.sampled_from(PEOPLE),
        event=st.sampled_from(["given", "given", "refused", "withdrawn", "objected", "expired"]),
        purpose=st.sampled_from(["campaign_messages", "campaign_messages", "any", "research"]),
        explicit=st.booleans(),
        ago=st.integers(0, 3),
        lasts=st.sampled_from([None, None, 1, 4]),
        worker=st.integers(0, WORKERS - 1),
    )
    def say(self, person, event, purpose, *, explicit, ago, lasts, worker):
        clock, told = self.clock(worker), self.told[person]
        recorded = max(clock, self.latest)
        given = clock - timedelta(days=ago)
        while ago == 0 and (person, event, purpose, recorded) in self.ids and not told.erased:
            recorded += timedelta(microseconds=1)
        at = recorded if ago == 0 else given
        until = at + timedelta(days=lasts) if lasts and event == "given" else None
        basis = {"legal_basis": "gdpr_9_2_a", "wording_hash": "a" * 64} if explicit and event == "given" else {}
        done = self.workers[worker][0].ledger.append([Event(person, event, purpose, "any", given, None, until, **basis)], now=clock, door="http")
        assert done.erased == told.erased
        assert told.erased or done.stored == ((person, event, purpose, at) not in self.ids)
        if done.stored:
            self.latest = recorded
            self.ids.add((person, event, purpose, at))
            told.events.append((at, (event, purpose, bool(basis), until)))

    @rule(days=st.integers(1, 5))
    def wait(self, days):
        self.now += timedelta(days=days)

    @rule(hours=st.integers(-60, 60), worker=st.integers(0, WORKERS - 1))
    def set_clock(self, hours, worker):
        self.ahead[worker] = timedelta(hours=hours)

    @rule(worker=st.integers(0, WORKERS - 1))
    def restart(self, worker):
        self.workers[worker][0].ledger.store.close()
        self.workers[worker] = self._worker()

    @rule(person=st.sampled_from(PEOPLE), worker=st.integers(0, WORKERS - 1))
    def erase(self, person, worker):
        ledger = self.workers[worker][0].ledger
        with ledger.store.write(serial=True) as connection:
            assert (ledger.erase(connection, person, now=self.clock(worker), door="command") is None) == self.told[person].erased
        self.latest = self.latest if self.told[person].erased else max(self.latest, self.clock(worker))
        self.told[person].erased = True

    @invariant()
    def every_worker_decides_alike(self):
        if not hasattr(self, "told"):
            return
        for number, (_, group) in enumerate(self.workers):
            now = max(self.clock(number), self.latest)
            decisions = group.decide(np.arange(len(PEOPLE)), USE, self.clock(number), live=True)
            assert [decisions.code(row) for row in range(len(PEOPLE))] == [self.told[person].code(now) for person in PEOPLE]
            again = group.decide(np.arange(len(PEOPLE)), USE, decisions.at, known=decisions.ledger)
            assert again.rule.tolist() == decisions.rule.tolist()
        ledger = self.workers[0][0].ledger
        assert ledger.first_break() is None

    def teardown(self):
        if hasattr(self, "workers"):
            for permission, _ in self.workers:
                permission.ledger.store.close()
            self.folder.cleanup()


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=15, stateful_step_count=15, deadline=None)
