"""How ``pytest --dist loadgroup`` hands tests to its workers."""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

from tests.grouping import LAVA_WORKER, place_in_order, unit_of


class GroupScheduling(LoadScopeScheduling):
    """Units of tests, those that take longest first.

    The worker named in ``tests/grouping.py`` has collected the tests of Lava alone and runs all of them; where there is
    none, any other does.
    """

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)

    def schedule(self) -> None:
        """Makes the units when all workers have collected; called again, looks who needs more."""
        if self.collection is None:
            collections = self.registered_collections.items()
            whole = [found for node, found in collections if not _is_of_lava(node) or len(collections) == 1]
            if any(found != whole[0] for found in whole):
                super().schedule()  # tells the differences
                return
            self.collection = whole[0]
            units: dict[str, dict[str, bool]] = {}
            for nodeid in sorted(self.collection, key=place_in_order):
                units.setdefault(unit_of(nodeid), {})[nodeid] = False
            self.workqueue.update(units)
            for node in self.nodes:
                self._assign_work_unit(node)
        for node in self.nodes:
            self._reschedule(node)

    def remove_node(self, node: WorkerController) -> str | None:
        """The test that a worker died in, which is not run again; the others that were its go to other workers.

        Units that it had done stay out: a worker that gets one has nothing to report, and would never be asked again.
        """
        work = self.assigned_work.pop(node)
        left = [(unit, nodeid) for unit, tests in work.items() for nodeid, done in tests.items() if not done]
        if not left:
            return None
        unit, died = left[0]
        work[unit][died] = True
        self.workqueue.update({unit: tests for unit, tests in work.items() if not all(tests.values())})
        for other in self.nodes:
            self._reschedule(other)
        return died

    def _assign_work_unit(self, node: WorkerController) -> None:
        alone = any(map(_is_of_lava, self.nodes))
        for unit in self.workqueue:
            if not alone or _is_of_lava(node) == (unit == "lava"):
                self.workqueue.move_to_end(unit, last=False)
                super()._assign_work_unit(node)
                return
        node.shutdown()


def _is_of_lava(node: WorkerController) -> bool:
    return str(node.gateway.id) == LAVA_WORKER
