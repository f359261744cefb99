"""`mlcvbench explain RUN`: pictures that explain the predictions of a stored run's classifier."""

from __future__ import annotations

import click

from mlcvbench.cli.command import Command
from mlcvbench.cli.completers import run_id
from mlcvbench.processes.stdout import emit


@click.command("explain", cls=Command)
@click.argument("run", shell_complete=run_id)
@click.argument("settings", nargs=-1, metavar="[KEY=VALUE]...")
def explain(run: str, settings: tuple[str, ...]) -> None:
    """Explain what the classifier of RUN predicts for some samples: one PNG per sample, and the numbers as JSON.

    Occlusion maps (any classifier of images): a grey square hides a part, and the fall of the class's probability is
    drawn. Deconvnet (networks of convolutions, ReLU, pools, batch norm and linear layers): the strongest activations
    of a layer, projected back to the pixels. RUN is a run folder or an id in runs/; its weights are in the cache.

    \b
    KEYs:
      sample=ID,...         test samples; without it count=4, spread over all
      show=both             deconvnet, occlusion or both
      layer=NAME            layer to project back, as `profile` names it;
                            the last with maps by default
      features=4            strongest channels to project
      class=prediction      whose probability is watched: prediction or truth
      window=N step=N       the square: a quarter of the image, moved by its half
      out=DIR               folder to write; explain-RUN by default
      weights=PATH          weights of the run, when they are not in the cache
      data.NAME=PATH        paths of the data, which a record does not hold
      model.NAME=PATH       files that the model's settings name, likewise
    """  # noqa: D301 - backslash-b keeps click from rewrapping the lines
    from mlcvbench.analysis.explain import explaining
    from mlcvbench.analysis.explain.request import parse_request
    from mlcvbench.analysis.explain.subject import open_subject
    from mlcvbench.cli.runs import open_run

    request = parse_request(settings)
    record, _ = open_run(run)
    subject = open_subject(record, request.paths, request.files, request.weights)
    classes = subject.data.problem.classes
    for written in explaining.explain(subject, request):
        sample = written.sample
        truth = "" if sample.truth is None else f"is {classes[sample.truth]!r}, "
        sure = sample.probabilities[sample.prediction]
        emit(f"wrote {written.path}: {truth}read as {classes[sample.prediction]!r} ({sure:.3f})")
