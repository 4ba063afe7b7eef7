"""Configs for programs that exist already: keys in the wrong place, and what a program is given."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import gitorch, gitorch_json, write


def test_a_timeout_outside_of_gitorch_is_refused_with_the_line_to_write(
    project: Path,
) -> None:
    config = "experiments/slow.yaml"
    write(
        project,
        config,
        """
        timeout: 1s
        tasks:
          - {id: wait, command: sleep 30}
        """,
    )
    refused = gitorch(project, "run", config, code=1)
    help_lines = "\n".join(
        [
            "error: 'timeout' belongs under 'gitorch'; here it would be a parameter",
            " --> experiments/slow.yaml:1:1",
            "  |",
            "1 | timeout: 1s",
            "  | ^^^^^^^",
            "  = help: write at the top level:",
            "      gitorch: {timeout: 1s}",
            "    to keep it as a parameter, write 'timeout: null' under 'gitorch'",
        ]
    )
    assert refused.stderr.startswith(help_lines)
    assert gitorch_json(project, "list")["runs"] == []

    tasks = "tasks:\n  - {id: wait, command: sleep 30}\n"
    write(project, config, f"gitorch: {{timeout: 1s}}\n{tasks}")
    gitorch(project, "run", config, code=1)
    (attempt,) = gitorch_json(project, "show", "@")["run"]["tasks"][0]["attempts"]
    assert attempt["outcome"]["kind"] == "timeout"

    tasks = "tasks:\n  - {id: wait, command: 'test {timeout} = 1s'}\n"
    write(project, config, f"timeout: 1s\ngitorch: {{timeout: null}}\n{tasks}")
    gitorch(project, "run", config)
    gitorch(project, "run", config, "-S", "timeout=2s", code=1)
    assert gitorch_json(project, "show", "@")["run"]["params"] == {"timeout": "2s"}
