"""Runs the harness's bench.py (its folder comes first) and lets the disk rest before the source's changes are followed.

Removing files is part of that pass, and where the file system discards what it frees (mount option discard), a discard of
blocks that were written a few seconds before was seen to wait 3 ms, and later 0.1 ms. The faster a tool, the younger its files.
"""

import os
import sys
import time

REST = 45  # seconds

sys.path.insert(0, sys.argv.pop(1))
import bench  # noqa: E402

use_source = bench.use_source


def rested(path):
    if path.endswith("/B"):
        os.sync()
        time.sleep(REST)
    use_source(path)


bench.use_source = rested
bench.main()
