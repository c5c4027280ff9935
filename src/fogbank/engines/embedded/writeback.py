"""Has the kernel begin to write what was written into a file, and waits for nothing.

Theory: unless it is told, the kernel begins to write pages seconds later, or at the sync, which then
waits for all of them. Told while more bytes are on their way, it writes beside them, and the sync
waits for little. It is no sync: nothing is durable by it, and what it says is of no interest, for the
sync says whether all is there.

Source: Linux, sync_file_range(2), on SYNC_FILE_RANGE_WRITE.
"""

from __future__ import annotations

import ctypes
from typing import Final

WRITE_BACK_BYTES: Final = 4 << 20
"""So much is begun at once: less costs more calls, more is waited for at the sync."""
_SYNC_FILE_RANGE_WRITE: Final = 2
_sync_file_range: Final = ctypes.CDLL(None).sync_file_range
_sync_file_range.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]


def begin_write_back(fd: int, begin: int, end: int) -> None:
    """Have the kernel begin to write a range of a file."""
    _sync_file_range(fd, begin, end - begin, _SYNC_FILE_RANGE_WRITE)
