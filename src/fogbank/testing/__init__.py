"""A cloud in a fixture: for our users' tests and for ours."""

from __future__ import annotations
