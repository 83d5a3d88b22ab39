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
