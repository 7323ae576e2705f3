from .aggregate import holm as holm
from .aggregate import min_p as min_p
from .tails import fit_tail as fit_tail
