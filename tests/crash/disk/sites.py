"""Every place in the program that syncs a file or a folder, and what shows that it is needed.

``tests/tidy/test_syncs.py`` holds the list to the program, so that no sync is added without a proof.
"""

from __future__ import annotations

CUT_LABELS = {
    "lmdb": "cutting",
    "files.replace_file": "cutting",
    "files.sync_folder<files.replace_file": "cutting",
    "log.RedoLog._run": "cutting",
    "files.sync_folder<log.RedoLog._activate": "cutting",
    "segment.make_ready": "cutting",
    "files.sync_folder<segment.make_ready": "cutting",
    "frames.Writer.finish": "cutting",
    "files.sync_folder<blobs.FolderSyncs._sync": "cutting",
    "files.sync_folder<recover.open_directory": "cutting",
    "files.sync_folder<rows.drop_sums": "cutting",
    "files.sync_folder<rows.make_rows": "cutting",
    "files.sync_folder<files.make_folder<archiver.set_up": "cutting",
    "files.sync_folder<files.make_folder<archiver.carry": "cutting",
    "files.sync_folder<place.sync_folders<archiver.carry": "cutting",
    "files.sync_folder<archiver.carry": "cutting",
    "files.sync_folder<archiver.drop": "cutting",
    "place.place": "keeping",
    "dump.DumpWriter.finish": "keeping",
    "manifest.Writing.finish": "keeping",
    "files.sync_folder<manifest.Writing.finish": "keeping",
    "files.sync_folder<files.make_folder<backup.back_up": "keeping",
    "files.sync_folder<place.sync_folders<backup._Writer.finish": "keeping",
    "files.sync_folder<restore.begin_store": "keeping",
    "files.sync_folder<place.sync_folders<restore.restore_store": "keeping",
    "files.sync_folder<place.sync_folders<restore._copy_blobs": "keeping",
    "files.sync_folder<place.sync_folders<restore.copy_data_files": "keeping",
    "files.sync_folder<place.sync_folders<rollforward._copy_blobs": "keeping",
    "segment.lay_groups": "keeping",
    "files.sync_folder<retention._remove_before": "keeping",
    "datadir._sync_folder<datadir.make_data_dir": "keeping",
}
"""What ``test_power_cut.py`` sees lost without the syncs of a place, and in which load. A place is a
function, and for a function that syncs for others also who called it."""

_CUT = "tests/crash/test_power_cut.py::"
_SYNCS = "tests/engines/embedded/test_syncs.py::"
ELSEWHERE = {
    "archiver.set_up:sync_folder": f"{_SYNCS}test_a_spool_that_is_given_up_is_gone_as_a_whole",
    "frames.Writer._note_frame:fdatasync": (
        f"{_SYNCS}test_a_writer_of_a_large_blob_waits_for_the_disk_on_its_way"
    ),
    "joint.write_joint:sync_folder": (
        f"{_SYNCS}test_a_joint_backup_has_a_durable_folder_before_its_manifest"
    ),
    "retention.keep_newest:sync_folder": (
        f"{_SYNCS}test_a_joint_backup_is_none_any_more_before_a_member_goes"
    ),
    "rows.make_rows:sync": f"{_CUT}test_a_first_start_that_is_cut_short_can_be_made_again",
    "backups._make_folders:make_folder": (
        f"{_SYNCS}test_a_joint_backup_has_a_durable_folder_before_its_manifest"
    ),
    "datadir.write_durably:fsync": (
        "tests/unit/server/test_datadir.py::"
        "test_a_file_is_on_disk_before_it_has_its_name_and_its_name_when_the_call_returns"
    ),
    "datadir.write_durably:_sync_folder": (
        "tests/unit/server/test_datadir.py::"
        "test_a_file_is_on_disk_before_it_has_its_name_and_its_name_when_the_call_returns"
    ),
    "domains._bring:sync_folders": (
        "tests/unit/server/test_domains.py::"
        "test_the_file_of_a_blob_is_durable_before_the_domain_refers_to_it"
    ),
    "keys.make_root_key:sync_folder": (
        "tests/unit/server/test_keys.py::test_a_root_key_is_durable_under_its_name"
    ),
}
"""The places that no load of a power cut gets to, or cannot tell apart, and their own tests."""
