"""The README of a package of task classes, as its reader uses it."""

import re
import shlex


class Readme:
    """The README of the task classes."""

    def __init__(self, text, changes):
        for old, new in changes.items():
            assert old in text, f"{old} is not in the README"
            text = text.replace(old, new)
        self._text = text

    def write_files(self, directory):
        for name, code in self._python:
            if name:
                (directory / name).write_text(code)

    @property
    def examples(self):
        """The Python code that is not of a file."""
        return [code for name, code in self._python if not name]

    @property
    def _python(self):
        """Pairs of a file's name, or nothing, and code."""
        return re.findall(r"(?:`(\w+\.py)`:\n\n)?```python\n(.*?)```", self._text, re.S)

    @property
    def lines(self):
        """The words of each line of its shell commands."""
        blocks = re.findall(r"```sh\n(.*?)```", self._text, re.S)
        return [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]

    def runs(self):
        return [words for words in self.lines if words[0] in ("pyflyte", "flyte")]

    def settings(self):
        return dict(assigned.split("=", 1) for words in self.lines if words[0] == "export" for assigned in words[1:])
