"""The timed stages of a call: the whole call, which boards show, and its parts."""

from __future__ import annotations

HEADLINE = "end_to_end"
PARTS = ("preprocess", "forward", "postprocess")
STAGES = (HEADLINE, *PARTS)
