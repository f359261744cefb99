"""Update rules by name, with the penalties and the decay that go with a step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlcvbench_training.settings import HEAVY_BALLS

if TYPE_CHECKING:
    import torch
    from torch import nn

    from mlcvbench_training.settings import Settings


class Rule:
    """A torch optimizer that takes a learning rate a step, and what `fit.l1`, `l2` and `weight_decay` add to it.

    All three change matrices and filters only: vectors (biases, parameters of norms) are free. In the order of a step:
    g *= min(1, clip / |g|), with |g| over all parameters (Pascanu, Mikolov and Bengio, 2013); g += l2 theta (the
    gradient of l2/2 |theta|^2); theta *= 1 - lr weight_decay (decoupled, as in AdamW, whatever the rule); the update;
    theta = sign(theta) max(|theta| - lr l1, 0), the proximal step of l1 |theta|, which reaches zero exactly.

    Momentum is v = beta v - lr g, theta += v (Nesterov: g at theta + beta v, where torch keeps the parameters). torch's
    SGD has v = beta v + g, theta -= lr v, the same at a constant rate but not after a change of it, since the old steps
    would change with it; fed with lr g at a rate of 1 it is the form above. So the loss is multiplied by `scale` before
    its gradient is taken, which costs nothing.

    The parameters of a `backbone` have `settings.backbone_lr` times the rate in all of this.
    """

    def __init__(self, module: nn.Module, settings: Settings, backbone: nn.Module | None = None) -> None:
        trainable = [parameter for parameter in module.parameters() if parameter.requires_grad]
        self.settings = settings
        self.heavy = settings.optimizer in HEAVY_BALLS
        self.weights = [parameter for parameter in trainable if parameter.ndim > 1]
        self.others = [parameter for parameter in trainable if parameter.ndim <= 1]
        parts = (self.weights, self.others) if settings.l2 else ([*self.weights, *self.others],)  # a group costs time
        slow: set[int] = set()
        if backbone is not None and settings.backbone_lr != 1:
            slow = {id(parameter) for parameter in backbone.parameters()}
        groups = [
            {"params": chosen, "share": settings.backbone_lr if slowly else 1.0}
            for part in parts
            for slowly in (False, True)
            if (chosen := [parameter for parameter in part if (id(parameter) in slow) == slowly])
        ]
        self.paces = [settings.backbone_lr if id(weight) in slow else 1.0 for weight in self.weights]
        self.optimizer = _optimizer(groups, settings)
        self._forget()

    def scale(self, rate: float) -> float:
        """Return what to multiply the loss by, for a step of this rate."""
        return rate if self.heavy else 1.0

    def step(self, rate: float, momentum: float) -> None:
        """Change the parameters by the gradients of the scaled loss, and forget these."""
        import torch

        settings = self.settings
        with torch.no_grad():
            self._set(rate, momentum)
            if settings.clip is not None:
                largest = settings.clip * self.scale(rate)
                torch.nn.utils.clip_grad_norm_([*self.weights, *self.others], largest)
            if settings.weight_decay:
                for weight, pace in zip(self.weights, self.paces, strict=True):
                    weight.mul_(1 - pace * rate * settings.weight_decay)
            self.optimizer.step()
            if settings.l1:
                for weight, pace in zip(self.weights, self.paces, strict=True):
                    weight.copy_(torch.nn.functional.softshrink(weight, pace * rate * settings.l1))
        self._forget()

    def _forget(self) -> None:
        """Drop the gradients, as zero_grad does without its record for the profiler: a perceptron's step feels it."""
        for parameter in (*self.weights, *self.others):
            parameter.grad = None

    def _set(self, rate: float, momentum: float) -> None:
        """Bring the rate, the momentum and the L2 gradient (torch's weight_decay) to what this step wants."""
        for group in self.optimizer.param_groups:
            group["lr"] = group["share"] * (1.0 if self.heavy else rate)
            if self.settings.l2 and group["params"][0].ndim > 1:
                group["weight_decay"] = self.settings.l2 * self.scale(rate)
            if self.heavy:
                group["momentum"] = momentum

    def state(self) -> dict[str, torch.Tensor]:
        """Return the optimizer's memory as named tensors."""
        stored: dict[int, dict[str, torch.Tensor]] = self.optimizer.state_dict()["state"]
        return {f"{index}/{name}": value for index, entry in stored.items() for name, value in entry.items()}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Go on from what `state` gave, in the memory layout that the parameters have."""
        import torch

        parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        entries: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in state.items():
            number, _, name = key.partition("/")
            parameter = parameters[int(number)]
            like = torch.empty_like(parameter).copy_(value) if value.shape == parameter.shape else value
            entries.setdefault(int(number), {})[name] = like
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": entries})


def _optimizer(groups: list[dict[str, Any]], settings: Settings) -> torch.optim.Optimizer:
    import torch

    name, lr = settings.optimizer, settings.lr
    if name in {"gd", "sgd", "online_gd"}:
        return torch.optim.SGD(groups, lr=lr)
    if name in HEAVY_BALLS:
        nesterov = name == "nesterov" and settings.momentum > 0  # without momentum torch has no such form
        return torch.optim.SGD(groups, lr=lr, momentum=settings.momentum, nesterov=nesterov)
    if name == "adagrad":
        return torch.optim.Adagrad(groups, lr=lr, eps=1e-10 if settings.eps is None else settings.eps)
    eps = 1e-8 if settings.eps is None else settings.eps
    if name == "rmsprop":
        return torch.optim.RMSprop(groups, lr=lr, alpha=settings.beta, eps=eps)
    return torch.optim.Adam(groups, lr=lr, betas=(settings.beta1, settings.beta2), eps=eps)
