"""Worker processes that are copies of their parent."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CODE = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
import deepcore.common.pools as pools

def seen(value):
    return os.getppid(), getattr(pools, "mark", None), value

pools.mark = "set before the workers were started"
pool = pools.LokyPool(2, forked=True)
handle = pool.share("shared")
print(json.dumps([os.getpid(), *(pool.submit(seen, handle).result() for _ in range(3))]))
pool.close()
"""


def test_forked_workers_are_copies_of_their_parent():
    command = [sys.executable, "-c", CODE, str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    parent, *seen = json.loads(done.stdout)
    assert seen == [[parent, "set before the workers were started", "shared"]] * 3
