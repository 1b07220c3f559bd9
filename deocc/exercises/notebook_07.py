"""Exercises of notebook 07, the paper against the released code."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from deocc.exercises.verdict import ask, exercise, near, require
from deocc.released import ShrinkingPartialConv2d
from deocc.training.losses import mask_probability


@exercise
def straight_through(answer: Any) -> str:
    """(N x 2 x H x W logits) -> N x 1 x H x W: the argmax in value, the probability in gradient."""
    logits = torch.randn(3, 2, 5, 7, generator=torch.Generator().manual_seed(0)).requires_grad_()
    weight = torch.randn(3, 1, 5, 7, generator=torch.Generator().manual_seed(1))
    found = ask(answer, logits)
    require(isinstance(found, torch.Tensor), "return a tensor")
    near(found.detach(), logits.detach().argmax(1, keepdim=True), "the mask")
    require(found.requires_grad, "the mask is right, but it carries no gradient")
    (gradient,) = torch.autograd.grad((found * weight).sum(), logits)
    (wanted,) = torch.autograd.grad((mask_probability(logits) * weight).sum(), logits)
    near(gradient, wanted, "the gradient")
    return "a hard mask in the forward pass, the gradient of the soft one in the backward pass."


@exercise
def lost_factor(answer: Any) -> str:
    """(channels, kernels: lists, one entry per layer) -> how much smaller the released stack's output is."""
    for channels, kernels in (([3], [7]), ([3, 8], [7, 5]), ([4, 6, 5], [3, 5, 3])):
        found = ask(answer, channels, kernels)
        near(found, _measured_loss(channels, kernels), f"the factor of {channels} and {kernels}", 1e-3)
    return "every layer's C k^2, multiplied up: nothing between the layers gives it back."


def _measured_loss(channels: list[int], kernels: list[int]) -> float:
    """Ordinary convolutions without bias over the same stack of released ones, everything known."""
    x = torch.rand(1, channels[0], 24, 24) + 0.5
    ours, theirs = x, x
    for outputs, inputs, k in zip([*channels[1:], 1], channels, kernels, strict=True):
        layer = ShrinkingPartialConv2d(inputs, outputs, k, bias=False)
        torch.nn.init.uniform_(layer.conv.weight, 0.1, 0.2)
        ours = F.conv2d(ours, layer.conv.weight)
        theirs = layer(theirs, torch.ones_like(theirs[:, :1]))[0]
    return float(ours.detach().mean() / theirs.detach().mean())


@exercise
def similarity(answer: Any) -> str:
    """(masks N x P, templates K x P) -> N x K: highest for the template that the mask is nearest to."""
    rng = np.random.default_rng(0)
    for size in (4, 9):  # nested squares: the largest has the largest dot product with each of them
        nested = np.zeros((size, size, size))
        for k in range(size):
            nested[k, : k + 1, : k + 1] = 1
        templates = nested.reshape(size, -1)
        found = np.asarray(ask(answer, templates, templates), float)
        require(found.shape == (size, size), f"the result has shape {found.shape}; expected N x K")
        require(np.isfinite(found).all(), "there are numbers that are not finite in the result")
        wrong = [k for k in range(size) if found[k].argmax() != k or (found[k] == found[k, k]).sum() > 1]
        require(not wrong, f"given template {wrong[:1]} itself as the mask, another one looks as near")
        masks = np.clip(templates[[1, size - 1]] + rng.normal(0, 0.02, (2, size * size)), 0, 1)
        found = np.asarray(ask(answer, masks, templates), float)
        require(found.shape == (2, size), f"the result has shape {found.shape}; expected 2 x {size}")
        require((found.argmax(1) == [1, size - 1]).all(), "a mask with a little noise finds another template")
    return "each mask finds its own template, however large the others are."


@exercise
def pull_on_fakes(answer: Any) -> str:
    """(logits of fakes, array) -> d/dx [BCE(x, 0) + BCE(x, 1)]: where the released adversary drives them."""
    logits = np.array([-4.0, -1.0, 0.0, 0.5, 3.0])
    x = torch.tensor(logits, requires_grad=True)
    targets = torch.zeros_like(x), torch.ones_like(x)
    sum(F.binary_cross_entropy_with_logits(x, t, reduction="sum") for t in targets).backward()  # type: ignore[union-attr]
    assert x.grad is not None
    near(ask(answer, logits), x.grad, "the derivative")
    return "it is 0 at a logit of 0: the adversary is paid for having no opinion of a fake."
