"""One run of `gitorch.runs()`: its values, its outputs and the series of its metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from gitorch.actions.outputs import open_output
from gitorch.actions.records import find_record
from gitorch.errors import NotFound
from gitorch.model.run.record import Output
from gitorch.storage.site import Site


class FoundRun(dict[str, Any]):
    """A run as in `gitorch list --json`: a dictionary, with more that is read when it is used."""

    def __init__(self, values: Mapping[str, Any], path: Path) -> None:
        super().__init__(values)
        self.path = path  # in the repository of the run

    def __reduce__(self) -> tuple[Any, ...]:
        return FoundRun, (dict(self), self.path)

    @property
    def outputs(self) -> RunOutputs:
        """The files that the run has left, by their paths.

        run.outputs["model.json"].read_bytes()
        """
        return RunOutputs(Site.at(self.path), self["id"])


class RunOutputs(Mapping[str, "OutputFile"]):
    """The outputs of a run by path, as `gitorch show` has it."""

    def __init__(self, site: Site, run_id: str) -> None:
        """Read the record. Raises NotFound if the run is gone."""
        self._site = site
        self._run_id = run_id
        record = find_record(site, run_id)
        self._outputs = {output.path: output for output in record.outputs}

    def __getitem__(self, path: str) -> OutputFile:
        output = self._outputs.get(path)
        if output is None:
            # The path may lack its beginning, or be that of a file that a task is writing.
            try:
                open_output(self._site, self._run_id, path).close()
            except NotFound as error:
                raise KeyError(str(error)) from None
        return OutputFile(self._site, self._run_id, path, output)

    def __iter__(self) -> Iterator[str]:
        return iter(self._outputs)

    def __len__(self) -> int:
        return len(self._outputs)

    def __repr__(self) -> str:
        return f"<outputs of {self._run_id}: {list(self)}>"

    def _ipython_key_completions_(self) -> list[str]:
        return list(self)


class OutputFile:
    """An output of a run. Its methods are those of `pathlib.Path`, for reading.

    They raise NotFound if a large file is not in this clone, and Refused for a symbolic link.
    """

    def __init__(
        self, site: Site, run_id: str, path: str, output: Output | None
    ) -> None:
        self._site = site
        self._run_id = run_id
        self._output = output
        self.path = path

    @property
    def size(self) -> int | None:
        """The number of bytes, None if the file is not recorded yet."""
        return self._output.size if self._output else None

    @property
    def sha256(self) -> str | None:
        return self._output.sha256 if self._output else None

    def open(self) -> BinaryIO:
        """Open the file for reading bytes."""
        return open_output(self._site, self._run_id, self.path)

    def read_bytes(self) -> bytes:
        with open_output(self._site, self._run_id, self.path) as file:
            return file.read()

    def read_text(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        with open_output(self._site, self._run_id, self.path) as file:
            return file.read().decode(encoding, errors)

    def __repr__(self) -> str:
        return f"<output {self.path!r} of {self._run_id}>"
