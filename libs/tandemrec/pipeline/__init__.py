"""The stages in their order, and what runs one: engine, fingerprint, record."""

from tandemrec.pipeline.harness import run_all, run_identity, run_stage, stage_main
from tandemrec.pipeline.stages import STAGES, Stage, stage

__all__ = ["STAGES", "Stage", "run_all", "run_identity", "run_stage", "stage", "stage_main"]
