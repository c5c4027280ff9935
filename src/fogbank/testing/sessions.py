"""boto3 sessions that read each model once for a whole test run.

A model of botocore's is megabytes of JSON, and every new session reads its own: a client costs
fifty milliseconds or more, where a request costs one. What a loader has read is the same for all,
and botocore never writes to it.
"""
# boto3 and botocore have no types:
# pyright: basic

from __future__ import annotations

from functools import cache
from typing import Any

import boto3.session
import botocore.loaders
import botocore.session

from fogbank.wire.published import EXTENSIONS


@cache
def shared_loader(data_path: str | None = None) -> Any:
    """Return the loader of all sessions that look for models in the same folders.

    Args:
        data_path: What the configuration adds to botocore's own folder, as ``create_loader`` has it.
    """
    return botocore.loaders.create_loader(data_path)


def new_session() -> Any:
    """Return a boto3 session that shares what others have read of the models."""
    inner: Any = botocore.session.get_session()
    loader = shared_loader(inner.get_config_variable("data_path"))
    folders = [*loader.search_paths, str(EXTENSIONS)]
    inner.register_component("data_loader", loader)
    session = boto3.session.Session(botocore_session=inner)
    # Every boto3 session adds boto3's own folder, which needs to be there once.
    loader._search_paths[:] = dict.fromkeys([*folders, *loader.search_paths])  # noqa: SLF001 (no setter)
    return session
