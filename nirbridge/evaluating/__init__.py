"""One graph on a whole data set: decisions, accuracy, spikes and energy."""

from nirbridge.evaluating.call import evaluate
from nirbridge.evaluating.costs import Cost
from nirbridge.evaluating.evaluation import Evaluation

__all__ = ["Cost", "Evaluation", "evaluate"]
