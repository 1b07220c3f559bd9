"""Quick measurements of the released code's departures: gradients, scales, discriminators."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from deocc.experiments.presets import get_preset
from deocc.models import ContentRecoveryNet, MaskCompletionNet, PartialConv2d, count_parameters
from deocc.models.content_recovery import PartialLayer
from deocc.occlusion.batch import Batch
from deocc.released import FullResolutionNet
from deocc.training.system import System

Norms = dict[str, dict[str, float]]


def stage1_parts(system: System) -> dict[str, nn.Module]:
    """Parts of stage 1 that a loss may train, by name, the discriminator last."""
    net: Any = system.network
    modal, amodal = net.modal_branch, net.amodal_branch
    parts = {
        "hourglass N_m": [net.modal_stem, net.modal_hourglass],
        "parsing feature of N_m": [modal.block],
        "head of P_m": [modal.parsing],
        "head of M_m": [modal.mask, modal.border],
        "hourglass N_a": [net.amodal_stem, net.amodal_join, net.amodal_hourglass],
        "parsing feature of N_a": [amodal.block],
        "head of P_a": [amodal.parsing],
        "templates' convolution": [net.guide],
        "head of M_a": [amodal.mask, amodal.border],
        "discriminator": [system.discriminator],
    }
    return {name: nn.ModuleList(modules) for name, modules in parts.items()}


def stage2_parts(system: System) -> dict[str, nn.Module]:
    """Parts of stage 2 that a loss may train, by name, the discriminator last."""
    net: Any = system.network
    assert system.discriminator is not None
    return {
        "encoder": net.encoder,
        "attention, encoder": net.encoder_attention,
        "decoder": net.decoder,
        "attention, decoder": net.decoder_attention,
        "last layer": net.head,
        "discriminator": system.discriminator,
    }


def gradient_norms(system: System, batch: Batch, parts: Mapping[str, nn.Module], seed: int = 0) -> Norms:
    """Norm of the gradient of each weighted loss term with respect to each part.

    Args:
        system: its step is set to 0, at which all terms are active.
        batch: a training batch.
        parts: name -> module.
        seed: of the draws inside the losses.

    Returns:
        term -> part -> norm; exactly 0 if no gradient arrives. The discriminator's own loss is the term
        "discriminator".
    """
    torch.manual_seed(seed)
    system.step = 0
    system.network.train()
    terms = system.losses(batch)
    terms = {**terms, **system.discriminator_losses(batch)}
    return {name: _norms_of(value, parts) for name, value in terms.items()}


def _norms_of(term: Tensor, parts: Mapping[str, nn.Module]) -> dict[str, float]:
    for part in parts.values():
        part.zero_grad(set_to_none=True)
    if term.requires_grad:
        term.backward(retain_graph=True)
    found = {}
    for name, part in parts.items():
        kept = [p.grad.double().square().sum() for p in part.parameters() if p.grad is not None]
        found[name] = float(torch.stack(kept).sum().sqrt()) if kept else 0.0
    return found


def layer_scales(network: ContentRecoveryNet, inputs: Sequence[Tensor]) -> dict[str, tuple[float, float]]:
    """Standard deviations of the output of every partial convolution and of its layer.

    Args:
        network: runs in training mode (batch statistics).
        inputs: of its forward pass.

    Returns:
        "encoder 1", ..., "decoder 1" -> standard deviations over known positions.
    """
    found: dict[str, list[float]] = {}
    handles = []
    for place, layers in (("encoder", network.encoder), ("decoder", network.decoder)):
        for k, layer in layers.items():
            assert isinstance(layer, PartialLayer)
            for module in (layer.partial, layer):
                handles.append(module.register_forward_hook(_keep(found, f"{place} {k}")))
    try:
        with torch.no_grad():
            network.train()(*inputs)
    finally:
        for handle in handles:
            handle.remove()
    return {name: (values[0], values[1]) for name, values in found.items()}


def _keep(found: dict[str, list[float]], name: str) -> Callable[[Any, Any, Any], None]:
    def hook(module: nn.Module, given: Any, result: tuple[Tensor, Tensor]) -> None:
        y, known = result
        found.setdefault(name, []).append(float(y[known.expand_as(y) > 0].std()))

    return hook


def window_sizes(network: ContentRecoveryNet) -> dict[str, int]:
    """C k^2 of every partial convolution in order: the factor that the released ones lack."""
    layers = {f"encoder {k}": layer for k, layer in network.encoder.items()}
    layers |= {f"decoder {k}": layer for k, layer in reversed(list(network.decoder.items()))}
    sizes = {}
    for name, layer in layers.items():
        assert isinstance(layer, PartialLayer) and isinstance(layer.partial, PartialConv2d)
        sizes[name] = round(float(layer.partial.counts.sum()))
    return sizes


def train_discriminator(
    judge: nn.Module,
    real: Tensor,
    fake: Tensor,
    loss: Callable[[Tensor, Tensor], Tensor],
    steps: int = 60,
    lr: float = 2e-3,
) -> list[tuple[float, float]]:
    """Trains a discriminator alone on fixed real and fake pictures.

    Args:
        judge: maps N x C x H x W to logits.
        real, fake: N x C x H x W.
        loss: of real and fake logits.
        steps: of Adam on the whole batch.
        lr: learning rate.

    Returns:
        Mean logit of real and of fake after each step.
    """
    optimizer = torch.optim.Adam(judge.parameters(), lr=lr, betas=(0.5, 0.999))
    course = []
    for _ in range(steps):
        logits = judge(torch.cat([real, fake])).chunk(2)
        optimizer.zero_grad()
        loss(*logits).backward()
        optimizer.step()
        course.append((float(logits[0].detach().mean()), float(logits[1].detach().mean())))
    return course


def stage1_cost(preset: str = "paper", repeats: int = 3) -> dict[str, dict[str, float]]:
    """The cost of stage 1 at a preset's size: at full resolution as released, and at ours.

    Args:
        preset: its name.
        repeats: timed forward passes of one picture, of which the median CPU time is taken; 0: none.

    Returns:
        name -> parameters, flop of one picture (a multiply-add counts two), and CPU seconds if timed.
    """
    sizes = get_preset(preset)
    settings = sizes.mask.settings
    shape = (settings.templates, settings.template_size, settings.template_size)
    networks: dict[str, nn.Module] = {
        "full resolution, w = 4": FullResolutionNet(64, templates=shape),
        "full resolution, w = 2": FullResolutionNet(32, templates=shape),
        f"half resolution, width {settings.width}": MaskCompletionNet(
            settings.width, templates=shape, levels=settings.levels
        ),
    }
    return {name: _cost(network.eval(), sizes.size, repeats) for name, network in networks.items()}


def _cost(network: nn.Module, size: int, repeats: int) -> dict[str, float]:
    given = torch.zeros(1, 3, size, size), torch.zeros(1, 1, size, size)
    found: dict[str, float] = {"parameters": count_parameters(network)}
    with torch.inference_mode():
        seconds = []
        for _ in range(repeats + 1 if repeats else 0):
            begun = time.process_time()  # of this process: other work on the machine does not count
            network(*given)
            seconds.append(time.process_time() - begun)
        if seconds:
            found["seconds"] = round(statistics.median(seconds[1:]), 3)
    meta = network.to("meta")
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        meta(*(x.to("meta") for x in given))
    found["flop"] = counter.get_total_flops()
    return found
