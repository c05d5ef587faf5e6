"""Pictures of autoencoders, in scikit-learn's manner: a Display object for each kind of picture.

A display is made with ``from_estimator`` (it computes what is to be shown), or from results with
``from_predictions``, ``from_history``, ``from_weights`` or ``from_images``. Both draw at once; the
display keeps the numbers and the matplotlib artists (attributes that end in an underscore), and
``plot(ax=...)`` draws it again somewhere else.

==========================  ======================================================================
`LearningCurveDisplay`      losses against epochs, the best epoch marked
`ReconstructionDisplay`     originals, noisy inputs and reconstructions, image by image
`LatentSpaceDisplay`        codes as points in the plane, by label
`LatentGridDisplay`         what the decoder makes of a grid of codes
`FiltersDisplay`            learned weights as images
`CodeActivityDisplay`       how often code units are active; dead units
`ErrorDistributionDisplay`  reconstruction errors, with a threshold, by group
==========================  ======================================================================

Where no ``ax`` is given, a display makes a figure of its own without pyplot, so that nothing
global changes and nothing has to be closed: ``display.save("picture.png")`` writes it, and a
notebook shows a display that is a cell's last value. With ``ax`` from ``pyplot.subplots()``,
``pyplot.show()`` works as usual. Drawing needs matplotlib: ``pip install 'pyae[plot]'``.
"""

from pyae.plotting.activity import CodeActivityDisplay
from pyae.plotting.errors import ErrorDistributionDisplay
from pyae.plotting.filters import FiltersDisplay
from pyae.plotting.latent import LatentGridDisplay, LatentSpaceDisplay
from pyae.plotting.learning import LearningCurveDisplay
from pyae.plotting.reconstruction import ReconstructionDisplay

__all__ = [
    "CodeActivityDisplay",
    "ErrorDistributionDisplay",
    "FiltersDisplay",
    "LatentGridDisplay",
    "LatentSpaceDisplay",
    "LearningCurveDisplay",
    "ReconstructionDisplay",
]
