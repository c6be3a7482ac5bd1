"""What a calibration settles for a run that names it."""

from __future__ import annotations

from typing import NamedTuple

from memaudit.errors import InconclusiveError
from memaudit.matching.identity import digest_of_model
from memaudit.types import EncoderSpec


class Calibrated(NamedTuple):
    """digest: the calibration's own. threshold: similarity from which a pair is a copy whatever pixels say. cut:
    probability from which it is one below that, None where similarity alone was calibrated; own_cut: the model's own.
    match_from: similarity from which the pairs were sought that it was made by, None: the encoder's own floor.
    encoder, model: by which it was made, the model by its sha256.
    """

    digest: str
    threshold: float
    cut: float | None
    own_cut: float
    match_from: float | None
    encoder: EncoderSpec
    model: str

    def require_fits(self, encoder: EncoderSpec) -> None:
        """Raise InconclusiveError unless it was made with this encoder, and with the model that is installed."""
        if not self.encoder.same_as(encoder):
            raise InconclusiveError(
                f"the calibration was made with encoder {self.encoder.identity}, not {encoder.identity}: calibrate anew"
            )
        if self.cut is not None and self.model != digest_of_model():
            raise InconclusiveError(
                f"the calibration was made with another model of copies ({self.model[:12]}; this version has "
                f"{digest_of_model()[:12]}): calibrate anew, the labels still count"
            )


def cut_of(calibrated: Calibrated | None) -> float | None:
    """The cut of a plan."""
    return None if calibrated is None else calibrated.cut
