"""What an error says of itself, above all that of a full disk."""

from __future__ import annotations

import errno
import os

import pytest

from mlcvbench.errors import PredictionError, StoreError
from mlcvbench.storage.durable import message_of

ADVICE = "free some space, then the same command resumes."


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("  wrong "), "wrong"),
        (ValueError(), "no message"),
        (PermissionError(errno.EACCES, "Permission denied", "a"), "[Errno 13] Permission denied: 'a'"),
        (OSError(errno.ENOSPC, "anything"), f"no space left on device; {ADVICE}"),
        (OSError(errno.ENOSPC, "anything", "/x/.tmp-1/plots/a.png"), f"no space left on device for a.png; {ADVICE}"),
        (OSError(errno.EDQUOT, "anything", 3), f"{os.strerror(errno.EDQUOT).lower()}; {ADVICE}"),
        (RuntimeError("I/O error: No space left on device (os error 28)."),
         f"I/O error: No space left on device (os error 28); {ADVICE}"),
        (StoreError("cannot write 'c': No space left on device. Free some space or choose another folder."),
         "cannot write 'c': No space left on device. Free some space or choose another folder."),
        (PredictionError("field 'scores': wanted float32."), "field 'scores': wanted float32."),
    ],
)  # fmt: skip
def test_an_error_is_one_sentence_and_that_of_a_full_disk_says_how_to_go_on(error: BaseException, said: str):
    assert message_of(error) == said
