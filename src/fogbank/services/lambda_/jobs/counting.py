"""What is counted of the records of an event source mapping whose ``MetricsConfig`` asks for it.

Rule: a record counts as polled once, however often its batch is read again while it fills or is tried
again; what was counted is kept in memory, so that a start of the server may count a batch twice.

Source: Developer Guide, "Types of metrics for Lambda functions", "Event source mapping metrics"
(``EventCount``), dimension ``EventSourceMappingUUID``.
"""

from __future__ import annotations

from fogbank.contract.job import Memory
from fogbank.platform.metering.metrics import Metrics, Series
from fogbank.platform.store.engine import Domain
from fogbank.services.lambda_ import metrics
from fogbank.services.lambda_.rules.lanes import Gathering
from fogbank.services.lambda_.schema import MappingRecord


class Counter:
    """Counts what one lane reads.

    Args:
        noted: Where metrics are noted.
        domain: The mapping's.
        memory: Of the lane's reader.
    """

    def __init__(self, noted: Metrics, domain: Domain, memory: Memory) -> None:
        self._noted = noted
        self._domain = domain
        self._memory = memory

    @property
    def counted_to(self) -> int:
        """Return the sequence number of the last record that was counted as polled; 0: none was."""
        number: int = self._memory.get("counted", 0)
        return number

    def polled(self, mapping: MappingRecord, gathered: Gathering) -> None:
        """Count what was read of a shard, once it is dealt with."""
        self.count(mapping, metrics.POLLED, gathered.polled)
        self.count(mapping, metrics.FILTERED_OUT, gathered.filtered)
        self._memory["counted"] = max(self.counted_to, int(gathered.position or 0))

    def count(self, mapping: MappingRecord, name: str, number: int) -> None:
        """Count some records, if the mapping asks for that."""
        if mapping.counted and number:
            series = Series(metrics.NAMESPACE, ((metrics.MAPPING, mapping.id),))
            self._noted.board(self._domain, series).note(name, number)
