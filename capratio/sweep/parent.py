"""The tie of a measuring process to the sweep that started it."""

import ctypes
import os
import signal

from capratio.watched_process import PARENT

# From Linux's prctl.h: the signal that a process gets when its parent dies.
PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Let the kernel kill this process when its parent dies: one that went on would disturb what is measured next.

    The parent is named by ``CAPRATIO_PARENT`` in the environment; it may be gone already.
    """
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(os.environ[PARENT]):
        os.kill(os.getpid(), signal.SIGKILL)
