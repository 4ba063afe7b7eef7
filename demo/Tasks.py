"""Tell three species of penguin apart by what was measured on them.

Three tasks, one class each; a config in `experiments/` names them and sets their parameters. Each task reads what the
one before it left in `outputDir`, so that a run which failed at the third can go on at the third.
"""

import csv
import json
import logging
import math
import random
from pathlib import Path

from gitorch import TaskBase, metric, progress

MEASUREMENTS = ("bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g")


class PenguinTask(TaskBase):
    """What the three tasks share: JSON files in the output directory. `TaskBase` keeps the config."""

    @property
    def output(self):
        return Path(self.config["outputDir"])

    def read(self, name):
        return json.loads((self.output / name).read_text())

    def write(self, name, value):
        (self.output / name).write_text(json.dumps(value, indent=1) + "\n")


class Prepare(PenguinTask):
    """Clean the table, split it in two, and scale every feature by the part to train on."""

    def validate(self):
        problems = []
        if not Path(self.config["data"]).is_file():
            problems.append(f"data: there is no file {self.config['data']}")
        if not self.config["features"]:
            problems.append("features: at least one is needed")
        for feature in self.config["features"]:
            if feature not in MEASUREMENTS:
                problems.append(f"features: {feature!r} is none of {', '.join(MEASUREMENTS)}")
        if not 0 < self.config["testShare"] < 1:
            problems.append(f"testShare: must lie between 0 and 1, is {self.config['testShare']}")
        return problems

    def run(self):
        features = self.config["features"]
        with open(self.config["data"], newline="") as file:
            rows = list(csv.DictReader(file))
        measured = [row for row in rows if "NA" not in [row[feature] for feature in features]]
        logging.info("%d penguins, %d of them measured in full", len(rows), len(measured))

        random.Random(self.config["seed"]).shuffle(measured)
        test_size = round(len(measured) * self.config["testShare"])
        points = [[float(row[feature]) for feature in features] for row in measured]
        scales = [scale(column) for column in zip(*points[test_size:])]
        scaled = [
            [(x - mean) / deviation for x, (mean, deviation) in zip(point, scales)]
            for point in points
        ]
        labelled = [[row["species"], *point] for row, point in zip(measured, scaled)]
        self.write("prepared.json", {"test": labelled[:test_size], "train": labelled[test_size:]})
        return {"train_size": len(labelled) - test_size, "test_size": test_size}


class Train(PenguinTask):
    """Softmax regression by gradient descent: one row of weights for each species, the bias first."""

    def validate(self):
        problems = []
        if self.config["learningRate"] <= 0:
            problems.append(f"learningRate: must be above 0, is {self.config['learningRate']}")
        if self.config["epochs"] < 1:
            problems.append(f"epochs: must be at least 1, is {self.config['epochs']}")
        return problems

    def run(self):
        rows = self.read("prepared.json")["train"]
        species = sorted({row[0] for row in rows})
        points = [[1.0, *row[1:]] for row in rows]
        truths = [species.index(row[0]) for row in rows]
        weights = [[0.0] * len(points[0]) for _ in species]
        epochs, step = self.config["epochs"], self.config["learningRate"] / len(points)

        for epoch in range(1, epochs + 1):
            loss, slopes = loss_and_slopes(weights, points, truths)
            weights = [[w - step * s for w, s in zip(*pair)] for pair in zip(weights, slopes)]
            metric("loss", loss, step=epoch)
            progress(epoch, epochs)
        logging.info("after %d epochs the loss is %.4f", epochs, loss)
        self.write("model.json", {"species": species, "weights": weights})


class Evaluate(PenguinTask):
    """Accuracy and the confusion matrix on the penguins that training has not seen."""

    def run(self):
        model = self.read("model.json")
        rows = self.read("prepared.json")["test"]
        species = model["species"]
        confusion = {truth: dict.fromkeys(species, 0) for truth in species}
        for truth, *point in rows:
            chances = softmax(model["weights"], [1.0, *point])
            confusion[truth][species[chances.index(max(chances))]] += 1

        table = confusion_table(confusion)
        logging.info("the rows are the truth, the columns the guess\n%s", table)
        (self.output / "confusion.txt").write_text(table + "\n")
        right = sum(confusion[name][name] for name in species)
        self.write(
            "metrics.json", {"accuracy": round(right / len(rows), 4), "wrong": len(rows) - right}
        )


def scale(column):
    """The mean and the standard deviation of a feature."""
    mean = sum(column) / len(column)
    return mean, math.sqrt(sum((x - mean) ** 2 for x in column) / len(column))


def softmax(weights, point):
    """How likely each species is for `point`."""
    scores = [sum(w * x for w, x in zip(row, point)) for row in weights]
    highest = max(scores)  # subtracted, so that exp() cannot overflow
    powers = [math.exp(score - highest) for score in scores]
    total = sum(powers)
    return [power / total for power in powers]


def loss_and_slopes(weights, points, truths):
    """The mean cross-entropy, and by how much the summed one grows with each weight."""
    loss = 0.0
    slopes = [[0.0] * len(row) for row in weights]
    for point, truth in zip(points, truths):
        chances = softmax(weights, point)
        loss -= math.log(max(chances[truth], 1e-12))
        for index, chance in enumerate(chances):
            error = chance - (index == truth)
            slopes[index] = [slope + error * x for slope, x in zip(slopes[index], point)]
    return loss / len(points), slopes


def confusion_table(confusion):
    """The matrix as aligned text: a line for each species, a column for each guess."""
    width = max(map(len, confusion)) + 2
    head = "".join(name.rjust(width) for name in ("", *confusion))
    lines = [
        "".join(str(cell).rjust(width) for cell in (name, *row.values()))
        for name, row in confusion.items()
    ]
    return "\n".join([head, *lines])
