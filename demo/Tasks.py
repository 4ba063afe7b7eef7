"""Classify three species of penguin by their measurements.

There are three tasks, one class each. A config in `experiments/` names the tasks and sets their
parameters. Each task reads the files that the task before it wrote to `outputDir`. A run that
failed at the third task can therefore continue at the third task.
"""

import csv
import json
import logging
import math
import random
from pathlib import Path

from gitorch import TaskBase, metric, progress

MEASUREMENTS = (
    "bill_length_mm",
    "bill_depth_mm",
    "flipper_length_mm",
    "body_mass_g",
)


class PenguinTask(TaskBase):
    """The base class of the tasks: it reads and writes JSON files. `TaskBase` stores the config."""

    @property
    def output(self):
        return Path(self.config["outputDir"])

    def read(self, name):
        return json.loads((self.output / name).read_text())

    def write(self, name, value):
        (self.output / name).write_text(json.dumps(value, indent=1) + "\n")


class Prepare(PenguinTask):
    """Clean the table, split it, and scale each feature by the training data."""

    def validate(self):
        problems = []
        if not Path(self.config["data"]).is_file():
            problems.append(f"data: there is no file {self.config['data']}")
        if not self.config["features"]:
            problems.append("features: at least one is needed")
        for feature in self.config["features"]:
            if feature not in MEASUREMENTS:
                problems.append(
                    f"features: {feature!r} is not one of {', '.join(MEASUREMENTS)}"
                )
        if not 0 < self.config["testShare"] < 1:
            problems.append(
                f"testShare: must lie between 0 and 1, is {self.config['testShare']}"
            )
        return problems

    def run(self):
        features = self.config["features"]
        with open(self.config["data"], newline="") as file:
            rows = list(csv.DictReader(file))
        measured = [row for row in rows if is_measured(row, features)]
        logging.info(
            "%d penguins, %d of them fully measured", len(rows), len(measured)
        )

        random.Random(self.config["seed"]).shuffle(measured)
        test_size = round(len(measured) * self.config["testShare"])
        points = [[float(row[feature]) for feature in features] for row in measured]
        scales = [mean_and_deviation(column) for column in zip(*points[test_size:])]
        labelled = []
        for row, point in zip(measured, points):
            scaled = [
                (x - mean) / deviation
                for x, (mean, deviation) in zip(point, scales)
            ]
            labelled.append([row["species"], *scaled])
        self.write(
            "prepared.json",
            {"test": labelled[:test_size], "train": labelled[test_size:]},
        )
        return {"train_size": len(labelled) - test_size, "test_size": test_size}


class Train(PenguinTask):
    """Softmax regression by gradient descent: each species has a row of weights, bias first."""

    def validate(self):
        problems = []
        if self.config["learningRate"] <= 0:
            problems.append(
                f"learningRate: must be above 0, is {self.config['learningRate']}"
            )
        if self.config["epochs"] < 1:
            problems.append(
                f"epochs: must be at least 1, is {self.config['epochs']}"
            )
        return problems

    def run(self):
        rows = self.read("prepared.json")["train"]
        species = sorted({row[0] for row in rows})
        points = [[1.0, *row[1:]] for row in rows]
        truths = [species.index(row[0]) for row in rows]
        weights = [[0.0] * len(points[0]) for _ in species]
        epochs = self.config["epochs"]
        step = self.config["learningRate"] / len(points)

        for epoch in range(1, epochs + 1):
            loss, gradient = loss_and_gradient(weights, points, truths)
            for row, slopes in zip(weights, gradient):
                row[:] = [
                    weight - step * slope for weight, slope in zip(row, slopes)
                ]
            metric("loss", loss, step=epoch)
            progress(epoch, epochs)
        logging.info("after %d epochs the loss is %.4f", epochs, loss)
        self.write("model.json", {"species": species, "weights": weights})


class Evaluate(PenguinTask):
    """Compute the accuracy and the confusion matrix on the test data."""

    def run(self):
        model = self.read("model.json")
        rows = self.read("prepared.json")["test"]
        species = model["species"]
        confusion = {truth: dict.fromkeys(species, 0) for truth in species}
        for truth, *point in rows:
            probabilities = softmax(model["weights"], [1.0, *point])
            most_likely = species[probabilities.index(max(probabilities))]
            confusion[truth][most_likely] += 1

        table = confusion_table(confusion)
        logging.info("rows: true species, columns: predicted species\n%s", table)
        (self.output / "confusion.txt").write_text(table + "\n")
        right = sum(confusion[name][name] for name in species)
        accuracy = round(right / len(rows), 4)
        self.write(
            "metrics.json", {"accuracy": accuracy, "wrong": len(rows) - right}
        )


def is_measured(row, features):
    """Return True if the row has a value for each of the features."""
    return all(row[feature] != "NA" for feature in features)


def mean_and_deviation(column):
    """Return the mean and the standard deviation of a feature."""
    mean = sum(column) / len(column)
    variance = sum((x - mean) ** 2 for x in column) / len(column)
    return mean, math.sqrt(variance)


def softmax(weights, point):
    """Return the probability of each species for `point`."""
    scores = [sum(weight * x for weight, x in zip(row, point)) for row in weights]
    highest = max(scores)  # subtracted, so that exp() cannot overflow
    powers = [math.exp(score - highest) for score in scores]
    total = sum(powers)
    return [power / total for power in powers]


def loss_and_gradient(weights, points, truths):
    """Return the mean cross-entropy, and the gradient of the summed cross-entropy."""
    loss = 0.0
    gradient = [[0.0] * len(row) for row in weights]
    for point, truth in zip(points, truths):
        probabilities = softmax(weights, point)
        loss -= math.log(max(probabilities[truth], 1e-12))
        for index, probability in enumerate(probabilities):
            error = probability - 1.0 if index == truth else probability
            gradient[index] = [
                slope + error * x for slope, x in zip(gradient[index], point)
            ]
    return loss / len(points), gradient


def confusion_table(confusion):
    """Return the matrix as aligned text: a line for each species, a column for each prediction."""
    width = max(map(len, confusion)) + 2
    rows = [["", *confusion]]
    for name, counts in confusion.items():
        rows.append([name, *counts.values()])
    lines = ["".join(str(cell).rjust(width) for cell in row) for row in rows]
    return "\n".join(lines)
