"""A process that presses Ctrl-C in another one, when that has used so much time of the processor.

A timer of the interrupted process itself would do it late where threads work in short turns: such timers are charged by the tick
of the scheduler, and a turn between two ticks is not seen. This one reads the exact clock of the other process, as no lock of its
interpreter can keep it from doing.
"""

import os
import select
import signal
import subprocess
import sys
import time

LOOK = 0.005  # seconds between two looks at the clock


def clock_of(pid):
    """Seconds of the processor that a process has used, all its threads together (Linux)."""
    return time.clock_gettime((~pid << 3) | 2)  # as clock_getcpuclockid makes the number of that clock


class Interrupter:
    """The process, as the one that is to be interrupted sees it."""

    def __init__(self):
        self._process = subprocess.Popen(
            [sys.executable, "-S", __file__, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # a real Ctrl-C at the terminal is not its own
        )
        assert self._process.stdout.readline() == "ready\n"

    def after(self, seconds):
        """SIGINT comes when so much more time of the processor is used."""
        self._order(f"{seconds!r}\n")

    def sent(self):
        """What the clock stood at when the signal was sent, to be asked after the call; None if that was over before."""
        self._order("over\n")
        answer = self._process.stdout.readline()
        return None if answer == "not sent\n" else float(answer)

    def close(self):
        self._process.communicate(timeout=60)

    def _order(self, line):
        self._process.stdin.write(line)
        self._process.stdin.flush()


def obey(pid):
    """Take orders until there are none."""
    print("ready", flush=True)
    while order := sys.stdin.readline():
        due, sent = clock_of(pid) + float(order), "not sent"
        while not select.select([sys.stdin], [], [], LOOK)[0]:
            now = clock_of(pid)
            if sent == "not sent" and now >= due:
                sent = repr(now)
                os.kill(pid, signal.SIGINT)
        sys.stdin.readline()  # that the call is over
        print(sent, flush=True)


if __name__ == "__main__":
    obey(int(sys.argv[1]))
