"""Installs the packages of package-lock.json beside the stamp, so that the source tree stays clean.

Usage: install_packages.py NPM STAMP package.json package-lock.json
Only what the bundle needs is installed, and no package runs a script.
"""

import pathlib
import shutil
import subprocess
import sys

npm, stamp, *files = sys.argv[1:]
folder = pathlib.Path(stamp).resolve().parent
for file in files:
    shutil.copy(file, folder)
options = ["--omit=dev", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund"]
subprocess.run([npm, "ci", *options], cwd=folder, check=True)
pathlib.Path(stamp).write_text("")
