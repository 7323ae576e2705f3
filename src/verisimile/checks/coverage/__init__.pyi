from .basis import LeaveOneOut as LeaveOneOut
from .basis import MemberBootstrap as MemberBootstrap
from .conditional import PseudoDraws as PseudoDraws
from .members import PooledDraws as PooledDraws
from .spread import density_intervals as density_intervals
from .spread import spread_intervals as spread_intervals
from .spread import summarise_bins as summarise_bins
