"""How the losses of several tasks become one step: weights of losses, or what becomes of gradients that disagree."""

from tandemrec.config import Task, TrainSettings
from tandemrec.learn.balance.balancer import Balancer
from tandemrec.learn.balance.surgery import ConflictAverse, MinimumNorm, ProjectedConflicts
from tandemrec.learn.balance.weighting import AverageOfChange, GradientNorms, Uncertainty

BALANCERS: dict[str, type[Balancer]] = {
    "fixed": Balancer,
    "uncertainty": Uncertainty,
    "dwa": AverageOfChange,
    "gradnorm": GradientNorms,
    "pcgrad": ProjectedConflicts,
    "cagrad": ConflictAverse,
    "mgda": MinimumNorm,
}


def balancer(tasks: tuple[Task, ...], settings: TrainSettings) -> Balancer:
    """The balancer that the settings name."""
    return BALANCERS[settings.balance.method](tasks, settings.balance)


__all__ = ["BALANCERS", "Balancer", "balancer"]
