"""Mistakes that were made, or nearly: each is a few lines of production code.

Every one breaks a promise on purpose; a suite that stays green with it proves
nothing. `tests` names where it should be noticed first.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Edit:
    """In one file, one piece of text, which must be there exactly once."""

    path: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """One deliberate bug."""

    name: str
    edits: tuple[Edit, ...]
    tests: tuple[str, ...]
    """Under `tests/`: those that ought to turn red."""


def _one(name: str, path: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(name, (Edit(path, old, new),), tests)


_WALK = ("worker", "behaviour/test_interruptions_cost_nothing_twice.py")
_STORE = ("checkpoint",)
_DEATHS = ("supervisor", "behaviour/test_one_bad_thing_does_not_stop_the_night.py")

MUTANTS = (
    _one(
        "a killed worker's last commit may appear later",
        "supervisor/undertaker.py",
        "self._decide_last_commit(slot) if is_sudden else None",
        "None",
        "supervisor",
    ),
    _one(
        "outcome acknowledged before commit",
        "checkpoint/shard.py",
        "        self._committer.submit(Write(key, sealed, delta, done, is_new))\n",
        "        done(None)\n"
        "        done = lambda _: None\n"
        "        self._committer.submit(Write(key, sealed, delta, done, is_new))\n",
        *_STORE,
    ),
    _one(
        "acknowledged though its commit failed",
        "checkpoint/committer.py",
        "            write.done(error)",
        "            write.done(None)",
        *_STORE,
    ),
    Mutant(
        "intent after send",
        (
            Edit(
                "worker/walk.py",
                "            self._tools.shard.begin(attempt)\n",
                "            pass\n",
            ),
            Edit(
                "worker/walk.py",
                "            return self._tools.client.call(\n"
                "                self._request, request_id, may_go=lambda: self._may_go(permit)\n"
                "            )\n",
                "            reply = self._tools.client.call(\n"
                "                self._request, request_id, may_go=lambda: self._may_go(permit)\n"
                "            )\n"
                "            self._tools.shard.begin(attempt)\n"
                "            return reply\n",
            ),
        ),
        _WALK,
    ),
    _one(
        "judged before it is recorded",
        "worker/walk.py",
        "        self._settle(attempt, done, reply.body)\n"
        "        if bug:\n"
        "            raise bug\n"
        "        self._tools.limiter.answered(permit, reply.headers, usage, cost_usd)\n"
        "        self._count_sent(done, usage, cost_usd)\n"
        "        return self._judged(answer, done)\n",
        "        self._tools.limiter.answered(permit, reply.headers, usage, cost_usd)\n"
        "        self._count_sent(done, usage, cost_usd)\n"
        "        step = self._judged(answer, done)\n"
        "        self._settle(attempt, done, reply.body)\n"
        "        return step\n",
        *_WALK,
    ),
    _one(
        "raw reply serialised anew",
        "worker/walk.py",
        "        self._tools.shard.settle(begun, done, body)\n",
        "        body = json.dumps(json.loads(body)).encode() if body[:1] == b'{' else"
        " body\n"
        "        self._tools.shard.settle(begun, done, body)\n",
        *_WALK,
    ),
    _one(
        "work handed on without reading the dead shard",
        "supervisor/undertaker.py",
        "        if self._run.is_finished_by(number, reader.outcome(number)):\n"
        "            return True\n"
        "        slot.assigned",
        "        slot.assigned",
        *_DEATHS,
    ),
    _one(
        "shards read while orphans still record",
        "supervisor/opened.py",
        "        lock.wait_for_orphans(run_folder)\n",
        "",
        "supervisor",
        "behaviour/test_interruptions_cost_nothing_twice.py",
    ),
    _one(
        "workers without a sign of presence",
        "checkpoint/locks.py",
        "        if not _try_lock(self._descriptor, fcntl.LOCK_SH):",
        "        if False:",
        *_STORE,
    ),
    _one(
        "run lock shared",
        "checkpoint/locks.py",
        "        if _try_lock(descriptor, fcntl.LOCK_EX):\n",
        "        if _try_lock(descriptor, fcntl.LOCK_SH):\n",
        *_STORE,
    ),
    _one(
        "lockf",
        "checkpoint/locks.py",
        "        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)",
        "        fcntl.lockf(descriptor, kind | fcntl.LOCK_NB)",
        *_STORE,
    ),
    _one(
        "fork",
        "engines/local.py",
        'multiprocessing.get_context("spawn").Process',
        'multiprocessing.get_context("fork").Process',
        "engines",
    ),
    _one(
        "default eviction",
        "checkpoint/store.py",
        '    "eviction_policy": "none",\n',
        '    "eviction_policy": "least-recently-stored",\n',
        *_STORE,
    ),
    _one(
        "a size limit that culls",
        "checkpoint/store.py",
        '    "cull_limit": 0,\n    "size_limit": _NEVER,\n',
        '    "cull_limit": 10,\n    "size_limit": 2**30,\n',
        *_STORE,
    ),
    Mutant(
        "NORMAL sync",
        (
            Edit(
                "checkpoint/store.py",
                '    "sqlite_synchronous": 2,',
                '    "sqlite_synchronous": 1,',
            ),
            Edit(
                "checkpoint/store.py",
                '"synchronous": 2, "mmap',
                '"synchronous": 1, "mmap',
            ),
        ),
        _STORE,
    ),
    _one(
        "FanoutCache",
        "checkpoint/store.py",
        "diskcache.Cache(\n            str(folder), timeout=60,",
        "diskcache.FanoutCache(\n            str(folder), shards=2, timeout=60,",
        *_STORE,
    ),
    _one(
        "pickle accepted",
        "checkpoint/store.py",
        "        if mode != _MODE_RAW or filename is not None or read:\n",
        "        if mode == diskcache.core.MODE_PICKLE:\n"
        "            import pickle\n"
        "            return pickle.loads(value)\n"
        "        if mode != _MODE_RAW or filename is not None or read:\n",
        *_STORE,
    ),
    _one(
        "checksum without the key",
        "checkpoint/envelope.py",
        'hashlib.blake2b(key.encode("ascii"), digest_size=_CHECKSUM_BYTES)',
        "hashlib.blake2b(digest_size=_CHECKSUM_BYTES)",
        *_STORE,
    ),
    _one(
        "totals outside the transaction",
        "checkpoint/committer.py",
        "                    store.set(write.key, write.sealed)\n"
        "                store.set(TOTALS_KEY, _sealed_totals(totals))\n",
        "                    store.set(write.key, write.sealed)\n"
        "            store.set(TOTALS_KEY, _sealed_totals(totals))\n",
        *_STORE,
    ),
    _one(
        "totals without the -1 of what is replaced",
        "checkpoint/shard.py",
        "    if replaced:\n        add(delta, negated(delta_of_outcome(replaced)))\n",
        "",
        *_STORE,
    ),
    _one(
        "retries ride on the first permit",
        "worker/walk.py",
        "            permit = self._tools.limiter.reserve(want, self._tools.stop)\n",
        "            if not hasattr(self, '_held'):\n"
        "                self._held = self._tools.limiter.reserve(want, self._tools.stop)\n"
        "            permit = self._held\n",
        *_WALK,
    ),
    _one(
        "stale permit sent",
        "worker/walk.py",
        "        return not self._tools.stop.is_set() and self._tools.limiter.is_fresh(permit)\n",
        "        return not self._tools.stop.is_set()\n",
        *_WALK,
    ),
    _one(
        "a drain that waits for a rule that never returns",
        "worker/main.py",
        "        return len(self._threads) > lost\n",
        "        return bool(self._threads or lost)\n",
        "engines",
    ),
    _one(
        "a rule that never returns is waited for",
        "task/usercode.py",
        "            if self.patience is None:\n",
        "            if self.patience or not self.patience:\n",
        "task",
        "engines",
    ),
    _one(
        "a late permit renewed behind whoever waits for its dollars",
        "limiter/limiter.py",
        "self._turn(free.want, permit.stop, self._renewals)",
        "self._turn(free.want, permit.stop, self._gate)",
        "limiter",
    ),
    _one(
        "an answer our reader stumbles over is not kept",
        "worker/walk.py",
        "        answer, cost_usd, bug = self._read(reply)\n",
        "        answer, cost_usd, bug = self._read(reply)\n"
        "        if bug:\n"
        "            raise bug\n",
        *_WALK,
    ),
    _one(
        "a killed worker is dead once its pipe closes",
        "engines/local.py",
        "                events += self._last_words(slot, worker)\n",
        "                pass\n",
        "engines",
    ),
    _one(
        "a late request is never charged again",
        "limiter/limiter.py",
        "        if not permit.is_paced or self._age_s(permit) <= _FREE_AGE_S:\n",
        "        if permit:\n",
        "limiter",
    ),
    _one(
        "a run gives up as late as its last probe",
        "limiter/admission.py",
        "    return min(run.breaker.next_probe_ns, last_ns)\n",
        "    return run.breaker.next_probe_ns\n",
        "limiter/test_limiter_breaker.py",
    ),
    _one(
        "an export is noted after its files are replaced",
        "session/exporting.py",
        "            return notes.announce(new)\n",
        "            return True\n",
        "session/test_killed_while_files_are_replaced.py",
    ),
    _one(
        "a forgiven failure spoils a witness of the next outage",
        "worker/walk.py",
        "        self._forget_forgiven()\n        if self._failed_s:",
        "        if self._failed_s:",
        "worker/test_walk_of_an_item.py",
    ),
    _one(
        "those that failed go before those nobody has begun",
        "worker/assignments.py",
        "        self._is_fresh_next = queue is self._ripe\n",
        "        self._is_fresh_next = False\n",
        "worker/test_assignments.py",
    ),
    _one(
        "items that failed before hide an outage",
        "limiter/breaker.py",
        "            self.sends -= int(self.streak > 0 and what.sent_ns >= self.streak_ns)\n",
        "            pass\n",
        "limiter/test_limiter_breaker.py",
    ),
    _one(
        "sick items that are asked again are an outage",
        "limiter/breaker.py",
        "        return self.has_failed and self.told\n",
        "        return False\n",
        "limiter/test_limiter_breaker.py",
    ),
    _one(
        "an outage fails what is asked again",
        "limiter/breaker.py",
        "        are_enough = counted - self.again >= enough or are_many\n",
        "        are_enough = counted - self.again >= enough\n",
        "limiter/test_limiter_breaker.py",
    ),
    _one(
        "silence towards items that are asked again is their own",
        "limiter/breaker.py",
        "        return self.has_failed and self.told\n",
        "        return self.has_failed\n",
        "limiter/test_limiter_breaker.py",
    ),
    _one(
        "a session's last failure counts in the next one",
        "checkpoint/history.py",
        "failures=attempt.failures_before)",
        "failures=attempt.failures_before + int(attempt.failure_counts))",
        "worker/test_walk_of_an_item.py",
    ),
    _one(
        "items that are asked again wait no longer than others",
        "worker/walk.py",
        "            is_alone=self._past.server_failed_it\n",
        "            is_alone=False\n",
        "worker/test_walk_of_an_item.py",
    ),
    _one(
        "a mended request is no witness when it is asked again",
        "checkpoint/history.py",
        "a.failure_counts and a.failure.kind is not FailureKind.REJECTED\n",
        "a.failure_counts\n",
        "worker/test_walk_of_an_item.py",
    ),
    _one(
        "items that failed hold each other up",
        "worker/assignments.py",
        "bool(self._fresh or self._ripe or self._aside)",
        "bool(self._fresh)",
        "worker/test_assignments.py",
    ),
    _one(
        "no room is set aside for the note of an export",
        "session/working.py",
        "                set_room_aside(run_folder)\n",
        "",
        "session/test_killed_while_files_are_replaced.py",
    ),
    _one(
        "the room for a note is kept where the disk is full",
        "session/noting.py",
        "            (self._folder / EXPORTS_ROOM).unlink(missing_ok=True)\n",
        "",
        "session/test_killed_while_files_are_replaced.py",
    ),
    _one(
        "an older export replaces the files of a newer one",
        "session/noting.py",
        '            if each.get("records", 0) > self._made_of.records  # older versions: none\n',
        "            if False\n",
        "session/test_two_exports_at_once.py",
    ),
    _one(
        "an export writes back the notes it read when it began",
        "session/noting.py",
        "known, self._written = self._written, files_of_ours(self._folder)",
        "known = self._written",
        "session/test_two_exports_at_once.py",
    ),
    _one(
        "exports replace files without taking turns",
        "session/noting.py",
        "        self._opened.enter_context(export_turn(self._folder))\n",
        "",
        "session/test_two_exports_at_once.py",
    ),
    _one(
        "a salvage takes no lock",
        "session/salvaging.py",
        "            held.callback(RunLock(run_folder, time.time()).release)\n",
        "            pass\n",
        "damage/test_salvaged_runs.py",
    ),
    _one(
        "a forked child keeps locks and pipes",
        "forks.py",
        "os.register_at_fork(after_in_child=_close_all)\n",
        "",
        "checkpoint/test_checkpoint_locks.py",
    ),
    _one(
        "a late permit's attempt recorded anew",
        "worker/walk.py",
        "        if not self._tools.limiter.is_called_off(permit):\n            return None\n",
        "",
        *_WALK,
    ),
    _one(
        "a renewed permit's dollars promised to others",
        "limiter/limiter.py",
        "        free = replace(permit, want=replace(permit.want, worst_usd=Decimal(0)))\n"
        "        self.give_back(free)\n",
        "        free = replace(permit, want=replace(permit.want, worst_usd=Decimal(0)))\n"
        "        self.give_back(permit)\n",
        "limiter",
    ),
    _one(
        "looked the last time before the connection is there",
        "client/wire.py",
        "        connected = self._connected(flight, limits)\n",
        "        flight.look_before_going()\n"
        "        connected = self._connected(flight, limits)\n",
        "client",
    ),
    _one(
        "sent although stopped",
        "worker/walk.py",
        "        return not self._tools.stop.is_set() and self._tools.limiter.is_fresh(permit)\n",
        "        return True\n",
        *_WALK,
    ),
    _one(
        "reservation leaked on death",
        "supervisor/undertaker.py",
        "        self._unsettled[slot.number] = slot.totals.committed_usd\n",
        "",
        *_DEATHS,
    ),
    _one(
        "manifest before shard",
        "checkpoint/manifest.py",
        "        create_shard(run_folder, self.run_id, slot)\n"
        "        changed = dataclasses.replace(self, shards=(*self.shards, slot))\n"
        "        changed.save(run_folder)\n",
        "        changed = dataclasses.replace(self, shards=(*self.shards, slot))\n"
        "        changed.save(run_folder)\n"
        "        create_shard(run_folder, self.run_id, slot)\n",
        *_STORE,
        "torture",
    ),
    _one(
        "close instead of shutdown",
        "client/flights.py",
        "        socket.socket.shutdown(connected, socket.SHUT_RDWR)\n",
        "        socket.socket.close(connected)\n",
        "client",
    ),
    _one(
        "SDK retries on",
        "client/calling.py",
        "            max_retries=0,\n",
        "            max_retries=2,\n",
        "client",
    ),
    _one(
        "redirects followed",
        "client/session.py",
        "        response = self._lanes.handle_request(request)\n",
        "        return super().send(request, follow_redirects=True)\n",
        "client",
    ),
    _one(
        "a hurried job passes its ceiling",
        "limiter/pacing.py",
        "        return self.window.free_ns(amount, self.own_limit(now_ns), now_ns)\n",
        "        return now_ns\n",
        "limiter",
    ),
    _one(
        "a limit of unclear period is no limit",
        "limiter/learning.py",
        "    known = {own.limit: MINUTE_S, key.day",
        "    known = {key.day",
        "limiter",
    ),
    _one(
        "a hurried job stays so when refused",
        "limiter/settling.py",
        "        bursts.end(run)\n",
        "",
        "limiter",
    ),
    _one(
        "slower for a rare refusal",
        "limiter/settling.py",
        "    is_pause_enough = is_rare and _is_pause_cheap(key, went_on_ns, now_ns)\n",
        "    is_pause_enough = False\n",
        "limiter",
    ),
    _one(
        "never slower where refusals are rare",
        "limiter/settling.py",
        "    return key.pause.until_ns - now_ns < cheap_ns\n",
        "    return True\n",
        "limiter",
    ),
    _one(
        "calls that run out in a pause are an outage",
        "limiter/breaker.py",
        "            self.older_answers += 1\n",
        "            pass\n",
        "limiter",
    ),
    _one(
        "answers to older requests hide an outage",
        "limiter/breaker.py",
        "        counted = self.streak - min(self.older, self.older_answers)\n",
        "        counted = self.streak - self.older_answers\n",
        "limiter",
    ),
    _one(
        "a cell of another version is misread",
        "limiter/pair.py",
        "_KEY_BYTES = len(KeyState().to_bytes())\n",
        "_KEY_BYTES = 2 * 1_088 + 512\n",
        "limiter",
    ),
    _one(
        "blamed for deaths that another item explains",
        "supervisor/blame.py",
        "        self._unexplained = [death for death in self._unexplained if row not in death]\n",
        "        for death in self._unexplained:\n            death.discard(row)\n",
        "supervisor",
    ),
    _one(
        "rendered request as the key",
        "supervisor/opened.py",
        "            else:\n                backlog.mark_done(row)\n",
        "            else:\n"
        "                from runner.task import load_task\n"
        "                import hashlib, json\n"
        "                task = load_task(self.config.task, self.config.items_path)\n"
        "                asked = task.request_for(self.items.read(row)).body\n"
        "                digest = hashlib.blake2b(json.dumps(asked, sort_keys=True)"
        ".encode(), digest_size=16).hexdigest()\n"
        "                past = self._reader.attempts(number)\n"
        "                if past and past[-1][0].request_digest == digest:\n"
        "                    backlog.mark_done(row)\n",
        "supervisor",
        "behaviour/test_interruptions_cost_nothing_twice.py",
    ),
    _one(
        "poison counted on the supervisor's death",
        "supervisor/undertaker.py",
        "        if not self._blame.is_convicted(row):\n",
        "        if not (\n"
        "            self._blame.is_convicted(row)\n"
        "            or self._run.backlog.history(row).unresolved\n"
        "        ):\n",
        *_DEATHS,
    ),
    _one(
        "what stood in its backoff is suspected",
        "supervisor/undertaker.py",
        "slot.assigned - slot.aside\n",
        "slot.assigned\n",
        "supervisor",
    ),
    _one(
        "an item failed for a drain",
        "supervisor/undertaker.py",
        "                if not is_over and is_sudden:\n",
        "                if not is_over:\n",
        "supervisor",
    ),
    _one(
        "an answer beside a refusal is forgotten",
        "limiter/limiter.py",
        "            is_changed = True\n",
        "            is_changed = False\n",
        "limiter",
    ),
    _one(
        "an item failed for deaths from outside",
        "supervisor/blame.py",
        "        if self._is_storm() or self._others_die(row):\n",
        "        if False:\n",
        "supervisor",
    ),
    _one(
        "only what left a trace in the shard is a suspect",
        "supervisor/undertaker.py",
        "        self._blame.died(unfinished, alone",
        "        traced = [row for row in unfinished if reader.attempts(numbers[row])]\n"
        "        self._blame.died(traced or unfinished, alone",
        "supervisor",
    ),
    _one(
        "export without fsync",
        "durable.py",
        "            os.fsync(stream.fileno())\n",
        "",
        "finalizer",
        "test_durable.py",
        "torture",
    ),
    _one(
        "export in place",
        "durable.py",
        "            os.fsync(stream.fileno())\n        temp.replace(path)\n",
        "            os.fsync(stream.fileno())\n"
        "        path.write_bytes(temp.read_bytes())\n        temp.unlink()\n",
        "finalizer",
        "test_durable.py",
    ),
    _one(
        "unresolved dropped on the next send",
        "worker/walk.py",
        "            supersedes=self._past.unresolved,\n",
        "",
        *_WALK,
    ),
    _one(
        "an unjudged reply bought again",
        "worker/walk.py",
        "        if self._past.unjudged:\n",
        "        if False:\n",
        *_WALK,
    ),
    _one(
        "a reply without its body",
        "checkpoint/shard.py",
        "seal(key, settled.to_json(), body)",
        "seal(key, settled.to_json(), b'')",
        *_STORE,
    ),
    _one(
        "a lost shard opens as an empty one",
        "checkpoint/shard_reading.py",
        "        if not self._path.is_file() or self._path.stat().st_size == 0:\n",
        "        if not self._path.parent.exists():\n",
        *_STORE,
    ),
    _one(
        "what was read of pages torn by a session counts",
        "checkpoint/undisturbed.py",
        "        return shard.is_still and",
        "        return False and",
        "checkpoint/test_checkpoint_undisturbed.py",
        "session/test_a_session_begins_while_a_run_is_read.py",
    ),
    _one(
        "a session that begins beside a reader is called damage",
        "checkpoint/undisturbed.py",
        "            if look.is_past():\n",
        "            if False:\n",
        "checkpoint/test_checkpoint_undisturbed.py",
    ),
    _one(
        "an export replaces files by what a session has overtaken",
        "session/exporting.py",
        "            look.end()\n",
        "",
        "session/test_a_session_begins_while_a_run_is_read.py",
    ),
    _one(
        "an old copy of a shard goes unnoticed",
        "checkpoint/manifest.py",
        "            if slot not in totals or totals[slot].records < mark:\n",
        "            if False:\n",
        *_STORE,
    ),
    _one(
        "half a rejudgement goes unnoticed",
        "session/rejudging.py",
        "    dataclasses.replace(ruled, is_half_judged=True).save(run_folder)\n",
        "    ruled.save(run_folder)\n",
        "session/test_rejudging.py",
    ),
    _one(
        "a foreign shard goes unnoticed",
        "checkpoint/reading.py",
        '            if (identity.get("run_id"), identity.get("slot")) != (run_id, slot):\n',
        "            if False:\n",
        *_STORE,
    ),
    _one(
        "one answer too many",
        "retrying.py",
        "    if may_ask and answers < pacing.max_requests:\n",
        "    if may_ask and answers <= pacing.max_requests:\n",
        "test_retrying.py",
    ),
    _one(
        "a 429 counts against the item",
        "retrying.py",
        "    FailureKind.THROTTLED: Scope.NOBODY,\n",
        "    FailureKind.THROTTLED: Scope.ATTEMPT,\n",
        "test_retrying.py",
    ),
    _one(
        "a refused connection counts against the item",
        "retrying.py",
        "    FailureKind.NOT_SENT: Scope.NOBODY,\n",
        "    FailureKind.NOT_SENT: Scope.ITEM,\n",
        "test_retrying.py",
    ),
    _one(
        "an empty account fails the item",
        "retrying.py",
        "    FailureKind.DENIED: Scope.RUN,\n",
        "    FailureKind.DENIED: Scope.ITEM,\n",
        "test_retrying.py",
    ),
    _one(
        "an outage's failures are not forgiven",
        "worker/walk.py",
        "        excused = self._tools.limiter.forgiven(self._failed_s)\n",
        "        excused: list[float] = []\n",
        *_WALK,
    ),
    _one(
        "the dollar cap forgets what is in flight",
        "limiter/budget.py",
        "        return sum(self.values[_RESERVED::_LINE])\n",
        "        return 0\n",
        "limiter",
    ),
    _one(
        "a permit outlives the fleet's pause",
        "limiter/limiter.py",
        "        if pause.epoch != permit.epoch or pause.until_ns > self._cells.now_ns():\n",
        "        if False:\n",
        "limiter",
    ),
    _one(
        "workers die of Ctrl-C",
        "engines/local.py",
        "    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):\n",
        "    for ignored in (signal.SIGHUP,):\n",
        "engines",
        "behaviour/test_interruptions_cost_nothing_twice.py",
    ),
    _one(
        "orphans work on",
        "worker/main.py",
        "        if orders is None:\n            self._halt()\n            return\n",
        "        if orders is None:\n            return\n",
        "engines",
        "behaviour/test_interruptions_cost_nothing_twice.py",
    ),
    _one(
        "an answer goes to the next item",
        "supervisor/opened.py",
        "        attempts = [attempt for attempt, _ in self._reader.attempts(number)]\n",
        "        attempts = [attempt for attempt, _ in self._reader.attempts(number + 1)]\n",
        *_DEATHS,
    ),
    _one(
        "sending goes on after a failed commit",
        "checkpoint/committer.py",
        "                self._failure = error\n",
        "                self._failure = None\n",
        *_STORE,
    ),
    _one(
        "nothing set aside for a full disk",
        "checkpoint/shard.py",
        "            if rescue_bytes:\n",
        "            if False:\n",
        *_STORE,
    ),
    _one(
        "a cell changed by others taken for unchanged",
        "limiter/cell.py",
        "        return self._head(self._locked()) == self._known\n",
        "        return bool(self._known)\n",
        "limiter",
    ),
    _one(
        "answers that wait are settled by the next request only",
        "worker/main.py",
        "        self._tools.limiter.settle()\n",
        "",
        "engines/test_engine_contract.py",
    ),
    _one(
        "answers wait although a row of failures does",
        "limiter/settling.py",
        "    return bool(run.is_proven) and not (is_refused or is_troubled)\n",
        "    return bool(run.is_proven) and not is_refused\n",
        "limiter",
    ),
    _one(
        "who waits hears no news",
        "limiter/limiter.py",
        "self._cells.edition() != edition",
        "False",
        "limiter",
    ),
    _one(
        "every limit looks as if it refilled evenly",
        "limiter/refill.py",
        "is_even=shown < self.amount",
        "is_even=True",
        "limiter",
    ),
    _one(
        "tokens come back before it is known how they are counted",
        "limiter/settling.py",
        "    if not key.token_refill.is_known:\n        return 0\n",
        "",
        "limiter",
    ),
    _one(
        "tokens come back from a bucket as if it counted minutes",
        "limiter/settling.py",
        "    if key.token_refill.is_even:\n",
        "    if False:\n",
        "limiter",
    ),
    _one(
        "tokens that come back late are lost",
        "limiter/pacing.py",
        "            self.credit_ns = min(_MOST_CREDIT_NS, credit_ns)\n",
        "            self.credit_ns = 0\n",
        "limiter",
    ),
    _one(
        "one loop of retries an item",
        "retrying.py",
        "        ended: Step = self._loop(next, self._steps(first, step))\n",
        "        ended: Step = self._loop.copy()(next, self._steps(first, step))\n",
        "test_retrying.py",
    ),
    _one(
        "one that looked even and refused is trusted again",
        "limiter/refill.py",
        "            self.kind = Kind.REFUTED\n",
        "            self.kind = Kind.UNKNOWN\n",
        "limiter",
    ),
    _one(
        "an answer to an old question wins a rejudgement",
        "session/rejudging.py",
        "    return [each for each in answers if each[0].request_digest == asked]\n",
        "    return [each for each in answers if asked is not None]\n",
        "session",
    ),
    _one(
        "a stored reply waits for its question",
        "worker/walk.py",
        "        self._is_begun = True\n        if self._past.unjudged:\n",
        "        self._is_begun = True\n"
        "        self._tools.task.request_for(self._item)\n"
        "        if self._past.unjudged:\n",
        "worker",
    ),
    _one(
        "a limit that was learned counts for ever",
        "limiter/belief.py",
        "        return is_doubted or now_ns - self.shown_ns >= _DAY_NS\n",
        "        return False\n",
        "limiter/test_limiter_beliefs.py",
    ),
    _one(
        "what was learned refuses for good",
        "limiter/belief.py",
        "        return now_ns < self.refused_until_ns and amount >= self.refused_amount\n",
        "        return True\n",
        "limiter/test_limiter_beliefs.py",
    ),
    _one(
        "slower and slower for 429s by chance",
        "limiter/settling.py",
        "    if key.cause.answered(permit.granted_ns, now_ns):\n        key.cut.lift()\n",
        "    key.cause.answered(permit.granted_ns, now_ns)\n",
        "limiter/test_limiter_cause.py",
    ),
    _one(
        "paused as if all were refused where some are answered",
        "limiter/throttle.py",
        "        if epoch >= self.epoch - 1:\n",
        "        if epoch >= self.epoch:\n",
        "limiter/test_limiter_refusals.py",
    ),
    _one(
        "a connection taken the moment its answer was read",
        "client/connections.py",
        "        until_s = time.monotonic() - REST_S\n",
        "        until_s = time.monotonic()\n",
        "client/test_one_call_is_one_request.py",
    ),
    _one(
        "a connection that is in use is given to the next call",
        "client/connections.py",
        "            return self._rested.pop()\n",
        "            return self._rested[-1]\n",
        "client",
    ),
    _one(
        "what moved is asked anew",
        "session/changes.py",
        '        items_path=_place(told, "items_path", config.items_path),\n',
        "",
        "session/test_the_items_file_is_another_now.py",
    ),
    _one(
        "a closed cell keeps the number of its file",
        "limiter/cell.py",
        "            fd, self._fd = self._fd, _CLOSED\n",
        "            fd = self._fd\n",
        "limiter/test_limiter_cell.py",
    ),
    _one(
        "a bound that was broken is still counted on",
        "limiter/settling.py",
        "    run.note_cost(want.worst_usd, cost_usd)\n",
        "",
        "limiter/test_limiter_budget.py",
    ),
    _one(
        "an interrupted retry's invalid answers are counted twice",
        "session/rejudging.py",
        "        history = _with_invalid(history_of([a for a, _ in attempts], old), invalid)\n",
        "        history = history_of([a for a, _ in attempts], old)\n",
        "session/test_rejudging.py",
    ),
    _one(
        "sums of dollars in the precision of the user's code",
        "checkpoint/committer.py",
        "        count_exactly()\n",
        "",
        "checkpoint/test_checkpoint_totals.py",
    ),
    _one(
        "the last session's words are taken for this one's",
        "supervisor/heartbeat.py",
        "    last = told if is_alive else beat\n",
        "    last = beat\n",
        "session/test_a_session_before_its_first_sign_of_life.py",
    ),
    _one(
        "who pays is asked of a resume's environment",
        "client/calling.py",
        "        self._sdk.organization = settings.organization\n",
        "",
        "client/test_one_call_is_one_request.py",
    ),
    _one(
        "start --overwrite holds for ever",
        "session/noting.py",
        "    return dataclasses.replace(own, overwrite=not is_written)\n",
        "    return own\n",
        "session/test_overwriting_is_allowed_once.py",
    ),
    _one(
        "a refused resume has taken changed items over",
        "session/working.py",
        "        check_descriptors(concurrency_for(changed.config.pacing, changed.items))\n",
        "",
        "session/test_changed_items_are_taken_over_at_once.py",
    ),
)
