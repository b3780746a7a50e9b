"""Deployment risk on 23,912 commits: AUC, Brier, capture at gates and calibration on the newest fifth.

The data lie beside the repository (`../shared/data/sre/issta21_qt.csv`). The model is fitted on the first 80 % by time;
its form was chosen on time splits inside those. The baseline is logistic regression on log1p of the same features.
"""

from __future__ import annotations

import csv
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from bench.harness import report
from cogniforge_pipeline.sre.risk import fit_risk

DATA = Path(__file__).parents[2] / "shared" / "data" / "sre" / "issta21_qt.csv"
FEATURES = ("ns", "nd", "nf", "entrophy", "la", "ld", "lt", "fix", "ndev", "age", "nuc", "exp", "rexp", "sexp")
BARS = {"auc": 0.76, "capture_5": 0.20, "capture_10": 0.32, "capture_50": 0.80}
VARIANTS = 89
"""Model variants compared on time splits inside the first 80 %; the newest fifth was not looked at while choosing."""


def figures(failed: np.ndarray, probability: np.ndarray) -> dict[str, float]:
    """AUC, Brier score, and the share of failures among the riskiest 5, 10 and 50 %."""
    from sklearn.metrics import roc_auc_score

    order = np.argsort(-probability, kind="stable")
    capture = {
        f"capture_{gate}": float(failed[order[: round(gate / 100 * len(order))]].sum() / failed.sum())
        for gate in (5, 10, 50)
    }
    brier = float(np.mean((probability - failed) ** 2))
    return {"auc": float(roc_auc_score(failed, probability)), "brier": brier, **capture}


def main() -> None:
    """Fit, assess the newest fifth and print the figures of the model and of the baseline."""
    if not DATA.exists():
        sys.exit(f"{DATA} is not there")
    with DATA.open(encoding="utf-8", newline="") as file:
        rows = [
            {name: float(row[name]) for name in FEATURES}
            | {"at": datetime.fromtimestamp(int(row["date"]), UTC), "failed": row["bug"] == "1"}
            for row in csv.DictReader(file)
        ]
    rows.sort(key=lambda row: row["at"])
    cut = int(0.8 * len(rows))
    failed = np.array([row["failed"] for row in rows])
    model = fit_risk(rows[:cut], features=FEATURES)
    probability = model.probabilities(rows[cut:])
    ours = figures(failed[cut:], probability)

    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    plain = np.log1p(np.array([[row[name] for name in FEATURES] for row in rows]))
    logistic = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(plain[:cut], failed[:cut])
    theirs = figures(failed[cut:], logistic.predict_proba(plain[cut:])[:, 1])
    constant = float(np.mean((failed[:cut].mean() - failed[cut:]) ** 2))
    print(f"{model.basis}; the newest {len(rows) - cut} assessed, {failed[cut:].sum()} failed")
    for name, value in ours.items():
        bar = f"  bar {BARS[name]:.2f} {'met' if value >= BARS[name] else 'NOT met'}" if name in BARS else ""
        print(f"{name:11} {value:.4f}  log1p + logistic {theirs[name]:.4f}{bar}")
    print(f"brier of the constant rate {constant:.4f}; model variants compared while choosing: {VARIANTS}")
    print("calibration:  deployments  said  came")
    for part in np.array_split(np.argsort(probability, kind="stable"), 10):
        print(f"{'':13} {len(part):11}  {probability[part].mean():.3f}  {failed[cut:][part].mean():.3f}")
    worst = min(ours[name] / bar for name, bar in BARS.items())
    base = min(theirs[name] / bar for name, bar in BARS.items())
    told = {name: round(value, 4) for name, value in ours.items()}
    report("risk", worst, base, 1 / base, at_least=True, bars=BARS, figures=told, variants_compared=VARIANTS)


if __name__ == "__main__":
    main()
