"""How long this process has compiled kernels, by whichever compiler."""


class CompileClock:
    """Seconds spent compiling; each compiler adds its own."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def add(self, seconds: float) -> None:
        """Count a kernel that was compiled."""
        self.seconds += seconds


COMPILE_CLOCK = CompileClock()
