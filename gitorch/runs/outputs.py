"""The files a run has written, hashed and stored: each read once, however many attempts look at it."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from gitorch.errors import GitorchError
from gitorch.git.store import artifacts
from gitorch.git.store.artifacts import Stored, Unkeepable
from gitorch.model.branch_layout import RunPaths
from gitorch.model.run.record import Discarded, Output, Record
from gitorch.model.run.spec import RunSpec, TaskSpec
from gitorch.model.text.globs import first_match
from gitorch.model.workspace import RunDirectory
from gitorch.runs.records import read_record
from gitorch.runs.site import Site
from gitorch.tools.faults import boundary
from gitorch.tools.files import delete, write_aside
from gitorch.tools.globbing import named
from gitorch.tools.locks import only_one_at

WORKTREE = "worktree/"  # what `outputs:` took from the worktree is kept under this name

Fingerprint = list[int]


class FoundOutputs(Struct, frozen=True, kw_only=True):
    """What the run has written so far; `new` holds the content of what was not found like this before.

    `discarded` is what the task itself wrote and its `discard` leaves out.
    """

    outputs: tuple[Output, ...]
    new: Mapping[str, Stored]
    notes: tuple[str, ...]
    discarded: tuple[Discarded, ...] = ()


def find(site: Site, run: RunDirectory, spec: RunSpec, task: TaskSpec) -> FoundOutputs:
    """Store what the run has written since it was last looked at. What cannot be kept is named in a note.

    What was kept of a part of the workspace that is no longer there, as of a repository that was moved without it or
    a worktree that could not be made, stays among the run's outputs.
    """
    before = _load(run)
    seen = _Memory({}, {})
    outputs: list[Output] = []
    new: dict[str, Stored] = {}
    notes: list[str] = []
    if replaced := _is_replaced(run.output):
        notes.append("the output directory was replaced by a link or a file: nothing of it is kept")
    leaves_out = _leaving_out(spec, task)
    files: dict[str, Path] = {}
    for name, path in _files(run, task.outputs, spec.link, but_output=replaced):
        if name in files:
            own = name.removeprefix(WORKTREE)
            notes.append(
                f"{name} of the output directory is not kept: {own} of the worktree has its name"
            )
        files[name] = path
    for name, path in files.items():
        try:
            fingerprint = _fingerprint(path)
            known = before.kept.get(name)
            if known is None or known.fingerprint != fingerprint:
                left_out = before.left_out.get(name)
                if left_out is None or left_out.fingerprint != fingerprint:
                    left_out = (
                        None
                        if known and known.may_be(fingerprint)
                        else leaves_out(name, fingerprint)
                    )
                if left_out:
                    seen.left_out[name] = left_out
                    continue
                new[name] = artifacts.store(
                    site.repository, path, large=site.settings.large_file_bytes
                )
                known = _Seen(
                    fingerprint, _output(name, new[name], known.output if known else None, task.id)
                )
        except (OSError, Unkeepable) as error:
            notes.append(f"{name} is not kept: {error}")
            continue
        outputs.append(known.output)
        seen.kept[name] = known
    if run.tree.exists():
        for name in [
            name for name in before.kept if name.startswith(WORKTREE) and not _is_taken(name, task)
        ]:
            seen.kept[name] = before.kept[name]
            outputs.append(before.kept[name].output)
    if any(seen) or any(before):
        _save(run, seen)
    outputs += _out_of_sight(site, run)
    return FoundOutputs(
        outputs=tuple(outputs),
        new=new,
        notes=tuple(notes),
        discarded=_discarded(seen.left_out, task),
    )


def _leaving_out(spec: RunSpec, task: TaskSpec) -> Callable[[str, Fingerprint], _LeftOut | None]:
    """By which glob a file that is new or changed is left out: one of the task, or of those that may run beside it."""
    beside = [other for other in spec.beside(task) if other.discard]
    writers = [task, *beside] if task.discard else beside

    def leaves_out(name: str, fingerprint: Fingerprint) -> _LeftOut | None:
        for writer in writers if not name.startswith(WORKTREE) else ():
            if glob := first_match(name, writer.discard):
                return _LeftOut(fingerprint, glob, writer.id)
        return None

    return leaves_out


def _is_taken(name: str, task: TaskSpec) -> bool:
    """Whether `outputs` of the task takes this from the worktree; what only another's takes stays as it was left."""
    return first_match(name.removeprefix(WORKTREE), task.outputs) is not None


def _discarded(left_out: Mapping[str, _LeftOut], task: TaskSpec) -> tuple[Discarded, ...]:
    by_glob: dict[str, list[int]] = {}
    for file in left_out.values():
        if file.task == task.id:
            by_glob.setdefault(file.glob, []).append(file.size)
    return tuple(
        Discarded(glob=glob, files=len(sizes), size=sum(sizes), task=task.id)
        for glob, sizes in by_glob.items()
    )


def forget(site: Site, run: RunDirectory) -> None:
    """Look at everything anew: what was found before a crash may never have been committed.

    What the record has stays that task's whose it is, if it is found to be the same.
    """
    _save(run, _Memory(_recalled(_recorded(site, run)), _load(run).left_out))


def bring_back(site: Site, run: RunDirectory, *, with_tree: bool) -> None:
    """Make the output directory, if it is missing, with what the branch has of it.

    `with_tree`: also what was kept of the worktree, which was made anew. Raises NotFound, OSError.
    """
    with only_one_at(run.output):
        kept = _recorded(site, run)
        of_tree = [output for output in kept if _is_of_tree(output)]
        of_output = [output for output in kept if not _is_of_tree(output)]
        is_there = run.output.exists()
        seen = _load(run)
        if kept:
            seen = _Memory(_recalled(kept) | seen.kept, seen.left_out)
            _save(run, seen)
        if with_tree or not is_there:
            _restore(site, run, of_tree, run.tree)
        if not of_output:
            run.output.mkdir(exist_ok=True)
        elif not is_there:
            aside = run.output.with_name("output.part")
            delete(aside)  # of a call that was killed
            aside.mkdir()
            _restore(site, run, of_output, aside)
            aside.rename(run.output)
            boundary()
            _remember(run, seen, of_output)
        elif with_tree:
            _refill(site, run)


def take_over(site: Site, run: RunDirectory, record: Record, task: str) -> None:
    """Let the workspace hold what the record has since `task` was given results of another run. Safe to repeat.

    Where the output directory is not there, or cannot be written, nothing is: all of it is brought back when it is
    needed. Raises NotFound, OSError where another task may be using it.
    """
    with only_one_at(run.output):
        if not run.output.is_dir() or run.output.is_symlink():
            return
        try:
            _take_over(site, run, record, task)
        except (GitorchError, OSError):
            if record.spec.beside(record.spec.task(task)):
                raise
            delete(run.output)


def _take_over(site: Site, run: RunDirectory, record: Record, task: str) -> None:
    cache, seen = record.task(task).cache, _load(run)
    before = {name for name, known in seen.kept.items() if known.output.task == task}
    for name in {*before, *(cache.removed if cache else ())} - {
        output.path for output in record.outputs
    }:
        delete(_place(run, name))
        seen.kept.pop(name, None)
    parts = {False: run.output, True: run.tree}
    wanted = [
        output
        for output in record.outputs
        if output.task == task
        and parts[_is_of_tree(output)].is_dir()
        and not _is_as_seen(run, seen, output)
    ]
    for output in wanted:
        _make_room(parts[_is_of_tree(output)], _place(run, output.path))
    for of_tree, directory in parts.items():
        _restore(
            site, run, [output for output in wanted if _is_of_tree(output) is of_tree], directory
        )
    _remember(run, seen, wanted)


def _make_room(top: Path, place: Path) -> None:
    """Remove what is at `place`, and what is no directory on the way to it."""
    way = [
        directory
        for directory in place.parents
        if directory != top and directory.is_relative_to(top)
    ]
    for directory in reversed(way):
        if directory.is_symlink() or directory.is_file():
            directory.unlink()
    delete(place)


def _is_as_seen(run: RunDirectory, seen: _Memory, output: Output) -> bool:
    known = seen.kept.get(output.path)
    try:
        return known is not None and known == (_fingerprint(_place(run, output.path)), output)
    except OSError:
        return False


def refill(site: Site, run: RunDirectory) -> None:
    """Bring back those kept files of the output directory that a power cut has emptied. Raises NotFound, OSError."""
    with only_one_at(run.output):
        _refill(site, run)


def _refill(site: Site, run: RunDirectory) -> None:
    kept = [output for output in _recorded(site, run) if not _is_of_tree(output)]
    _restore(
        site,
        run,
        [output for output in kept if _is_emptied(run.output / output.path, output)],
        run.output,
    )


def _recalled(outputs: Iterable[Output]) -> dict[str, _Seen]:
    """Kept files as the record has them; whether they are still the same is not known."""
    return {output.path: _Seen([], output) for output in outputs}


def _remember(run: RunDirectory, seen: _Memory, outputs: Iterable[Output]) -> None:
    """These were just written as they were kept."""
    there = {
        output.path: _Seen(_fingerprint(_place(run, output.path)), output) for output in outputs
    }
    _save(run, _Memory(seen.kept | there, seen.left_out))


def _place(run: RunDirectory, name: str) -> Path:
    return (
        run.tree / name.removeprefix(WORKTREE) if name.startswith(WORKTREE) else run.output / name
    )


def _recorded(site: Site, run: RunDirectory) -> Sequence[Output]:
    record = read_record(site.results, run.path.name)
    return () if record is None else record.outputs


def _restore(site: Site, run: RunDirectory, outputs: Sequence[Output], directory: Path) -> None:
    names = [RunPaths.of(run.path.name).output(output.path) for output in outputs]
    for output, data in zip(outputs, site.results.read_all(names), strict=True):
        place = (
            replace(output, path=output.path.removeprefix(WORKTREE))
            if directory == run.tree
            else output
        )
        if not os.path.lexists(directory / place.path) or _is_emptied(
            directory / place.path, place
        ):
            artifacts.restore(site.repository, place, data, directory)


def _is_emptied(path: Path, output: Output) -> bool:
    """Whether a power cut may have emptied the file: what tasks write they seldom flush."""
    return output.size > 0 and path.is_file() and not path.is_symlink() and path.stat().st_size == 0


def _out_of_sight(site: Site, run: RunDirectory) -> list[Output]:
    """What the record has of those parts of the workspace that are missing."""
    output_is_there, tree_is_there = run.output.exists(), run.tree.exists()
    if output_is_there and tree_is_there:
        return []
    return [
        output
        for output in _recorded(site, run)
        if not (tree_is_there if _is_of_tree(output) else output_is_there)
    ]


def _is_of_tree(output: Output) -> bool:
    return output.path.startswith(WORKTREE)


class _Seen(NamedTuple):
    """A file as it was last read; while its fingerprint stays, so does its content."""

    fingerprint: Fingerprint  # empty: it was not looked at since
    output: Output

    def may_be(self, fingerprint: Fingerprint) -> bool:
        """Whether a file that was not looked at since may still be this one."""
        return not self.fingerprint and self.output.size == fingerprint[0]


class _LeftOut(NamedTuple):
    """A file that is not kept, as it was last met: which task wrote it, and the glob that leaves it out."""

    fingerprint: Fingerprint
    glob: str
    task: str

    @property
    def size(self) -> int:
        return self.fingerprint[0]


class _Memory(NamedTuple):
    """What was made of the files, by name, when they were last looked at."""

    kept: dict[str, _Seen]
    left_out: dict[str, _LeftOut]


_SEEN = "seen.json"


def _load(run: RunDirectory) -> _Memory:
    try:
        value = json.loads((run.path / _SEEN).read_bytes())
        kept = {
            name: _Seen(known, Output.from_json(output))
            for name, (known, output) in value["kept"].items()
        }
        return _Memory(kept, {name: _LeftOut(*known) for name, known in value["left_out"].items()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return _Memory({}, {})  # read once more what was read already: slower, never wrong


def _save(run: RunDirectory, seen: _Memory) -> None:
    if not run.path.is_dir():
        return  # nothing could be made for the run
    kept = {name: (known.fingerprint, known.output.to_json()) for name, known in seen.kept.items()}
    write_aside(run.path / _SEEN, json.dumps({"kept": kept, "left_out": seen.left_out}).encode())


def _fingerprint(path: Path) -> Fingerprint:
    status = path.lstat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _output(name: str, stored: Stored, before: Output | None, task: str) -> Output:
    """What is kept of a file: the task's, unless it was the same before."""
    found = Output(
        path=name,
        size=stored.size,
        sha256=stored.sha256,
        stored=stored.kind,
        task=task,
        octal_mode=f"{stored.mode:o}",
    )
    return before if before is not None and replace(before, task=task) == found else found


def clear_place(run: RunDirectory) -> None:
    """Remove what a task put in the place of its output directory."""
    if _is_replaced(run.output):
        run.output.unlink()


def _is_replaced(directory: Path) -> bool:
    """Whether something else than a directory is there. A link is not followed: it may lead to what is nobody's."""
    try:
        return not stat.S_ISDIR(directory.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _files(
    run: RunDirectory, globs: tuple[str, ...], link: tuple[str, ...], *, but_output: bool
) -> Iterator[tuple[str, Path]]:
    if not but_output:
        yield from _below(run.output, "")

    def is_ours(name: str) -> bool:
        """Not git's own, nor what is linked, which is the user's."""
        return ".git" not in Path(name).parts and not any(
            Path(name).is_relative_to(linked) for linked in link
        )

    matched: dict[str, Path] = {}
    for pattern in globs:
        for name in filter(is_ours, named(run.tree, pattern, enters=is_ours)):
            path = run.tree / name
            if path.is_dir() and not path.is_symlink():
                inside = _below(path, "" if name == "." else f"{name}/")
                matched |= {
                    below: file for below, file in inside if ".git" not in Path(below).parts
                }
            else:
                matched[name] = path
    for name in sorted(matched):
        yield WORKTREE + name, matched[name]


def _below(directory: Path, prefix: str) -> Iterator[tuple[str, Path]]:
    """Everything in a directory that is no directory, links not followed, in the order of names."""
    try:
        entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    except OSError:
        yield (
            prefix.rstrip("/") or directory.name,
            directory,
        )  # cannot be kept, and will be said to be
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _below(Path(entry.path), f"{prefix}{entry.name}/")
        else:
            yield f"{prefix}{entry.name}", Path(entry.path)
