"""From logits to shares: at a temperature, and of the likeliest only."""

import numpy as np


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Logarithms of the shares of each row; what is -inf has none."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    made: np.ndarray = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return made


def tempered(likelihoods: np.ndarray, temperature: float) -> np.ndarray:
    """Rows of log-likelihoods at a temperature above 0, each beside the likeliest of its row, which is 1."""
    shares: np.ndarray = np.exp((likelihoods - likelihoods.max(axis=1, keepdims=True)) / temperature)
    return shares


def likeliest(shares: np.ndarray, top_p: float) -> np.ndarray:
    """Of each row the largest shares that make up `top_p` of it together; the others are 0.

    Holtzman and others, "The curious case of neural text degeneration", ICLR 2020.
    """
    if top_p >= 1:
        return shares
    order = np.argsort(-shares, axis=1, kind="stable")
    falling = np.take_along_axis(shares, order, axis=1)
    is_kept = np.cumsum(falling, axis=1) - falling < top_p * falling.sum(axis=1, keepdims=True)
    kept = np.zeros_like(shares)
    np.put_along_axis(kept, order, falling * is_kept, axis=1)
    return kept
