"""The log of an attempt that runs, shown without secrets. The file itself stays as it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import BinaryIO, Self

from gitorch.database.values import Running
from gitorch.model.run.record import Record
from gitorch.model.text.masking import MaskedStream, Masking
from gitorch.model.text.secret_values import secret_texts
from gitorch.storage.liveness import WorkerFiles
from gitorch.storage.site import Site
from gitorch.storage.worker_secrets import kept_secrets
from gitorch.tools.process import environment_of
from gitorch.tools.untrusted import blocks, open_file

_CHUNK = 1 << 16  # bytes


class LiveLog:
    """An open log. It can be read after its directory was removed."""

    def __init__(self, file: BinaryIO, masking: Masking) -> None:
        self.file = file
        self._stream = MaskedStream(masking)

    @classmethod
    def open(
        cls, site: Site, run_id: str, task_id: str, number: int, masking: Masking
    ) -> Self:
        """Open the log of an attempt. Raises OSError."""
        attempt = site.directory(run_id).attempt(task_id, number)
        return cls(open_file(attempt.log, below=attempt.workspace), masking)

    def close(self) -> None:
        self.file.close()

    def new(self) -> Iterator[bytes]:
        """Yield what was written since the last call, block by block."""
        for data in blocks(self.file, _CHUNK):
            yield self._stream.shown(data)

    def rest(self) -> bytes:
        """Return the end of the log that was held back since it may have begun a secret."""
        return self._stream.rest()


def live_masking(
    site: Site, record: Record, environment: Mapping[str, str]
) -> Masking:
    """Return what masks the secrets in the live logs of a run.

    These are the secrets of the caller, of the config, and of the workers that execute the tasks,
    also of those that have died.
    """
    environments = [environment, record.spec.env]
    secrets = secret_texts(record.spec.values)
    queued = site.queue.run(record.id) if site.queue_path.exists() else None
    if queued is not None:
        workers = {worker.id: worker for worker in site.queue.workers()}
        for task in queued.tasks:
            if isinstance(task.state, Running) and task.state.worker in workers:
                worker = workers[task.state.worker]
                environments.append(environment_of(worker.pid))
                secrets += kept_secrets(WorkerFiles.of(site.state, worker.id))
    return Masking(*environments, globs=site.settings.secret, secrets=secrets)
