"""Trace the torch operators of a forward pass: FLOPs of products, and what else was computed.

Every operator passes through one dispatch mode. Composite ones are decomposed, products are counted by `formulas` or
else by torch's own (`torch.utils.flop_counter`), the others are listed with an estimate of their work (`uncounted`).
Torch's fused multi-head fast path, which hides attention, is disabled meanwhile.

Torch's `FlopCounterMode` is not used: it follows modules by hooks on gradients, which fail in some networks.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from mlcvbench.measure.formulas import Formula, formulas, is_product
from mlcvbench.measure.uncounted import NO_ARITHMETIC, work

COMPLEX_FACTOR = 4
"""Real multiply-adds of a complex one."""
OURS = ("aten.", "prims.", "torchvision.")
"""Namespaces in which every product is known by name; an operator of any other may be a product."""
BOOKKEEPING = ("prim.", "profiler.")
"""Namespaces whose operators compute nothing."""


@dataclass
class Trace:
    """The result of tracing.

    `flops`: counted so far, 2 per multiply-add. `uncounted`: calls of operators that compute but were not counted.
    `products`: those among them that are products, or may be, and have no formula. `work`: the estimated operations of
    the others, None when one of them has no estimate. `devices`: the devices used.
    """

    flops: int = 0
    calls: int = 0
    uncounted: Counter[str] = field(default_factory=Counter)
    products: Counter[str] = field(default_factory=Counter)
    work: float | None = 0.0
    devices: set[str] = field(default_factory=set)

    @property
    def coverage(self) -> float | None:
        """Counted FLOPs as a fraction of those plus the estimated work of the rest, None when that is unknown."""
        if self.work is None or self.products or not self.flops + self.work:
            return None
        return self.flops / (self.flops + self.work)

    def add(self, func: Any, name: str, args: Any, out: Any, flops: int | None) -> None:
        """Record a call of an operator with its FLOPs, None when no formula counts it."""
        import torch

        tensors = [leaf for leaf in torch.utils._pytree.tree_leaves(out) if isinstance(leaf, torch.Tensor)]
        self.devices.update(tensor.device.type for tensor in tensors)
        if flops is None:
            self._list(func, name, args, out)
        else:
            self.flops += flops * (COMPLEX_FACTOR if any(tensor.is_complex() for tensor in tensors) else 1)

    def _list(self, func: Any, name: str, args: Any, out: Any) -> None:
        short = name.removeprefix("aten.")
        if short in NO_ARITHMETIC or name.startswith(BOOKKEEPING):
            return
        self.uncounted[name] += 1
        estimate = work(func, short, args, out)
        if estimate is None and (is_product(name) or not name.startswith(OURS)):
            self.products[name] += 1
        elif estimate is None or self.work is None:
            self.work = None
        else:
            self.work += estimate


@contextlib.contextmanager
def tracing() -> Iterator[Trace]:
    """Trace torch operators in this thread; the yielded `Trace` is always up to date (layers read it live)."""
    import torch

    trace = Trace()
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with _tracer(trace):
            yield trace
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def _tracer(trace: Trace) -> Any:
    """Return the dispatch mode that fills `trace`."""
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils.flop_counter import flop_registry

    own = formulas()

    def by_torch(packet: Any, kwargs: Any) -> Formula | None:
        if packet not in flop_registry:
            return None
        return lambda args, out: int(flop_registry[packet](*args, **kwargs, out_val=out))

    class Tracer(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's base is not typed
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            packet = getattr(func, "_overloadpacket", func)
            name = str(packet)
            formula = own.get(name) or by_torch(packet, kwargs)
            if formula is None and hasattr(func, "decompose"):
                with self:
                    out = func.decompose(*args, **kwargs)
                if out is not NotImplemented:
                    return out
            out = func(*args, **kwargs)
            trace.calls += 1
            if not getattr(func, "is_view", False):
                trace.add(func, name, args, out, _flops(formula, args, out))
            return out

    return Tracer()  # type: ignore[no-untyped-call]  # as above


def _flops(formula: Formula | None, args: Any, out: Any) -> int | None:
    """Return the FLOPs by a formula, None where there is none or it does not fit the call."""
    import torch

    if formula is None:
        return None
    leaves = torch.utils._pytree.tree_leaves(args)
    if any(isinstance(leaf, torch.Tensor) and str(leaf.layout).startswith("torch.sparse") for leaf in leaves):
        return None
    try:
        return formula(args, out)
    except Exception:  # noqa: BLE001 - a formula asserts the cases its author considered; others are listed as uncounted
        return None
