"""The search for the files that a run has written. It reads and stores each file once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from gitorch.git.store import artifacts
from gitorch.git.store.artifacts import Stored, Unkeepable
from gitorch.git.store.spool import Spool
from gitorch.model.run.record import Discarded, Output
from gitorch.model.run.spec import RunSpec, TaskSpec
from gitorch.model.text.globs import first_match
from gitorch.model.workspace import RunDirectory
from gitorch.storage.output_files import (
    DEEPEST,
    WORKTREE,
    files_of_output,
    files_of_worktree,
    is_of_worktree,
    is_taken,
    is_volatile,
)
from gitorch.storage.output_memory import (
    Fingerprint,
    KeptFile,
    LeftOutFile,
    OutputMemory,
    fingerprint_of,
    load_memory,
    save_memory,
    unread,
)
from gitorch.storage.records import read_record
from gitorch.storage.site import Site
from gitorch.storage.unkept import TooDeep, UnkeptNotes
from gitorch.tools.files import is_replaced
from gitorch.tools.untrusted import PlainFiles


class FoundOutputs(Struct, frozen=True, kw_only=True):
    """The outputs of a run so far, and the content of those that are new or changed, by name.

    `notes` says what could not be stored, and why. `failure` says it if the run's outputs are too
    large or too deep to be stored. `discarded` sums up the files that the task itself wrote and
    that its `discard` left out.
    """

    outputs: tuple[Output, ...]
    new: Mapping[str, Stored]
    notes: tuple[str, ...]
    failure: str | None = None
    discarded: tuple[Discarded, ...] = ()


def find(
    site: Site,
    run: RunDirectory,
    spec: RunSpec,
    task: TaskSpec,
    spool: Spool | None = None,
) -> FoundOutputs:
    """Find the run's outputs after an attempt of `task`, and store those that are new or changed.

    With a `spool`, the small ones need no memory until they are committed.
    If a part of the workspace is missing, because the repository was moved without it or a worktree
    could not be made, the recorded outputs of that part are returned unchanged.
    """
    search = _Search(site, run, spec, task, spool)
    search.examine_all()
    search.keep_untaken()
    search.save()
    return FoundOutputs(
        outputs=(*search.outputs, *_outputs_of_missing_parts(site, run)),
        new=search.new,
        notes=search.notes.shown(),
        failure=search.notes.failure,
        discarded=_discarded(search.memory, task),
    )


def forget(site: Site, run: RunDirectory) -> None:
    """Make the next search read all files again.

    This is needed if the outputs that were found last may never have been committed.
    An output that is unchanged stays attributed to the task that first recorded it.
    """
    kept = unread(recorded_outputs(site, run))
    save_memory(run, OutputMemory(kept, load_memory(run).left_out))


def recorded_outputs(site: Site, run: RunDirectory) -> Sequence[Output]:
    """Return the outputs that the run has on the results branch."""
    record = read_record(site.results, run.path.name)
    return () if record is None else record.outputs


class _Search:
    """One search for a run's outputs. `memory` is what the next search will remember."""

    def __init__(
        self,
        site: Site,
        run: RunDirectory,
        spec: RunSpec,
        task: TaskSpec,
        spool: Spool | None,
    ) -> None:
        self._site = site
        self._run = run
        self._spec = spec
        self._task = task
        self._spool = spool
        self._before = load_memory(run)
        self._writers = _discarding_writers(spec, task)
        self._volatile: list[str] = []
        for writer in (task, *spec.beside(task)):
            self._volatile += writer.volatile
        self.memory = OutputMemory({}, {})
        self.outputs: list[Output] = []
        self.new: dict[str, Stored] = {}
        self.notes = UnkeptNotes()
        self._plain = PlainFiles(run.path.parent)

    def examine_all(self) -> None:
        """Examine the output directory, and the files of the worktree that `outputs:` takes."""
        with closing(self._plain):
            for name, path in self._files().items():
                try:
                    self._examine(name, path)
                except (OSError, Unkeepable) as error:
                    self.notes.add(name, error)

    def keep_untaken(self) -> None:
        """Keep the outputs that other tasks took from the worktree, even if files are gone.

        If the worktree is missing, these outputs are found in the record instead.
        """
        if not self._run.tree.exists():
            return
        for name, file in self._before.kept.items():
            if is_of_worktree(name) and not is_taken(name, self._task.outputs):
                self._keep(name, file)

    def save(self) -> None:
        if not (self.memory.is_empty and self._before.is_empty):
            save_memory(self._run, self.memory)

    def _files(self) -> dict[str, Path]:
        """Return the files by name. If two have the same name, the file of the worktree is kept."""
        files: dict[str, Path] = {}
        if is_replaced(self._run.output):
            self.notes.add_text(
                "the output directory was replaced by a link or a file: nothing of it is kept"
            )
        else:
            files.update(files_of_output(self._run))
        for name, path in files_of_worktree(
            self._run, self._task.outputs, self._spec.link
        ):
            if name in files:
                other = name.removeprefix(WORKTREE)
                self.notes.add_text(
                    f"{name} of the output directory is not kept: "
                    f"{other} of the worktree has its name"
                )
            files[name] = path
        return files

    def _examine(self, name: str, path: Path) -> None:
        """Keep a file or leave it out. Only a file that is new or changed is read.

        Raises OSError, Unkeepable.
        """
        if name.count("/") >= DEEPEST:
            raise TooDeep(f"it is more than {DEEPEST} directories deep")
        fingerprint = fingerprint_of(path)
        file = self._before.kept.get(name)
        if file is not None and file.fingerprint == fingerprint:
            self._keep(name, file)
            return
        left_out = self._left_out(name, fingerprint)
        if left_out is not None:
            self.memory.left_out[name] = left_out
            return
        stored = artifacts.store(
            self._site.repository,
            path,
            large=self._site.settings.large_file_bytes,
            spool=self._spool,
            files=self._plain,
        )
        self.new[name] = stored
        output = _output(
            name, stored, self._task.id, is_volatile(name, self._volatile)
        )
        if file is not None:
            as_own = replace(
                file.output, task=self._task.id, volatile=output.volatile
            )
            if as_own == output:
                output = (
                    file.output
                )  # unchanged, so it stays attributed to its first writer
        self._keep(name, KeptFile(fingerprint, output))

    def _keep(self, name: str, file: KeptFile) -> None:
        self.memory.kept[name] = file
        self.outputs.append(file.output)

    def _left_out(self, name: str, fingerprint: Fingerprint) -> LeftOutFile | None:
        """Return why a file that is new or changed is left out, or None if the file is kept.

        A file that was left out before is left out again until it changes.
        """
        before = self._before.left_out.get(name)
        if before is not None and before.fingerprint == fingerprint:
            return before
        file = self._before.kept.get(name)
        if is_of_worktree(name):
            return None
        if file is not None and file.may_have(fingerprint):
            return None
        for writer in self._writers:
            glob = first_match(name, writer.discard)
            if glob is not None:
                return LeftOutFile(fingerprint, glob, writer.id)
        return None


def _discarding_writers(spec: RunSpec, task: TaskSpec) -> list[TaskSpec]:
    """Return the tasks with `discard` that may have written a new file.

    These are the task itself and the tasks that may run beside it.
    """
    return [writer for writer in (task, *spec.beside(task)) if writer.discard]


def _output(name: str, stored: Stored, task_id: str, volatile: bool) -> Output:
    return Output(
        path=name,
        size=stored.size,
        sha256=stored.sha256,
        stored=stored.kind,
        task=task_id,
        octal_mode=f"{stored.mode:o}",
        volatile=volatile,
    )


def _discarded(memory: OutputMemory, task: TaskSpec) -> tuple[Discarded, ...]:
    """Sum up the files that the task wrote and that are left out, by glob."""
    sizes_by_glob: dict[str, list[int]] = {}
    for file in memory.left_out.values():
        if file.task == task.id:
            sizes_by_glob.setdefault(file.glob, []).append(file.size)
    return tuple(
        Discarded(glob=glob, files=len(sizes), size=sum(sizes), task=task.id)
        for glob, sizes in sizes_by_glob.items()
    )


def _outputs_of_missing_parts(site: Site, run: RunDirectory) -> list[Output]:
    """Return the recorded outputs of the output directory or the worktree, if that is missing."""
    has_output, has_tree = run.output.exists(), run.tree.exists()
    if has_output and has_tree:
        return []
    outputs = []
    for output in recorded_outputs(site, run):
        is_present = has_tree if is_of_worktree(output.path) else has_output
        if not is_present:
            outputs.append(output)
    return outputs
