from .basis import LeaveOneOut as LeaveOneOut
from .basis import MemberBootstrap as MemberBootstrap
from .conditional import PseudoDraws as PseudoDraws
from .members import PooledDraws as PooledDraws
