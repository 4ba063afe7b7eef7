"""Two examples for each command, which its `--help` shows. A test runs them all in the demo."""

EXAMPLES = {
    "init": ("gitorch init", "gitorch -C ../other init"),
    "check": (
        "gitorch check",
        "gitorch check experiments/body-size.yaml -S seed=7",
    ),
    "ready": (
        "gitorch ready",
        "gitorch ready experiments/body-size.yaml -S learningRate=0.1,0.2",
    ),
    "run": ("gitorch run -j 2", "gitorch run experiments/body-size.yaml -S seed=3"),
    "stop": ("gitorch stop", "gitorch stop --now --no-wait"),
    "wait": ("gitorch wait", "gitorch wait @last --exit-status --timeout 8h"),
    "status": ("gitorch status", "gitorch status --json"),
    "list": (
        'gitorch list --where "metrics.accuracy > 0.9" --sort -accuracy',
        "gitorch list --group name --aggregate mean,std",
    ),
    "show": ("gitorch show @", "gitorch show body-size"),
    "logs": (
        "gitorch logs @ -n 20",
        "gitorch logs body-size --task evaluate",
    ),
    "cat": ("gitorch cat @ metrics.json", "gitorch cat body-size metrics.json"),
    "open": (
        "gitorch open @ metrics.json",
        "gitorch open body-size metrics.json",
    ),
    "outputs": (
        "gitorch outputs body-size",
        'gitorch outputs --where "params.seed == 1" --to ../by-label',
    ),
    "metrics": ("gitorch metrics @", "gitorch metrics body-size loss --csv"),
    "plot": (
        "gitorch plot body-size --metric loss --svg loss.svg",
        "gitorch plot --where \"name == 'body-size'\" --log y --svg loss.svg",
    ),
    "env": ("gitorch env @", "gitorch env @ --as requirements"),
    "ui": ("gitorch ui --open", "gitorch ui --port 8080 --read-only"),
    "report": (
        "gitorch report ../report.html",
        'gitorch report --md --where "metrics.accuracy > 0.9"',
    ),
    "compare": (
        "gitorch compare @~1 @",
        "gitorch compare body-size bill-shape --metrics",
    ),
    "stale": ("gitorch stale", "gitorch stale HEAD~1 --name body-size"),
    "checkout-run": (
        "gitorch checkout-run body-size",
        "gitorch checkout-run @ ../look",
    ),
    "revert": ("gitorch revert body-size", "gitorch revert @ --detach"),
    "rerun": ("gitorch rerun body-size --verify", "gitorch rerun @ --queue"),
    "verify": (
        "gitorch verify body-size",
        "gitorch verify --sample 5% --tolerance rel=1e-6,abs=1e-9",
    ),
    "invalidate": (
        'gitorch invalidate body-size --why "the labels were shifted"',
        "gitorch invalidate body-size --undo",
    ),
    "hold": ("gitorch hold body-size", "gitorch hold --status WAITING --yes"),
    "release": ("gitorch release body-size", "gitorch release --all --yes"),
    "kill": (
        'gitorch kill @ --why "a typo"',
        'gitorch kill --yes --where "params.seed > 5"',
    ),
    "retry": (
        "gitorch retry body-size --at HEAD",
        "gitorch retry --status ERROR --yes",
    ),
    "fail": ("gitorch fail body-size", "gitorch fail --status ERROR --yes"),
    "resubmit": ("gitorch resubmit body-size", "gitorch resubmit --all --yes"),
    "adopt": (
        "gitorch adopt --where \"name == 'body-size'\"",
        'gitorch adopt --where "status == \'HOLD\'" --why "that machine is gone"',
    ),
    "set": (
        "gitorch set body-size --priority 5",
        'gitorch set --where "params.seed == 1" --priority -1',
    ),
    "collect": ("gitorch collect --dry-run", "gitorch collect --older-than 7d"),
    "doctor": ("gitorch doctor", "gitorch doctor --fix"),
    "demo": ("gitorch demo", "gitorch demo ../another"),
    "help": ("gitorch help config", "gitorch help run"),
}


def render_examples(name: str) -> str:
    r"""Return the end of a command's help. After `\b`, lines are not filled."""
    lines = "\n".join(f"  {example}" for example in EXAMPLES.get(name, ()))
    return f"\b\nExamples:\n{lines}"
