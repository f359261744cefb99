"""The stereo methods by name: what each is, its settings and where it comes from. Imports nothing heavy.

The defaults of the networks are small, for images of 128 pixels on a CPU; the module of each method says which settings
give the published one.
"""

from __future__ import annotations

from mlcvbench.specs import ModelSpec, Param
from mlcvbench_stereo.settings import DISPNET_FIT, FIT, GC_NET_FIT, MC_CNN_FIT, RAFT_FIT, TEARING
from mlcvbench_training.settings import NetworkSettings, network_fit_params

OWN, OPENCV = (("search", ("own",)),), (("search", ("opencv",)),)
DISPARITIES = Param("disparities", "int", low=16, high=1024, help="search range, a multiple of 16; default: the data's")
WIDEN = Param("widen", "bool", True, "widen images on the left; else its first columns have no estimate")
SEARCH = Param("search", "str", "own", "who looks: this package or OpenCV", choices=("own", "opencv"))
COLOUR_HELP = "compare red, green and blue, not grey"
RANGE = Param("disparities", "int", low=4, high=1024, help="search range; default: that of the data it is fitted on")
ZBONTAR = "Zbontar and LeCun, Stereo matching by training a CNN to compare image patches, JMLR 2016"
MAYER = "Mayer et al., A large dataset to train convolutional networks for disparity, CVPR 2016"
KENDALL = "Kendall et al., End-to-end learning of geometry and context for deep stereo regression, ICCV 2017"
CHANG = "Chang and Chen, Pyramid stereo matching network, CVPR 2018"
LIPSON = "Lipson, Teed and Deng, RAFT-Stereo: Multilevel recurrent field transforms for stereo matching, 3DV 2021"


def specs() -> list[ModelSpec]:
    """Return every method of the family."""
    return [_block_matching(), _sgm(), _mc_cnn(), *_dispnets(), _gc_net(), _psmnet(), _raft_stereo()]


def _network(
    name: str,
    target: str,
    summary: str,
    source: tuple[str, int],
    params: tuple[Param, ...],
    settings: NetworkSettings = FIT,
) -> ModelSpec:
    return ModelSpec(
        name=name,
        kinds=("depth",),
        target=f"mlcvbench_stereo.{target}",
        summary=summary,
        needs=("left", "right"),
        params=params,
        fit=network_fit_params(settings, TEARING),
        ragged=True,
        family="stereo",
        reference=source[0],
        year=source[1],
    )


def _width(default: int, what: str) -> Param:
    return Param("width", "int", default, what, low=2, high=512)


def _mc_cnn() -> ModelSpec:
    accurate = (("net", ("accurate",)),)
    return _network(
        "mc_cnn",
        "mc_cnn:MCCNN",
        "A network says how well two patches match; semi-global matching makes a map of it.",
        (ZBONTAR, 2016),
        (
            Param(
                "net", "str", "fast", "cosine of descriptions, or layers that judge them", choices=("fast", "accurate")
            ),
            _width(32, "features of a pixel"),
            Param("layers", "int", 4, "convolutions 3x3, each widens the patch by 2 pixels", low=1, high=10),
            Param("hidden", "int", 64, "units of the layers that judge", low=1, high=2048, when=accurate),
            RANGE,
            Param("colour", "bool", False, COLOUR_HELP),
            Param("p1", "float", 0.05, "penalty of a step by 1, as share of a sure mismatch", low=0.001, high=4),
            Param("p2", "float", 0.4, "penalty of a larger step, likewise", low=0.002, high=4),
            Param("edges", "float", 10.0, "step of grey at which p2 is halved; 0 = it is constant", low=0),
        ),
        MC_CNN_FIT,
    )


def _dispnets() -> list[ModelSpec]:
    params = (
        _width(16, "channels of the first layer"),
        Param("ramp", "int", 40, "steps until the next finer prediction is the one that is learned", low=1),
    )
    reach = Param(
        "displacement", "int", low=1, high=512, help="largest, in pixels of a quarter of the size; default: the data's"
    )
    return [
        _network(
            "dispnet_s",
            "dispnet:DispNetS",
            "An encoder and decoder on both images stacked, with predictions at six sizes.",
            (MAYER, 2016),
            params,
            DISPNET_FIT,
        ),
        _network(
            "dispnet_c",
            "dispnet:DispNetC",
            "The same after features of each image and their correlation along the row.",
            (MAYER, 2016),
            (*params, reach),
            DISPNET_FIT,
        ),
    ]


def _gc_net() -> ModelSpec:
    return _network(
        "gc_net",
        "gc_net:GCNet",
        "All pairs of features in a volume, 3-D convolutions, and the mean disparity under softmax.",
        (KENDALL, 2017),
        (_width(8, "features of a pixel"), RANGE),
        GC_NET_FIT,
    )


def _psmnet() -> ModelSpec:
    return _network(
        "psmnet",
        "psmnet:PSMNet",
        "Features with the context of four sizes, and three hourglasses in three dimensions.",
        (CHANG, 2018),
        (
            _width(8, "features of a pixel"),
            Param("blocks", "ints", [1, 2, 1, 1], "residual blocks of the four stages", low=1, high=32, length=4),
            Param(
                "pools",
                "ints",
                [16, 8, 4, 2],
                "sides of the squares of context at a quarter of the size",
                low=1,
                high=256,
            ),
            RANGE,
        ),
    )


def _raft_stereo() -> ModelSpec:
    return _network(
        "raft_stereo",
        "raft_stereo:RAFTStereo",
        "An estimate is corrected step by step by what all pairs of a row say around it.",
        (LIPSON, 2021),
        (
            _width(16, "channels of the first layer"),
            Param("sizes", "int", 3, "sizes of maps, from a quarter on, in which the updates think", low=1, high=4),
            Param("steps", "int", 6, "corrections of an estimate", low=1, high=64),
        ),
        RAFT_FIT,
    )


def _cost(default: str, *others: str) -> Param:
    what = "how unlike two pixels are"
    return Param("cost", "str", default, what, choices=(default, *others), when=OWN)


def _block(default: int, low: int, high: int) -> Param:
    return Param("block", "int", default=default, low=low, high=high, help="side of the window, odd")


def _checks(uniqueness: int, when: tuple[tuple[str, tuple[str, ...]], ...] = ()) -> tuple[Param, ...]:
    return (
        Param("uniqueness", "int", uniqueness, "margin of the best cost, percent", low=0, high=99, when=when),
        Param("speckle_window", "int", 100, "smaller blobs are holes, pixels", low=0, when=when),
        Param("speckle_range", "int", 2, "largest step inside a blob, pixels", low=0, when=when),
        Param("consistency", "int", 1, "largest left-right difference, px; -1 = off", low=-1, when=when),
    )


def _block_matching() -> ModelSpec:
    return ModelSpec(
        name="block_matching",
        kinds=("depth",),
        target="mlcvbench_stereo.block_matching:block_matching",
        summary="Compares windows along the row and takes the most similar one.",
        needs=("left", "right"),
        params=(
            DISPARITIES,
            WIDEN,
            SEARCH,
            _block(15, 5, 255),
            _cost("sad", "census", "birchfield"),
            Param("colour", "bool", False, COLOUR_HELP, when=OWN),
            *_checks(15, OWN),
        ),
        ragged=True,
        family="stereo",
        reference="Konolige, Small vision systems, ISRR 1997; OpenCV StereoBM",
        year=1997,
    )


def _sgm() -> ModelSpec:
    return ModelSpec(
        name="sgm",
        kinds=("depth",),
        target="mlcvbench_stereo.sgm:semi_global_matching",
        summary="Matching costs plus smoothness along several scan directions.",
        needs=("left", "right"),
        params=(
            DISPARITIES,
            WIDEN,
            SEARCH,
            _block(5, 1, 51),
            _cost("birchfield", "sad", "census"),
            Param("colour", "bool", False, COLOUR_HELP),
            Param("mode", "str", "sgbm", "5, 8, 4 or 3 directions", choices=("sgbm", "hh", "hh4", "3way")),
            Param("p1", "int", low=0, help="penalty of a step by 1; default 8 x block^2 x channels"),
            Param("p2", "int", low=1, help="penalty of a larger step; default 32 x block^2 x channels"),
            Param("edges", "float", 0.0, "step of grey at which p2 is halved; 0 = it is constant", low=0, when=OWN),
            *_checks(10),
            Param("fill", "bool", False, "fill holes with the smaller disparity beside them", when=OWN),
        ),
        ragged=True,
        family="stereo",
        reference="Hirschmüller, Stereo processing by semiglobal matching and mutual information, PAMI 2008",
        year=2008,
    )
