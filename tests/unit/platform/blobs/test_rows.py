from __future__ import annotations

from fogbank.platform.blobs import rows
from fogbank.platform.blobs.port import BlobRef
from fogbank.platform.store.engine import Domain, Stamp
from fogbank.platform.store.keyspace import BLOB_DELETIONS, PARTITIONS, system_prefix

REFS = [BlobRef(1, 1), BlobRef(1, 2), BlobRef(1, 1 << 40), BlobRef(2, 1)]


def test_the_entries_of_files_lie_in_order_of_name() -> None:
    for partition in range(PARTITIONS):
        keys = [rows.file_key(partition, ref) for ref in REFS]
        assert keys == sorted(keys)
        assert [rows.ref_of_file_key(key) for key in keys] == REFS
        assert all(key.startswith(rows.files_prefix(partition)) for key in keys)


def test_check_tells_keys_about_blobs_from_others() -> None:
    file = rows.file_key(3, REFS[0])
    deletion = system_prefix(BLOB_DELETIONS, 3) + Stamp(1, 2, 3).pack()
    assert rows.file_key_is(file)
    assert not rows.deletion_key_is(file)
    assert rows.deletion_key_is(deletion)
    assert not rows.file_key_is(deletion)
    row = rows.ROWS.prefix(Domain("bucket"), 1, 1)
    assert not rows.file_key_is(row)
    assert not rows.deletion_key_is(row)
