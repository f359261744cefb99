"""A plugin whose method answers with the class that stands in a file: what a setting of type `path` decides."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.plugins import importable, install

from mlcvbench.registry import discover, using

SPECS = """
from mlcvbench import ModelSpec, Param, hookimpl

@hookimpl
def mlcvbench_models():
    file = Param("file", "path", required=True, help="file or folder with a class index")
    teacher = Param("teacher", "path", help="file with a class index that fit takes")
    return [
        ModelSpec("prior", ("classification",), "prior_plugin.model:Prior", "The class in a file.", params=(file,)),
        ModelSpec("pupil", ("classification",), "prior_plugin.model:Pupil", "What fit was told.", fit=(teacher,)),
        ModelSpec("outer", ("classification",), "prior_plugin.model:Outer", "As another model.",
                  params=(Param("base", "model", "majority"),)),
    ]
"""
MODELS = '''
import json
from pathlib import Path

import numpy as np

from mlcvbench import Model, Operations


class Constant(Model):
    """Answers with one class."""

    answer = 0

    def forward(self, inputs):
        scores = np.zeros((len(inputs["image"]), len(self.problem.classes)), np.float32)
        scores[:, self.answer] = 1
        return scores

    def postprocess(self, outputs, batch):
        return {"scores": outputs}

    def operations(self, inputs):
        return Operations(macs=None, reason="constant")

    def save(self, folder):
        (folder / "answer.json").write_text(str(self.answer))

    def load(self, folder):
        self.answer = int((folder / "answer.json").read_text())


class Prior(Constant):
    def __init__(self, problem, file):
        super().__init__(problem, file=file)
        path = Path(file)
        self.answer = int((path / "class.txt" if path.is_dir() else path).read_text())


class Pupil(Constant):
    def fit(self, train, val, ctx):
        self.answer = int(Path(ctx.settings["teacher"]).read_text())


class Outer(Constant):
    def __init__(self, problem, base):
        from mlcvbench.loading.models import build_inner

        super().__init__(problem, base=base)
        self.answer = build_inner(base, problem, self.device).answer
'''


@contextmanager
def installed(site: Path) -> Iterator[Path]:
    """Install the models `prior`, `pupil` and `outer` in `site` beside all that is installed, for this process."""
    site.mkdir(exist_ok=True)
    install(site, "prior_plugin", {"prior_plugin/__init__.py": SPECS, "prior_plugin/model.py": MODELS})
    with importable(site), using(discover()):
        yield site
