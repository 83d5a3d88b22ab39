"""Lava's Runtime made safe: it cannot hang, tells what went wrong in a process, and leaves nothing behind."""

from __future__ import annotations

import atexit
import multiprocessing.process
import os
import signal
import time
from collections.abc import Callable
from multiprocessing import Process
from queue import Empty
from typing import Any

from lava.magma.core.process.message_interface_enum import ActorType
from lava.magma.runtime.mgmt_token_enums import MGMT_RESPONSE, enum_equal, enum_to_np
from lava.magma.runtime.runtime import Runtime

from nirbridge.errors import ExecutionError
from nirbridge_lava.channels import SharedChannels
from nirbridge_lava.forking import later_signals
from nirbridge_lava.gate import Gate

STALL_SECONDS = 60.0
"""Without progress for so long, a network is given up."""

_GLANCE_SECONDS = 0.1
_START_SECONDS = 60.0
_LAST_WORDS_SECONDS = 1.0
_STEPS_AHEAD = 1 << 30
"""Lava steps in one command to processes that wait for their data."""
_WHERE = "runtime 'lava'"
_BUG = "Report it as a bug"

_LIVE: set[GuardedRuntime] = set()


class GuardedRuntime(Runtime):
    """Starts, steps and ends the processes of one executable.

    Args:
        executable: what Lava's compiler gave.
    """

    def __init__(self, executable: Any) -> None:
        self._owner = os.getpid()
        self._ended = False
        self._ahead = 0
        self._answer: Any = None
        self._command: Any = None
        self.exception_q: list[Any] = []
        super().__init__(executable, ActorType.MultiProcessing)

    def initialize(self, node_cfg_idx: int = 0) -> None:
        """Starts every process and waits until each is built.

        Raises:
            ExecutionError: a process could not be built, and the message is its own, or not even started.
        """
        _LIVE.add(self)
        try:
            self._build_watchdog_manager()
            self._build_message_infrastructure()
            self._build_channels()
            self._build_sync_channels()
            self._build_processes()
            self._build_runtime_services()
            self._start_ports()
            self._await_built()
        except OSError as error:
            self.stop()
            found = f"its processes cannot be started ({error})"
            raise ExecutionError(_WHERE, found, "Raise the limits of processes, files or memory") from error
        except BaseException:
            self.stop()
            raise
        (self._answer,) = self.service_to_runtime
        (self._command,) = self.runtime_to_service
        self._is_initialized = True

    def _build_message_infrastructure(self) -> None:
        # Lava's own memory is kept by a process more, and named in the file system, where a crash leaves it.
        self._messaging_infrastructure = SharedChannels()

    def run_steps(self, steps: int, progress: Callable[[], int], deadline: float | None) -> None:
        """Runs ``steps`` Lava steps.

        Args:
            steps: how many.
            progress: a number that changes while the network moves.
            deadline: ``time.monotonic()`` at which to give up, or None.

        Raises:
            ExecutionError: a process failed or died, or the time is over.  Only :meth:`stop` may follow.
        """
        self._command_steps(steps)
        self._await(self._answer.wait, progress, deadline)
        self._take_answer()

    def run_through(self, portions: int, gate: Gate, progress: Callable[[], int], deadline: float | None) -> None:
        """Runs ``portions``, at most :attr:`room`, through a process that waits at ``gate`` for them.

        Lava has been told to run for many more, so it takes no command of its own.  Arguments and errors are those of
        :meth:`run_steps`.
        """
        if self._ahead == 0:
            self._command_steps(_STEPS_AHEAD)
            self._ahead = _STEPS_AHEAD * Gate.portions_in_a_step
        gate.open()
        self._await(gate.passed, progress, deadline)
        self._ahead -= portions
        if self._ahead == 0:
            self._await(self._answer.wait, progress, deadline)
            self._take_answer()

    @property
    def room(self) -> int:
        """The most portions that :meth:`run_through` may be asked for."""
        return self._ahead or _STEPS_AHEAD * Gate.portions_in_a_step

    def _command_steps(self, steps: int) -> None:
        self._command.send(enum_to_np(steps))

    def _await(self, done: Callable[[float], bool], progress: Callable[[], int], deadline: float | None) -> None:
        """Until ``done``, which waits so many seconds, is true; looks at every glance what may have gone wrong."""
        seen, moved = progress(), time.monotonic()
        while not done(_GLANCE_SECONDS):
            self._raise_failure()
            now, step = time.monotonic(), progress()
            if step != seen:
                seen, moved = step, now
            self._raise_if_late(now, moved, deadline)

    def _take_answer(self) -> None:
        if not enum_equal(self._answer.recv(), MGMT_RESPONSE.DONE):
            self._raise_failure(certain=True)
            raise ExecutionError(_WHERE, "a process failed and did not say why", "Run it again")

    def stop(self) -> None:
        """Ends all processes at once, failed or not; stopping twice is fine."""
        if self._ended or self._owner != os.getpid():
            return
        with later_signals():
            self._end_processes()
        _LIVE.discard(self)

    def _end_processes(self) -> None:
        self._is_started = self._is_initialized = False
        # Lava's own stop waits for an answer from every process, for ever where one is gone.
        infrastructure = self._messaging_infrastructure
        actors = [] if infrastructure is None else infrastructure.actors
        running = [actor for actor in actors if not actor._is_done]
        for actor in running:
            actor.kill()
        for actor in running:
            _joined(actor)
        for port in (*self.runtime_to_service, *self.service_to_runtime, *self._open_ports):
            port._array = []
        for queue in self.exception_q:
            queue.close()
        # Only now, so that a stop that a second Ctrl-C cuts short is taken up again when the interpreter ends.
        self._ended = True

    def __del__(self) -> None:
        self.stop()

    def _process_name(self, number: int) -> str:
        """The name of an actor's Process; behind them come Lava's own services."""
        names = [process.name for process in self._executable.proc_builders]
        return names[number] if number < len(names) else "service"

    def _await_built(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        for number, queue in enumerate(self.exception_q):
            while True:
                try:
                    error = queue.get(timeout=_GLANCE_SECONDS)
                    break
                except Empty:
                    self._raise_failure()
                    if time.monotonic() > deadline:
                        found = f"its processes did not start within {_START_SECONDS:g} s"
                        raise ExecutionError(_WHERE, found, "Free memory and try again") from None
            if error is not None:
                raise _failure(self._process_name(number), error, getattr(error, "trace", ""))
            queue.close()
        self.exception_q = []

    def _raise_failure(self, certain: bool = False) -> None:
        """Raises what a process failed with; where something is ``certain`` to have failed, waits for its words."""
        actors = self._messaging_infrastructure.actors
        dead = [number for number, actor in enumerate(actors) if not actor.is_alive()]
        until = time.monotonic() + (_LAST_WORDS_SECONDS if certain or dead else 0.0)
        while True:
            for number, actor in enumerate(actors):
                self._raise_words(number, actor)
            if time.monotonic() >= until:
                break
            time.sleep(_GLANCE_SECONDS / 10)
        if dead:
            found = f"process '{self._process_name(dead[0])}' ended with exit code {actors[dead[0]].exitcode}"
            raise ExecutionError(_WHERE, found, "See whether memory ran out or something killed it")

    def _raise_words(self, number: int, actor: Any) -> None:
        name = self._process_name(number)
        try:
            words = actor.exception
        except Exception as error:
            found = f"process '{name}' failed with an error that does not unpickle here ({error})"
            raise ExecutionError(_WHERE, found, _BUG) from error
        if words:
            raise _failure(name, *words)

    def _raise_if_late(self, now: float, moved: float, deadline: float | None) -> None:
        if deadline is not None and now > deadline:
            raise ExecutionError(_WHERE, "the timeout is over", "Give a longer timeout, or fewer steps")
        if now - moved > STALL_SECONDS:
            raise ExecutionError(_WHERE, f"no step ended for {STALL_SECONDS:g} s", "Compile the graph again")


def _joined(actor: Any) -> None:
    """Waits for the end of a killed process; its last words, which may not even unpickle here, are not read."""
    Process.join(actor)
    if actor.exitcode is None:  # a second Ctrl-C came between the kernel's word that it has ended and the note of it
        actor._popen.returncode = -signal.SIGKILL
    Process.close(actor)
    actor._cconn.close()
    actor._pconn.close()
    actor._is_done = True


def _failure(name: str, error: BaseException, trace: str) -> ExecutionError:
    """The process's error in its own words; its traceback is the cause."""
    found = ExecutionError(_WHERE, f"process '{name}' failed: {type(error).__name__}: {error}", _BUG)
    found.__cause__ = RuntimeError(trace)
    return found


def _stop_all() -> None:
    for runtime in list(_LIVE):
        runtime.stop()


def _disown() -> None:
    """In a fork: multiprocessing would wait for the parent's processes, or end them, when the fork exits.

    A fork by multiprocessing itself forgets its parent's children in the same way.
    """
    if _LIVE:
        _LIVE.clear()
        multiprocessing.process._children.clear()  # type: ignore[attr-defined]


os.register_at_fork(after_in_child=_disown)
# Registered after multiprocessing's own exit handler, which waits for all children, so it runs before that one.
atexit.register(_stop_all)
