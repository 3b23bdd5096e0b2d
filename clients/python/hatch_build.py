"""Puts the programs that `outrigger` starts into the wheel, if the environment says where they are."""

import os
import pathlib

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PROGRAMS = ("bridge", "outrigger")


class Programs(BuildHookInterface):
    def initialize(self, version, build_data):
        directory = os.environ.get("OUTRIGGER_PROGRAMS")
        if not directory or version == "editable":
            return
        for name in PROGRAMS:
            build_data["force_include"][str(pathlib.Path(directory, name))] = f"outrigger_plugin/bin/{name}"
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{os.environ['OUTRIGGER_PLATFORM']}"
