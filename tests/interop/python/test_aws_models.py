"""The extracts of AWS's models are as the pinned botocore has them."""

import subprocess
import sys

from conftest import ROOT


def test_extracts_are_botocores():
    script = ROOT / "tests" / "aws-models" / "extract.py"
    subprocess.run([sys.executable, script, "--check"], check=True)
