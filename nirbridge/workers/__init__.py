"""One engine for long work on many pieces: in this process, on all cores, or on a Dask cluster."""

from nirbridge.workers.choosing import LOCAL, all_cores, check_cluster, crew
from nirbridge.workers.interface import Crew

__all__ = ["LOCAL", "Crew", "all_cores", "check_cluster", "crew"]
