"""Optimizers, losses and learning rates as the client names them, as Keras makes them."""

import math
from typing import Any

import keras

from shared.training_params import CosineDecay, ExponentialDecay, PlateauDecay, StepDecay, Training

LOSSES = {
    "mean_squared_error": keras.losses.MeanSquaredError,
    "mean_absolute_error": keras.losses.MeanAbsoluteError,
    "binary_crossentropy": keras.losses.BinaryCrossentropy,
    "categorical_crossentropy": keras.losses.CategoricalCrossentropy,
}


def optimizer(params: Training) -> Any:  # Any: Keras ships no types
    """The optimizer; its learning rate is set before each epoch."""
    shared = {"clipnorm": params.clip_norm} if params.clip_norm is not None else {}
    match params.optimizer:
        case "gradient_descent":
            return keras.optimizers.SGD(**shared)
        case "sgd":
            return keras.optimizers.SGD(momentum=params.momentum, nesterov=params.nesterov, **shared)
        case "rmsprop":
            return keras.optimizers.RMSprop(momentum=params.momentum, **shared)
        case "adam":
            return keras.optimizers.Adam(**shared)
    return keras.optimizers.AdamW(weight_decay=params.weight_decay, **shared)


def loss(name: str, huber_delta: float) -> Any:  # Any: Keras ships no types
    if name == "huber":
        return keras.losses.Huber(delta=huber_delta)
    return LOSSES[name]()


def losses(name: str, huber_delta: float) -> Any:  # Any: Keras ships no types
    """The same of each example by itself: y and outputs (examples, …) to (examples,)."""
    if name == "huber":
        return keras.losses.Huber(delta=huber_delta, reduction=None)
    return LOSSES[name](reduction=None)


def rate(params: Training, epoch: float, *, epochs: int) -> float:
    """The learning rate at an epoch of so many, from 0 on; a plateau schedule begins here and goes down by itself."""
    wanted = params.learning_rate
    match wanted:
        case ExponentialDecay():
            return wanted.initial * wanted.rate ** (epoch / wanted.every_epochs)
        case CosineDecay():
            return _cosine(wanted, epoch, epochs)
        case StepDecay():
            return wanted.values[sum(epoch >= edge for edge in wanted.epochs)]
        case PlateauDecay():
            return wanted.initial
    return wanted


def _cosine(wanted: CosineDecay, epoch: float, epochs: int) -> float:
    if epoch < wanted.warmup_epochs:
        return wanted.initial * (epoch + 1) / (wanted.warmup_epochs + 1)
    part = (epoch - wanted.warmup_epochs) / max(1.0, epochs - wanted.warmup_epochs)
    return wanted.final + (wanted.initial - wanted.final) * (1 + math.cos(math.pi * min(1.0, part))) / 2
