"""The `fit.*` settings of the training loop: declared for specs, typed for the loop. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

from mlcvbench.errors import RequestError
from mlcvbench.specs import ANY_VALUE, Param

OPTIMIZERS = ("gd", "sgd", "online_gd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw")
NEWTON = "newton"
"""For linear models only: its Hessian has a row and a column for each parameter."""
HEAVY_BALLS = ("momentum", "nesterov")
WARM = "warmup+"
_PLAIN_SCHEDULES = ("constant", "step", "plateau", "cosine", "linear", "cyclic")
SCHEDULES = (*_PLAIN_SCHEDULES, "one_cycle", *(WARM + name for name in _PLAIN_SCHEDULES))
AUGMENTATIONS = ("none", "shift")
CUTOUTS = ("none", "any", "inside")
AVERAGES = ("none", "ema", "swa")
LOSSES = ("cross_entropy", "squared", "norm")
PRECISIONS = ("float32", "bfloat16", "auto")
IMAGE_CHANGES = ("augmentation", "flip", "rotate", "crop", "colour", "cutout", "cutout_size")
"""Settings that mean something for images only."""
OF_LABELS = ("loss", "label_smoothing")
"""Settings that mean something for the labels of a classifier only."""
AnySettings = TypeVar("AnySettings", bound="Settings")


@dataclass(frozen=True, slots=True)
class Settings:
    """How to train. `lr` is the largest learning rate of the schedule; `epochs` are passes over the training data.

    `fit_params` says what each field means, and beside which others it has an effect.
    """

    optimizer: str = "adamw"
    lr: float = 0.003
    batch: int = 64
    epochs: int = 20
    momentum: float = 0.9
    beta: float = 0.9
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float | None = None
    damping: float = 1e-4
    newton_lr: float = 1.0
    schedule: str = "one_cycle"
    milestones: tuple[float, ...] = (0.5, 0.75)
    gamma: float = 0.1
    plateau_patience: int = 3
    final: float = 0.0
    cycles: int = 5
    warmup: float = 1.0
    peak: float = 0.3
    div: float = 25.0
    final_div: float = 1e4
    anneal: str = "cosine"
    momentum_low: float = 0.85
    weight_decay: float = 0.01
    l1: float = 0.0
    l2: float = 0.0
    loss: str = "cross_entropy"
    label_smoothing: float = 0.0
    clip: float | None = None
    precision: str = "float32"
    average: str = "none"
    ema_decay: float = 0.999
    swa_start: float = 0.75
    early_stopping: bool = False
    patience: int = 5
    min_gain: float = 0.0
    augmentation: str = "none"
    flip: float = 0.0
    rotate: float = 0.0
    crop: float = 1.0
    colour: float = 0.0
    cutout: str = "none"
    cutout_size: int | None = None
    backbone_lr: float = 1.0

    @staticmethod
    def of(values: Mapping[str, Any], defaults: AnySettings) -> AnySettings:
        """Return `defaults` with the settings that `values` gives; other keys are not the loop's and are left out."""
        given = {field.name: values[field.name] for field in fields(defaults) if field.name in values}
        lists = {name: tuple(value) for name, value in given.items() if isinstance(value, list)}
        return replace(defaults, **given | lists)

    @property
    def base_schedule(self) -> str:
        """The schedule without its warm-up."""
        return self.schedule.removeprefix(WARM)


@dataclass(frozen=True, slots=True)
class NetworkSettings(Settings):
    """How to train the network of any task kind, whose images change together with what is known of them.

    `sizes`: longer sides in pixels, one of which the images of each step are resized to, whatever else is changed; both
    sides are then rounded up to what the network takes (`MULTIPLE`), which may stretch an image by so much.
    `watch`: the metric of the run's protocol that validation data are scored by, after every `watch_every` epochs;
    early stopping and `plateau` go by it, and by the primary one where it is None.
    """

    scale: tuple[float, ...] = (1.0, 1.0)
    shift: float = 0.0
    upside_down: float = 0.0
    stretch: float = 1.0
    hue: float = 0.0
    sizes: tuple[int, ...] | None = None
    watch: str | None = None
    watch_every: int = 1

    def __post_init__(self) -> None:
        least, most = self.scale
        if least > most:
            raise RequestError(f"fit.scale=[{least:g},{most:g}]: wanted the least zoom first, as [{most:g},{least:g}].")

    @property
    def watched(self) -> bool:
        """Whether validation data are looked at: by wish, or since something goes by it."""
        return self.watch is not None or self.early_stopping or self.base_schedule == "plateau"


def network_fit_params(defaults: NetworkSettings, without: tuple[str, ...] = ()) -> tuple[Param, ...]:
    """Return the settings of a network of any task kind as `fit.*` parameters, except those `without`."""
    declared = (*_rule(), *_schedule(), *_regularisers(), *_moves(), *_transfer(), *_watching())
    return _with_defaults(declared, defaults, OPTIMIZERS, (*OF_LABELS, *without))


def fit_params(
    defaults: Settings | None,
    optimizers: tuple[str, ...] = OPTIMIZERS,
    without: tuple[str, ...] = (),
    *,
    backbone: bool = False,
) -> tuple[Param, ...]:
    """Return the settings as typed `fit.*` parameters with these defaults and their bounds, except those `without`.

    `optimizers` are the rules that the method knows. Of those that are not the loop's, only `epochs`, `l2`, `loss` and
    `label_smoothing` are settings. Without `defaults` each setting is unset, for a method that fits another one.
    `backbone`: whether the network has one that may learn at a rate of its own.
    """
    declared = (*_rule(), *_schedule(), *_regularisers(), *_image_changes(), *(_transfer() if backbone else ()))
    return _with_defaults(declared, defaults, optimizers, without)


def _with_defaults(
    declared: tuple[Param, ...], defaults: Settings | None, optimizers: tuple[str, ...], without: tuple[str, ...]
) -> tuple[Param, ...]:
    chosen = []
    for param in declared:
        if param.name in without or not _users(param, optimizers):
            continue
        choices = optimizers if param.name == "optimizer" else param.choices
        default = getattr(defaults, param.name) if defaults is not None else None
        when = tuple(one for one in _conditions(param, optimizers) if one[0] not in without)
        if defaults is None:
            when = tuple((name, (None, *values)) for name, values in when)
        chosen.append(replace(param, default=default, choices=choices, when=when))
    return tuple(chosen)


_USED_BY: dict[str, tuple[str, ...]] = {
    "batch": (*(name for name in OPTIMIZERS if name != "online_gd"), NEWTON),
    "momentum": HEAVY_BALLS,
    "momentum_low": HEAVY_BALLS,
    "beta": ("rmsprop",),
    "beta1": ("adam", "adamw"),
    "beta2": ("adam", "adamw"),
    "eps": ("adagrad", "rmsprop", "adam", "adamw"),
    "damping": (NEWTON,),
    "newton_lr": (NEWTON,),
}
"""Which update rules use a setting; one that is not here is used by all of the loop's but Newton's."""
_USED_BY_ALL = ("optimizer", "epochs", "l2", "loss", "label_smoothing")


def _conditions(param: Param, optimizers: tuple[str, ...]) -> tuple[tuple[str, tuple[Any, ...]], ...]:
    if param.name in _USED_BY_ALL:
        return param.when
    using = _users(param, optimizers)
    return param.when if len(using) == len(optimizers) else (("optimizer", using), *param.when)


def _users(param: Param, optimizers: tuple[str, ...]) -> tuple[str, ...]:
    """Return the rules among `optimizers` that use a setting."""
    known = optimizers if param.name in _USED_BY_ALL else _USED_BY.get(param.name, OPTIMIZERS)
    return tuple(name for name in optimizers if name in known)


def _on(*schedules: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return (("schedule", tuple(name for name in SCHEDULES if name.removeprefix(WARM) in schedules)),)


def _rule() -> tuple[Param, ...]:
    return (
        Param("optimizer", "str", help="update rule", choices=OPTIMIZERS),
        Param("lr", "float", help="largest learning rate", low=0.0),
        Param("batch", "int", help="images a step; in full-batch rules, images in memory at once", low=1),
        Param("epochs", "int", help="passes over the training images", low=1),
        Param("momentum", "float", help="beta of v = beta v - lr g", low=0.0, high=0.9999),
        Param("beta", "float", help="decay of the mean of squared gradients", low=0.0, high=0.999999),
        Param("beta1", "float", help="decay of the mean gradient", low=0.0, high=0.999999),
        Param("beta2", "float", help="decay of the mean of squared gradients", low=0.0, high=0.999999),
        Param("eps", "float", help="added to the root; unset, 1e-10 for adagrad and 1e-8 otherwise", low=1e-30),
        Param("damping", "float", help="mu of (H + mu I)^-1 g", low=0.0),
        Param(
            "newton_lr",
            "float",
            help="share of a Newton step tried first; halved until the loss falls",
            low=1e-6,
            high=2.0,
        ),
    )


def _schedule() -> tuple[Param, ...]:
    return (
        Param(
            "schedule",
            "str",
            help="learning rate over the steps; warmup+X is the product of both",
            choices=SCHEDULES,
            wants_val=("plateau", WARM + "plateau"),
        ),
        Param(
            "milestones",
            "floats",
            help="shares of the epochs after which it falls",
            low=0,
            high=1,
            empty=True,
            when=_on("step"),
        ),
        Param("gamma", "float", help="what a fall multiplies it by", low=0, high=1, when=_on("step", "plateau")),
        Param(
            "plateau_patience",
            "int",
            help="looks at validation data without gain before a fall",
            low=0,
            when=_on("plateau"),
        ),
        Param("final", "float", help="its end as a share of lr", low=0, high=1, when=_on("cosine", "linear", "cyclic")),
        Param("cycles", "int", help="restarts from lr, the first included", low=1, when=_on("cyclic")),
        Param(
            "warmup",
            "float",
            help="epochs of the way up",
            low=0.0,
            when=(("schedule", tuple(name for name in SCHEDULES if name.startswith(WARM))),),
        ),
        Param("peak", "float", help="share of the steps at which lr is reached", low=0, high=1, when=_on("one_cycle")),
        Param("div", "float", help="lr over the first rate", low=1.0, when=_on("one_cycle")),
        Param("final_div", "float", help="first rate over the last", low=1.0, when=_on("one_cycle")),
        Param("anneal", "str", help="form of both ways", choices=("cosine", "linear"), when=_on("one_cycle")),
        Param("momentum_low", "float", help="momentum at the peak", low=0.0, high=0.9999, when=_on("one_cycle")),
    )


def _regularisers() -> tuple[Param, ...]:
    stops = (("early_stopping", (True,)),)
    return (
        Param(
            "weight_decay",
            "float",
            help="x of theta -= lr x theta, decoupled under any rule; not of biases or norms",
            low=0.0,
        ),
        Param("l1", "float", help="x |theta|, by proximal steps; weights, not biases or norms", low=0.0),
        Param("l2", "float", help="x/2 theta^2 added to the loss; weights, not biases or norms", low=0.0),
        Param("loss", "str", help="of scores s: -log softmax(s), |s - onehot|^2 or its root", choices=LOSSES),
        Param(
            "label_smoothing",
            "float",
            help="share spread over classes",
            low=0.0,
            high=0.99,
            when=(("loss", ("cross_entropy",)),),
        ),
        Param("clip", "float", help="largest norm of a step's gradient, over all weights; unset, any", low=1e-12),
        Param(
            "precision",
            "str",
            help="numbers of the passes through the network; weights, loss and updates stay float32",
            choices=PRECISIONS,
        ),
        Param("average", "str", help="mean of the weights on the way that is kept", choices=AVERAGES),
        Param("ema_decay", "float", help="rho of the moving mean", low=0.0, high=1.0, when=(("average", ("ema",)),)),
        Param(
            "swa_start",
            "float",
            help="share of the epochs before the mean",
            low=0,
            high=1,
            when=(("average", ("swa",)),),
        ),
        Param(
            "early_stopping",
            "bool",
            help="end when the validation score stalls, keep the best weights",
            when=(("average", ("none", "ema")),),
            wants_val=(True,),
        ),
        Param("patience", "int", help="looks at validation data without gain before the end", low=1, when=stops),
        Param("min_gain", "float", help="least gain of the score", low=0.0, high=1.0, when=stops),
    )


def _image_changes() -> tuple[Param, ...]:
    return (
        Param("augmentation", "str", help="random change of each image", choices=AUGMENTATIONS),
        Param("flip", "float", help="share of images mirrored left to right", low=0.0, high=1.0),
        Param("rotate", "float", help="largest angle in degrees, either way", low=0.0, high=180.0),
        Param("crop", "float", help="least side of a random window, which is enlarged again", low=0.1, high=1.0),
        Param("colour", "float", help="largest change of brightness, contrast, saturation", low=0.0, high=1.0),
        Param("cutout", "str", help="a black square: anywhere, or inside half of the images", choices=CUTOUTS),
        Param(
            "cutout_size",
            "int",
            help="its pixels per side; unset, a quarter of the image",
            low=1,
            when=(("cutout", ("any", "inside")),),
        ),
    )


def _moves() -> tuple[Param, ...]:
    return (
        Param("flip", "float", help="share of images mirrored left to right", low=0.0, high=1.0),
        Param("upside_down", "float", help="share of images mirrored top to bottom", low=0.0, high=1.0),
        Param("scale", "floats", help="least and largest random zoom", low=0.05, high=20.0, length=2),
        Param("stretch", "float", help="largest ratio of the zooms of width and height", low=1.0, high=4.0),
        Param("shift", "float", help="farthest random move, as a share of the sides", low=0.0, high=1.0),
        Param("rotate", "float", help="largest angle in degrees, either way", low=0.0, high=180.0),
        Param("colour", "float", help="largest change of brightness, contrast, saturation", low=0.0, high=1.0),
        Param("hue", "float", help="largest turn of all hues in degrees, either way", low=0.0, high=180.0),
        Param(
            "sizes",
            "ints",
            help="pixels of the longer side, one drawn for each step, rounded up to the stride; unset, as it is",
            low=1,
        ),
    )


def _transfer() -> tuple[Param, ...]:
    return (Param("backbone_lr", "float", help="rate of the backbone as a share of lr", low=1e-6, high=1.0),)


def _watching() -> tuple[Param, ...]:
    return (
        Param(
            "watch",
            "str",
            help="metric of the validation split that is looked at; unset, the first one where it is needed, else none",
            wants_val=ANY_VALUE,
        ),
        Param("watch_every", "int", help="epochs between two looks", low=1),
    )
