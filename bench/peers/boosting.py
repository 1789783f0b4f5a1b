"""Gradient boosted trees with scikit-learn's defaults: what a careful user would try beside a network."""

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import accuracy_score, log_loss, r2_score, root_mean_squared_error


def judge(
    kind: str, x: np.ndarray, y: np.ndarray, asked: np.ndarray, truth: np.ndarray, *, seed: int
) -> dict[str, float]:
    """What trees learned from x (rows, columns) and y (rows,) come to on other rows, by our names of the metrics."""
    if kind == "classification":
        trees = HistGradientBoostingClassifier(random_state=seed).fit(x, y)
        told = trees.predict_proba(asked)
        loss = log_loss(truth, told, labels=trees.classes_)
        return {"log_loss": float(loss), "accuracy": float(accuracy_score(truth, trees.predict(asked)))}
    numbers = HistGradientBoostingRegressor(random_state=seed).fit(x, y).predict(asked)
    return {"rmse": float(root_mean_squared_error(truth, numbers)), "r2": float(r2_score(truth, numbers))}
