"""Programs that are told things on stdin and say on stdout, as JSON lines, what happens to them."""

import json
import os
import signal
import subprocess
import threading
import time

# Nothing here takes that long; a case that fails does not wait longer.
PATIENCE = 20.0


class Unmet(Exception):
    """Something that should have happened did not."""


class Program:
    """A running program, with what it said and nobody has taken yet."""

    def __init__(self, name, argv, env, log, cwd=None):
        self.name = name
        self.log = log
        self._heard = []
        self._all = []
        self._over = False
        self._news = threading.Condition()
        with open(log, "wb") as stderr:
            self._child = subprocess.Popen(
                argv, env={**os.environ, **env}, cwd=cwd, encoding="utf-8", errors="replace",
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr,
            )
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        for line in self._child.stdout:
            try:
                event = json.loads(line)
            except ValueError:
                # Some servers log on stdout.
                continue
            with self._news:
                self._heard.append(event)
                self._all.append(event)
                self._news.notify_all()
        with self._news:
            self._over = True
            self._news.notify_all()

    def tell(self, **command):
        """Says something to the program."""
        self._child.stdin.write(json.dumps(command) + "\n")
        self._child.stdin.flush()

    def no_more(self):
        """Ends the program's stdin."""
        self._child.stdin.close()

    def forget(self):
        """What was said until now concerns nobody any more."""
        with self._news:
            self._heard.clear()
            self._all.clear()

    def until(self, event, **members):
        """Takes the first event of that name with those members, now or once it is there."""
        deadline = time.monotonic() + PATIENCE
        wanted = {"event": event, **members}
        with self._news:
            while True:
                for heard in self._heard:
                    if wanted.items() <= heard.items():
                        self._heard.remove(heard)
                        return heard
                rest = deadline - time.monotonic()
                if rest <= 0 or self._over:
                    raise Unmet(f"{self.name} did not say {wanted}; it said {self._all}")
                self._news.wait(rest)

    def never(self, event, **members):
        """Checks that nothing of that kind was said and not taken."""
        wanted = {"event": event, **members}
        with self._news:
            found = [heard for heard in self._heard if wanted.items() <= heard.items()]
        if found:
            raise Unmet(f"{self.name} said {found}")

    def ended(self):
        """The exit code, once the program is over."""
        try:
            return self._child.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise Unmet(f"{self.name} does not end; it said {self._all}") from None

    def stop_reading(self):
        """Freezes the program: what it is sent stays in its socket."""
        self._child.send_signal(signal.SIGSTOP)
        os.waitpid(self._child.pid, os.WUNTRACED)

    def read_on(self):
        self._child.send_signal(signal.SIGCONT)

    def terminate(self):
        self._child.terminate()

    def kill(self):
        """Ends the program, whatever it does."""
        if self._child.poll() is None:
            self._child.kill()
            self._child.wait()

    def traced(self, text):
        """Waits until the program's stderr has `text`."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.stderr():
            if time.monotonic() > deadline:
                raise Unmet(f"{self.name}'s stderr has no {text!r}")
            time.sleep(0.01)

    def stderr(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()


def equal(what, found, expected):
    """Checks a value."""
    if found != expected:
        raise Unmet(f"{what} is {found!r} and should be {expected!r}")
