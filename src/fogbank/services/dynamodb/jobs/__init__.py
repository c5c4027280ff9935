"""Background work of DynamoDB."""

from __future__ import annotations

from typing import Final

from fogbank.services.dynamodb.jobs.backups import (
    copy_backup,
    expire_backup,
    fill_table,
    take_back_cut,
)
from fogbank.services.dynamodb.jobs.bulks import forget_bulk, put_items
from fogbank.services.dynamodb.jobs.consumption import record_consumption
from fogbank.services.dynamodb.jobs.exports import export_table, forget_export
from fogbank.services.dynamodb.jobs.histories import trim_history
from fogbank.services.dynamodb.jobs.imports import forget_import, import_table
from fogbank.services.dynamodb.jobs.keys import retire_grant, seal_items, try_key
from fogbank.services.dynamodb.jobs.moments import release_moment
from fogbank.services.dynamodb.jobs.replication import (
    change_group,
    fetch_item,
    forget_versions,
    replicate,
    sweep_tombstones,
)
from fogbank.services.dynamodb.jobs.strong import keep_strong
from fogbank.services.dynamodb.jobs.tables import (
    change_index,
    count_items,
    delete_expired_items,
    keep_stream,
    remove_items,
    walk_items,
)

JOBS: Final = (
    remove_items,
    try_key,
    seal_items,
    retire_grant,
    change_index,
    count_items,
    keep_stream,
    trim_history,
    release_moment,
    copy_backup,
    fill_table,
    expire_backup,
    take_back_cut,
    walk_items,
    delete_expired_items,
    import_table,
    forget_import,
    replicate,
    fetch_item,
    change_group,
    forget_versions,
    sweep_tombstones,
    record_consumption,
    keep_strong,
    export_table,
    forget_export,
    put_items,
    forget_bulk,
)
