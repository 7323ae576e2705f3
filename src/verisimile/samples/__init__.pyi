from .coordinates import NormalScores as NormalScores
from .coordinates import Standardised as Standardised
