"""Background work of Application Auto Scaling."""

from __future__ import annotations

from typing import Final

from fogbank.services.application_autoscaling.jobs.orders import (
    carry_out,
    forget_activity,
    take_effect,
)
from fogbank.services.application_autoscaling.jobs.watching import watch

JOBS: Final = (forget_activity, take_effect, carry_out, watch)
