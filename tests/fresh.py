"""A Python process of its own in a tenth of the time: forked from a server that has what Lightning itself imports.

Neither Lightning nor this package is in the server, so the new process imports both for the first time.
"""

import atexit
import multiprocessing
import os
import runpy
import shutil
import socket
import sys
from pathlib import Path
from tempfile import mkdtemp

TESTS = Path(__file__).parent
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["torch._dynamo", "torchmetrics"])


class Python(SERVER.Process):
    """``python WORDS``, which starts at once: a script, or ``-m`` and a module, and its arguments.

    Args:
        words: The command line.
        folder: The working directory.
        paths: Folders to import from, before the tests and the repository.
        environment: Further variables.
    """

    def __init__(self, *words, folder=".", paths=(), environment=()):
        super().__init__()
        self.words, self.folder = [str(word) for word in words], str(folder)
        self.paths = [*map(str, paths), str(TESTS), str(TESTS.parent)]
        self.environment = {**os.environ, "PYTHONPATH": os.pathsep.join(self.paths), **dict(environment)}
        self.output = mkdtemp()
        self.start()
        atexit.register(self.kill)  # else a test that failed before ``finish`` would have it waited for

    def run(self):
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(os.path.join(self.output, name), os.O_WRONLY | os.O_CREAT), number)
        os.environ.clear()
        os.environ.update(self.environment)
        os.chdir(self.folder)
        is_module = self.words[0] == "-m"
        sys.argv = self.words[1:] if is_module else self.words
        sys.path[:0] = [os.getcwd() if is_module else os.path.dirname(os.path.abspath(sys.argv[0])), *self.paths]
        try:
            if is_module:
                runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
            else:
                runpy.run_path(sys.argv[0], run_name="__main__")
        finally:
            atexit._run_exitfuncs()

    def finish(self, timeout=240):
        """Waits for the end, kills what is not over by then, and hands back status, output and errors."""
        self.join(timeout)
        self.kill()
        self.join()
        said = [Path(self.output, name).read_text() for name in ("out", "err")]
        shutil.rmtree(self.output)
        return self.exitcode, *said


def free_port():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return str(listening.getsockname()[1])


def launched(*words, nodes=1, ranks=2, **settings):
    """The same command line once a rank, as torchrun starts it; fails unless all of them end well.

    Returns:
        The outputs and errors of the ranks.
    """
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port(), "WORLD_SIZE": str(nodes * ranks)}
    shared |= {"LOCAL_WORLD_SIZE": str(ranks), "TORCHELASTIC_RUN_ID": "test"}
    places = [(node, rank) for node in range(nodes) for rank in range(ranks)]
    processes = [
        Python(
            *words,
            environment=shared | {"RANK": str(node * ranks + rank), "LOCAL_RANK": str(rank), "GROUP_RANK": str(node)},
            **settings,
        )
        for node, rank in places
    ]
    done = [process.finish() for process in processes]
    assert [status for status, *_ in done] == [0] * len(places), done
    return [out + err for _, out, err in done]
