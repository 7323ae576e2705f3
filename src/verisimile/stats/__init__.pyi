from .aggregate import min_p as min_p
from .multiple import holm as holm
from .tails import fit_tail as fit_tail
